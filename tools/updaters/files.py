"""Somebody's Python file, loaded as Python itself would: its own folder first on `sys.path`, and nothing searched for.

The file is run. Nothing but what is named, and what that imports itself, is loaded.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ganspec.impl_chainer.compat.old_names.finder import OldNamesFinder, OldNamesLoader, in_folder
from ganspec.spec.text.errors import did_you_mean
from ganspec.tools.conformance.errors import line_in
from ganspec.tools.errors import UserError


@contextlib.contextmanager
def search_path(folders: Sequence[Path], old_names: Sequence[Path] = ()) -> Iterator[None]:
    """Put folders first on `sys.path`; afterwards it is as it was, and modules that came from what was put there are gone.

    Args:
        folders: the folders.
        old_names: folders whose modules get the names that NumPy has removed, such as np.float.
    """
    before, loaded, finders = list(sys.path), set(sys.modules), list(sys.meta_path)
    sys.path[:0] = [str(folder.resolve()) for folder in folders]
    sys.meta_path[:0] = [OldNamesFinder(str(folder.resolve())) for folder in old_names]
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        roots = tuple(set(sys.path) - set(before))
        sys.path[:] = before
        for name in set(sys.modules) - loaded:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(roots):
                del sys.modules[name]


def split_name(text: str, option: str) -> tuple[Path, str]:
    """Returns: file and name of "FILE:NAME". Raises: UserError: it is not written so, or there is no such file."""
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier() or not file.endswith(".py"):
        raise UserError(f"{option}: '{text}' is not FILE:NAME, such as updater.py:Updater")
    path = Path(file)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise UserError(f"{option}: {file}: {what}; give the Python file that has {name}")
    return path, name


def load_name(text: str, option: str) -> Any:
    """Load what a file defines.

    Args:
        text: "FILE:NAME".
        option: the option that has the text, for messages.

    Returns: the class, function or object of that name.

    Raises:
        UserError: there is no such file or name, or the file cannot be run.
    """
    path, name = split_name(text, option)
    module = _module(path, option)
    if not hasattr(module, name):
        own = [
            n
            for n, v in vars(module).items()
            if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
        ]
        hint = did_you_mean(name, own)
        there = ", ".join(own[:12]) or "nothing"
        raise UserError(f"{option}: {path} has no '{name}'; it defines {there}" + (f"; {hint}" if hint else ""))
    return getattr(module, name)


def _module(path: Path, option: str) -> Any:
    resolved = str(path.resolve())
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == resolved:
            return module
    # A name of its own where another module has it already: two files called updater.py are two modules.
    name = (
        path.stem
        if path.stem not in sys.modules and path.stem.isidentifier()
        else f"checked_{len(sys.modules)}_{path.stem}"
    )
    old = any(isinstance(f, OldNamesFinder) and in_folder(resolved, f.folder) for f in sys.meta_path)
    loader = OldNamesLoader(name, resolved) if old else None
    spec = importlib.util.spec_from_file_location(name, resolved, loader=loader)
    assert spec is not None
    assert spec.loader is not None
    if str(path.resolve().parent) not in sys.path:
        sys.path.insert(0, str(path.resolve().parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = line_in(error) or str(path)
        said = f"{type(error).__name__}: {error}"
        remedy = "it must be importable"
        if isinstance(error, SystemExit):
            remedy = 'put what trains under `if __name__ == "__main__":`, or name a file that only defines the class'
        elif isinstance(error, ModuleNotFoundError):
            remedy = f"give the folder that has '{error.name}' with --path DIR, or install it"
        raise UserError(f"{option}: {line}: the file cannot be run: {said}; {remedy}") from None
    return module
