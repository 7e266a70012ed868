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
from ganspec.tools.porting.errors import PortError
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
        self.left_out: list[str] = []  # what of his packages was not run
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
        with self.importing(root):
            spec = importlib.util.spec_from_file_location(full, path, loader=_Loader(self, full, path))
            assert spec is not None and spec.loader is not None
            try:
                if package:
                    self._enter(package, root)
                module = importlib.util.module_from_spec(spec)
                sys.modules[full] = module
                spec.loader.exec_module(module)
            except PortError:
                raise
            except SyntaxError as error:
                hint = "; it is Python 2: 2to3 -w mends most of that" if "print" in str(error) else ""
                raise PortError(f"{path}:{error.lineno}: this is not Python 3: {error.msg}{hint}") from None
            except ModuleNotFoundError as error:
                remedy = "install it, or name the folder that has it with --source FOLDER"
                raise PortError(
                    f"{_place(error, path)}: importing it failed: no module named {error.name!r}; {remedy}"
                ) from error
            except Exception as error:
                raise PortError(
                    f"{_place(error, path)}: importing it failed: {type(error).__name__}: {error}"
                ) from error
        return module

    def _enter(self, package: str, root: str) -> None:
        """Import the package that his file is in; where its `__init__` fails, as far as the file asks for something of it."""
        try:
            importlib.import_module(package)
            return
        except PortError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        names = package.split(".")
        for count in range(1, len(names) + 1):
            name = ".".join(names[:count])
            path = os.path.join(root, *names[:count], "__init__.py")
            if name in sys.modules or not os.path.isfile(path):
                continue
            self.left_out.append(f"{path} was not run as a whole, because that failed: {why}")
            bare = _bare(name, path, _Loader(self, name, path))
            sys.modules[name] = bare
            if count > 1:
                setattr(sys.modules[name.rpartition(".")[0]], names[count - 1], bare)

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
        self.importer.run(self.importer.code(module.__name__, path, self.get_data(path)), module)


def _bare(name: str, path: str, loader: _Loader) -> ModuleType:
    """Returns: a package whose `__init__` runs when something is asked of it that is no module in it; what it had then is given."""
    spec = importlib.util.spec_from_file_location(
        name, path, loader=loader, submodule_search_locations=[os.path.dirname(path)]
    )
    assert spec is not None
    module = importlib.util.module_from_spec(spec)

    def asked(wanted: str) -> Any:
        special = wanted.startswith("__") and wanted not in ("__all__", "__version__")
        if special or importlib.machinery.PathFinder.find_spec(f"{name}.{wanted}", module.__path__) is not None:
            raise AttributeError(f"module {name!r} has no attribute {wanted!r}")
        module.__dict__.pop("__getattr__", None)
        try:
            loader.exec_module(module)
        except Exception:
            if wanted not in vars(module):
                raise
        return getattr(module, wanted)

    module.__dict__["__getattr__"] = asked
    return module


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
