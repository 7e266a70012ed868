"""How the mends reach Chainer: a finder that compiles the modules of the table from their mended source.

The finder knows the modules of the table by name and passes on every other import untouched. It changes
no module but these, leaves nothing in ``sys.modules``, and touches neither NumPy nor the warning filters.
Bytecode caches are neither read nor written for the mended modules: ``__pycache__`` stays upstream's.

A module that was loaded before the finder stood there is mended in place: the functions that a mend
changes get the code of the mended source, so that every holder of such a function has the mended one.
"""

import gc
import importlib.machinery
import sys
import types

from ganspec.impl_chainer.compat.mend import TABLE

_PACKAGES = ("chainer", "chainermn", "onnx_chainer")


def found_behind(finder, fullname, path, target):
    """Return the spec that the finders behind one in ``sys.meta_path`` give, or None.

    A finder that asked all others would be asked by them in turn, without end.
    """
    behind = sys.meta_path[sys.meta_path.index(finder) + 1 :] if finder in sys.meta_path else []
    for other in behind:
        find = getattr(other, "find_spec", None)
        spec = find(fullname, path, target) if find is not None else None
        if spec is not None:
            return spec
    return None


class MendingLoader(importlib.machinery.SourceFileLoader):
    """Loads one upstream module from its own file, with the mends that it needs."""

    def __init__(self, fullname, path, mends):
        super().__init__(fullname, path)
        self.mends = mends

    def get_code(self, fullname):
        """Compile the mended source; the bytecode cache belongs to the unmended one."""
        source = mended(self.get_source(fullname), self.mends)
        return compile(source, self.get_filename(fullname), "exec", dont_inherit=True)


class MendingFinder:
    """The entry in ``sys.meta_path``. ``without`` names mends to leave out, for the tests of each."""

    def __init__(self, table):
        self.table = table
        self.modules = table.modules
        self.without = frozenset()
        self.applied = {}

    def find_spec(self, fullname, path=None, target=None):
        """Find a module of the table as the other finders do, and have it loaded mended."""
        if fullname not in self.modules:
            return None
        mends = self.table.wanted(fullname, self.without)
        spec = found_behind(self, fullname, path, target) if mends else None
        if spec is None:
            return None
        if not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            raise ImportError(
                f"ganspec.impl_chainer.compat mends {fullname} from its source file, and this one is loaded by "
                f"{type(spec.loader).__name__}; install chainer as ordinary files.",
                name=fullname,
            )
        spec.loader = MendingLoader(fullname, spec.loader.path, mends)
        self.applied[fullname] = frozenset(mend.name for mend in mends)
        return spec


def mended(source, mends):
    """Return the source with these mends in it."""
    for mend in mends:
        source = mend.mend(source)
    return source


def _codes(code, path=()):
    """Yield ``(path, code)`` for each function in compiled code, the path being its names from outside in."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            inner = (*path, (const.co_name, const.co_firstlineno))
            yield inner, const
            yield from _codes(const, inner)


def mend_in_place(module, mends):
    """Give the functions of a loaded module the code of its mended source.

    What a module does once, while it is imported, is not repeated: it was imported, so it did not fail.
    A module without a file is not upstream's but a stand-in, and is left alone.

    Args:
        module: module that is loaded.
        mends: mends that it needs.

    Raises:
        ImportError: the module's source cannot be read.
    """
    if getattr(module, "__file__", None) is None:
        return
    loader = getattr(module, "__loader__", None)
    source = loader.get_source(module.__name__) if hasattr(loader, "get_source") else None
    if source is None:
        raise ImportError(f"ganspec.impl_chainer.compat cannot mend {module.__name__}: its source cannot be read.")
    old = dict(_codes(compile(source, module.__file__, "exec", dont_inherit=True)))
    new = dict(_codes(compile(mended(source, mends), module.__file__, "exec", dont_inherit=True)))
    # Functions are found by their code, not by their names: decorators, properties and closures hide
    # them from a walk over the module. The function objects stay the same, for all that hold them.
    changed = {code: new[path] for path, code in old.items() if path in new and new[path] != code}
    for function in gc.get_objects():
        ours = type(function) is types.FunctionType and function.__globals__ is module.__dict__
        if ours and function.__code__ in changed:
            function.__code__ = changed[function.__code__]
    for mend in mends:
        if mend.in_place:
            mend.in_place(module)


FINDER = MendingFinder(TABLE)


def apply(without=()):
    """Have Chainer mended, whether it is imported later or was imported before. Repeating it is harmless.

    Args:
        without: names of mends to leave out, for the tests that show why each is needed.

    Raises:
        ValueError: ``without`` holds a name of no mend, or of one that a loaded module already has.
        ImportError: a loaded module cannot be mended in place; import ganspec.impl_chainer.compat before chainer.
    """
    without = frozenset(without)
    if without - TABLE.names:
        raise ValueError(f"no such mend: {', '.join(sorted(without - TABLE.names))}")
    undoable = without & frozenset().union(*FINDER.applied.values())
    if undoable:
        raise ValueError(f"already applied to a loaded module: {', '.join(sorted(undoable))}")
    FINDER.without = without
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    _forget_failed_import()
    for name in sorted(FINDER.modules & sys.modules.keys()):
        wanted = {mend.name for mend in TABLE.wanted(name, without)}
        missing = wanted - FINDER.applied.get(name, frozenset())
        if missing:
            # From its own source with all that it needs, so that mends of one function add up.
            mend_in_place(sys.modules[name], TABLE.wanted(name, without))
            FINDER.applied[name] = frozenset(wanted)


def _forget_failed_import():
    """Drop the submodules that an import of chainer left behind when it failed, so that it can succeed."""
    for package in _PACKAGES:
        if package not in sys.modules:
            for name in [name for name in sys.modules if name.startswith(package + ".")]:
                del sys.modules[name]
