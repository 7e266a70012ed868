"""The arguments of his constructor, which come as text: parsed, and never evaluated."""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Container
from types import ModuleType
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.porting.errors import PortError

_CALLABLE = "expected a name of the file itself, a function, link or initialiser of Chainer's, or a dtype"
MOST_TEXT = 10_000  # characters of the arguments
ROOTS = {
    "chainer": "chainer", "F": "chainer.functions", "L": "chainer.links", "np": "numpy", "numpy": "numpy",
    "initializers": "chainer.initializers",
}  # fmt: skip


def parsed(text: str) -> ast.Call:
    """Returns: arguments as the syntax tree of a call. Raises: PortError: the text is not written so."""
    if len(text) > MOST_TEXT:
        raise PortError(f"--args: {len(text)} characters; at most {MOST_TEXT} are read")
    try:
        tree = ast.parse(f"f({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise PortError(f"--args: expected arguments as in Python, such as '128, ch=512', found {text!r}") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise PortError(f"--args: expected arguments as in Python, such as '128, ch=512', found {text!r}")
    if any(isinstance(a, ast.Starred) for a in tree.args) or any(k.arg is None for k in tree.keywords):
        raise PortError("--args: * and ** cannot be used here")
    return tree


class GivenArguments:
    """What the names in the arguments stand for.

    Args:
        path: path of his file.
        module: his module.
        sources: names of all his modules.
    """

    def __init__(self, path: str, module: ModuleType, sources: Container[str]) -> None:
        self.path, self.module, self.sources = path, module, sources

    def value(self, node: ast.expr) -> Any:
        """Returns: the value of an argument: a literal, a dotted name, or a call of one."""
        match node:
            case ast.Call(func=func, args=args, keywords=keywords):
                function = self.value(func)
                if not isinstance(function, type) and not self._is_his(function):
                    raise PortError(f"--args: {ast.unparse(func)} cannot be called here; {_CALLABLE}")
                return function(*map(self.value, args), **{str(k.arg): self.value(k.value) for k in keywords})
            case ast.Name(id=name):
                if name in vars(self.module):
                    return self._known(vars(self.module)[name], node)
                if name in ("dict", "list", "tuple", "range", "set"):
                    return getattr(builtins, name)
                if name in ROOTS:
                    return importlib.import_module(ROOTS[name])
                raise PortError(f"--args: {name!r} is neither a name of {self.path} nor one of {', '.join(ROOTS)}")
            case ast.Attribute(value=value, attr=attr):
                owner = self.value(value)
                if attr.startswith("_") or not hasattr(owner, attr):
                    raise PortError(f"--args: {ast.unparse(value)} has no {attr!r}")
                return self._known(getattr(owner, attr), node)
            case ast.List(elts=elements):
                return [self.value(e) for e in elements]
            case ast.Tuple(elts=elements):
                return tuple(self.value(e) for e in elements)
            case ast.Dict(keys=keys, values=values):
                return {self.value(k): self.value(v) for k, v in zip(keys, values, strict=True) if k is not None}
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise PortError(f"--args: {ast.unparse(node)!r} is no literal, name or call of a name") from None

    def _is_his(self, value: Any) -> bool:
        return getattr(value, "__module__", None) in self.sources

    def _known(self, value: Any, node: ast.expr) -> Any:
        """Returns: what a name stands for.

        Raises:
            PortError: it is neither of his own, nor one of Chainer's functions, links and initialisers, nor a dtype: text that
                comes from elsewhere must not reach what else modules import.
        """
        if isinstance(value, type):
            known = self._is_his(value) or issubclass(value, (chainer.Link, chainer.Initializer, np.generic))
        elif isinstance(value, ModuleType):
            known = value.__name__ in ROOTS.values()
        elif callable(value):
            known = self._is_his(value) or str(getattr(value, "__module__", "")).startswith("chainer.functions.")
        else:
            known = isinstance(value, (bool, int, float, str, tuple, list, dict, np.dtype, type(None)))
        if not known:
            raise PortError(f"--args: {ast.unparse(node)} cannot be named here; {_CALLABLE}")
        return value
