"""The user's program, a script or a module, as ``python -m ganspec.impl_chainer.compat`` runs it, here and in child processes.

A child process of ``multiprocessing`` that is not forked runs the main program again, before anything else. It finds
the program through the name in ``__main__.__spec__``. With the true name, or none, the child would run the program
without the mends. So the spec that ``__main__`` gets has the name of ``child_main``: the child imports this package, which
applies the mends, and runs ``child_main`` under the name ``__mp_main__``, in whose place ``run_in_child`` runs the program.
Which program that is stands in the environment, the one thing that every child has from the beginning.
"""

import importlib.machinery
import importlib.util
import io
import os
import sys

VARIABLE = "GANSPEC_COMPAT_PROGRAM"  # "script:" and a full path, or "module:" and a dotted name
OLD_NAMES = "GANSPEC_COMPAT_OLD_NAMES"  # the folder whose modules get old names; see `old_names`
CHILD_MAIN = "ganspec.impl_chainer.compat.child_main"


class ProgramError(Exception):
    """There is no such program, or it cannot be read; the text says what to do."""


class ProgramSpec(importlib.machinery.ModuleSpec):
    """The spec of ``__main__``: it has the name of ``child_main``, and the program's own package for relative imports."""

    package = ""
    module = None  # the dotted name, where the program is a module

    @property
    def parent(self):
        """The package in which the program's relative imports are resolved."""
        return self.package


def spec_of_script(path):
    """Return the spec of a script, which belongs to no package.

    Args:
        path: path of the script.

    Raises:
        ProgramError: there is no file at ``path``.
    """
    if os.path.isdir(path):
        inside = os.path.join(path, "__main__.py")
        such_as = f", such as {inside}" if os.path.isfile(inside) else ""
        raise ProgramError(f"{path} is a directory; name a script in it{such_as}")
    if not os.path.isfile(path):
        raise ProgramError(f"no such file: {path}")
    path = os.path.abspath(path)
    spec = ProgramSpec(CHILD_MAIN, importlib.machinery.SourceFileLoader("__main__", path), origin=path)
    spec.has_location = True
    return spec


def spec_of_module(name):
    """Return the spec of a module, or of the ``__main__`` of a package. The packages around it are imported.

    Args:
        name: dotted name of the module or package, as after ``python -m``.

    Raises:
        ProgramError: there is no such module.
    """
    found = _find(name)
    if found is not None and found.submodule_search_locations is not None:
        name += ".__main__"
        found = _find(name)
    if found is None or found.loader is None:
        raise ProgramError(f"no module named {name} in the working directory or among the installed packages")
    spec = ProgramSpec(CHILD_MAIN, found.loader, origin=found.origin)
    spec.package, spec.cached, spec.has_location = found.parent, found.cached, found.has_location
    spec.module = name
    return spec


def _find(name):
    try:
        return importlib.util.find_spec(name) if not name.startswith(".") else None
    except ModuleNotFoundError as error:
        # A package around the module is missing; what else is missing is an error of the user's package.
        if error.name and f"{name}.".startswith(f"{error.name}."):
            return None
        raise
    except ValueError as error:
        raise ProgramError(f"{name!r} is no name of a module: {error}") from None


def execute(spec, namespace):
    """Run the program in ``namespace``, which then has the names that Python gives to a main module.

    Args:
        spec: spec of the program, as ``spec_of_script`` or ``spec_of_module`` returns it.
        namespace: dictionary of the module ``__main__``, or of the one in its place in a child process.

    Raises:
        ProgramError: the file cannot be read, or has no Python code.
        BaseException: whatever the program raises.
    """
    code = _code_of_module(spec) if spec.module else _code_of_script(spec.origin)
    namespace.update(
        __spec__=spec,
        __file__=spec.origin,
        __cached__=spec.cached if spec.module else None,
        __package__=spec.package if spec.module else None,
        __doc__=None,
        __loader__=spec.loader,
    )
    exec(code, namespace)


def _code_of_module(spec):
    code = spec.loader.get_code(spec.module) if hasattr(spec.loader, "get_code") else None
    if code is None:
        raise ProgramError(f"{spec.module} cannot be run: it has no Python code")
    return code


def _code_of_script(path):
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        raise ProgramError(f"{path} cannot be read: {error.strerror}") from None
    if OLD_NAMES in os.environ:
        from ganspec.impl_chainer.compat import old_names

        return old_names.compiled(source, path)
    return compile(source, path, "exec", dont_inherit=True)


def announce(spec):
    """Name the program to child processes, in the environment."""
    os.environ[VARIABLE] = f"module:{spec.module}" if spec.module else f"script:{spec.origin}"


def run_in_child(namespace):
    """Run the program that the environment names once more, in a child process, as ``__mp_main__``.

    The ``__main__`` of a package is not run again, as Python itself does not; the child has the mends all the same.

    Args:
        namespace: dictionary of the module ``__mp_main__``.
    """
    if folder := os.environ.get(OLD_NAMES):
        from ganspec.impl_chainer.compat import old_names

        old_names.install(folder)
    kind, _, name = os.environ[VARIABLE].partition(":")
    if kind == "module" and name.endswith(".__main__"):
        return
    spec = spec_of_module(name) if kind == "module" else spec_of_script(name)
    # runpy has put the name of child_main's file there, for as long as the main module runs.
    sys.argv[0] = spec.origin
    execute(spec, namespace)
