"""Imports his file, and what it imports from the folders he names, compiled with recorders."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401
from ganspec.impl_chainer.compat.hook import found_behind
from ganspec.impl_chainer.compat.old_names import finder as old_names
from ganspec.tools.porting.coverage import named
from ganspec.tools.porting.errors import PortError
from ganspec.tools.porting.sides import first_line
from ganspec.tools.porting.tracing import chainer1
from ganspec.tools.porting.tracing.compiling import CALL, PASSED, SAW, WIDEN, Numbering, Source, compiled
from ganspec.tools.porting.tracing.record import Trace, widened_name

LARGEST_SOURCE = 2_000_000  # bytes of one of his files


class Importer:
    """The entry in `sys.meta_path` that compiles his modules.

    Args:
        folders: folders whose modules are his.
        old_names: whether names that NumPy has removed are given to them.
    """

    def __init__(self, folders: list[str], old_names: bool) -> None:
        self.folders, self.old_names = [os.path.realpath(f) for f in folders], old_names
        self.trace = Trace()
        self.sources: dict[str, Source] = {}  # by the name of the module
        self.loaded: list[str] = []  # names of modules, in the order in which they were done
        self.lenient = False  # whether a package whose `__init__` fails has what it had until then
        self.left_out: list[str] = []  # which packages those are
        self._numbering = Numbering()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module as the other finders do, and have one of his loaded with recorders."""
        spec = found_behind(self, name, path, target)
        plain = spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader)
        if plain and any(old_names.in_folder(spec.origin, f) for f in self.folders):
            spec.loader = _Loader(self, spec.loader.name, spec.loader.path)
        return spec

    def load(self, path: str) -> ModuleType:
        """Import the file that he names.

        Raises:
            PortError: there is no such file, it is not Python, or importing it failed.
        """
        path = os.path.realpath(path)
        name = os.path.splitext(os.path.basename(path))[0]
        if not os.path.isfile(path):
            raise PortError(f"no such file: {path}")
        package = _package_of(path)
        full = f"{package}.{name}" if package else name
        root = os.path.dirname(path)
        for _ in package.split(".") if package else ():
            root = os.path.dirname(root)
        if package:
            self.folders.append(os.path.join(root, package.partition(".")[0]))  # his package is his as a whole
        with self.importing(root):
            try:
                return self._imported(full, package, path)
            except PortError:
                raise
            except Exception as error:
                failed = error
            self._forget()
            self.lenient = True
            try:
                return self._imported(full, package, path)
            except Exception:
                self._forget()
                raise _as_port_error(failed, path) from failed

    def _imported(self, full: str, package: str, path: str) -> ModuleType:
        """Returns: his file as a module, imported anew."""
        spec = importlib.util.spec_from_file_location(full, path, loader=_Loader(self, full, path))
        assert spec is not None
        assert spec.loader is not None
        if package:
            importlib.import_module(package)
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
        return module

    def _forget(self) -> None:
        """Forget his modules."""
        for name in self.sources:
            sys.modules.pop(name, None)
        self.sources.clear()
        self.loaded.clear()

    @contextlib.contextmanager
    def importing(self, root: str) -> Iterator[None]:
        """Have imports see his folders, and compile what is his."""
        before = list(sys.path)
        sys.path[:0] = [root, *(f for f in self.folders if f != root)]
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            sys.path[:] = before

    def code(self, name: str, path: str, data: bytes) -> Any:
        """Compile a module of his with recorders."""
        if len(data) > LARGEST_SOURCE:
            raise PortError(f"{path}: the file has {len(data)} bytes; at most {LARGEST_SOURCE} are read")
        text = importlib.util.decode_source(data)
        tree = ast.parse(text, path)
        self._numbering.number(tree)
        self.sources[name] = source = Source(name, path, text, tree)
        return compiled(source, self.old_names)

    def run(self, code: Any, module: ModuleType) -> None:
        """Execute a module of his."""
        names = {SAW: self.trace.saw, PASSED: self.trace.passed, CALL: chainer1.call, WIDEN: self._widened}
        module.__dict__.update(names)
        exec(code, module.__dict__)
        self.loaded.append(module.__name__)

    def _widened(self, value: Any) -> Any:
        return widened_name(value) if self.trace.wide else value


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one of his modules from its own file. The bytecode cache is neither read nor written."""

    def __init__(self, importer: Importer, name: str, path: str) -> None:
        super().__init__(name, path)
        self.importer = importer

    def exec_module(self, module: ModuleType) -> None:
        """Compile and execute it."""
        path = self.get_filename(module.__name__)
        try:
            self.importer.run(self.importer.code(module.__name__, path, self.get_data(path)), module)
        except PortError:
            raise
        except Exception as error:
            if not self.importer.lenient or not self.is_package(module.__name__):
                raise
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            self.importer.left_out.append(f"{named(path)} stopped at an error; what it had until then was taken: {why}")
            self.importer.loaded.append(module.__name__)


def _as_port_error(error: Exception, path: str) -> PortError:
    """Returns: the message for an import that failed."""
    if isinstance(error, SyntaxError):
        hint = "; it is Python 2: 2to3 -w mends most of that" if "print" in str(error) else ""
        return PortError(f"{error.filename or path}:{error.lineno}: this is not Python 3: {error.msg}{hint}")
    place = f"{_place(error, path)}: importing it failed"
    if isinstance(error, ModuleNotFoundError):
        remedy = "install it, or name the folder that has it with --source FOLDER"
        return PortError(f"{place}: no module named {error.name!r}; {remedy}")
    hint = "; --old-names gives it those that NumPy has removed" if "module 'numpy' has no" in str(error) else ""
    return PortError(f"{place}: {first_line(error)}{hint}")


def _package_of(path: str) -> str:
    """Returns: the dotted name of the package that a file is in; empty where it is in none."""
    names, folder = [], os.path.dirname(path)
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.basename(folder).isidentifier():
        names.append(os.path.basename(folder))
        folder = os.path.dirname(folder)
    return ".".join(reversed(names))


def _place(error: BaseException, path: str) -> str:
    """Returns: the innermost line of his that an error came through."""
    place, trace = path, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if os.path.dirname(os.path.realpath(path)) in os.path.realpath(file):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
