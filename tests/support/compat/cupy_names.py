"""The names of CuPy that Chainer's source uses, found in the syntax tree without importing anything."""

import ast
import importlib
import types

from ganspec.impl_chainer.compat.hook import mended

# What Chainer calls CuPy, or the array module of some array, which is CuPy for CuPy's.
_ALIASES = {
    "cupy": "cupy",
    "cupyx": "cupyx",
    "cuda.cupy": "cupy",
    "cuda.cupyx": "cupyx",
    "chainer.cuda.cupy": "cupy",
    "chainer.backends.cuda.cupy": "cupy",
    "xp": "cupy",
    "cuda.cuda": "cupy.cuda",
    "chainer.cuda.cuda": "cupy.cuda",
}
_ROOTS = ("cupy", "cupyx")


def _dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_array_module"):
        return ".".join(["xp", *reversed(parts)])
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _of_cupy(dotted, aliases):
    """Return the name with CuPy's own in place of an alias, or None."""
    _head, _, tail = dotted.partition(".xp.")
    if tail:  # self.xp, device.xp, link.xp
        return f"cupy.{tail}"
    for alias in sorted(aliases, key=len, reverse=True):
        if dotted.startswith(alias + "."):
            return aliases[alias] + dotted.removeprefix(alias)
    return None


def names_in(source, mends=()):
    """Return the dotted names of CuPy that a module uses or imports, longest chains only."""
    tree = ast.parse(mended(source, mends))
    found, aliases = set(), dict(_ALIASES)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _ROOTS:
            imported = {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found.update(imported.values())
            aliases.update(imported)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.partition(".")[0] in _ROOTS)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            dotted = _dotted(node)
            found.add(dotted and _of_cupy(dotted, aliases))
    return found - {None, *_ROOTS}


def resolved(name):
    """Return the part of a dotted name that CuPy must have: up to the first attribute that is no module.

    Raises:
        AttributeError: CuPy does not have it.
    """
    parts = name.split(".")
    value = importlib.import_module(parts[0])
    for end, part in enumerate(parts[1:], 2):
        if not hasattr(value, part):
            try:
                importlib.import_module(".".join(parts[:end]))
            except ImportError:
                raise AttributeError(".".join(parts[:end])) from None
        value = getattr(value, part)
        if not isinstance(value, types.ModuleType):
            return ".".join(parts[:end])
    return name
