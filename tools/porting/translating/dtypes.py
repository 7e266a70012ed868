"""NumPy's dtypes in PyTorch: floating-point numbers have the model's precision throughout."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.templates import call, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

FLOATS = frozenset("efd")
# dtypes by their characters, where they are no floating-point numbers: these take the model's precision.
_DTYPES = {
    "i": "torch.int32",
    "l": "torch.int64",
    "q": "torch.int64",
    "h": "torch.int16",
    "b": "torch.int8",
    "B": "torch.uint8",
    "?": "torch.bool",
}


def value(thing: Any) -> ast.expr | None:
    """Returns: what a value of NumPy's or Chainer's is in PyTorch: a type, a constant; None where it is something else."""
    if thing in (chainer.Variable, np.ndarray, chainer.get_array_types()) if isinstance(thing, type | tuple) else False:
        return filled("torch.Tensor")
    if thing is chainer.Parameter:
        return filled("nn.Parameter")
    if (isinstance(thing, type) and issubclass(thing, np.generic)) or isinstance(thing, np.dtype):
        return dtype_of(np.dtype(thing).char) if not (isinstance(thing, type) and np.dtype(thing).char == "O") else None
    if isinstance(thing, float) and thing == math.pi:
        return filled("math.pi")
    if isinstance(thing, float) and math.isinf(thing):
        return filled("math.inf" if thing > 0 else "-math.inf")
    return None


def dtype_of(character: str) -> ast.expr:
    """Returns: PyTorch's dtype; that of the model for any of floating-point numbers."""
    if character in FLOATS:
        return call("torch.get_default_dtype")
    if character not in _DTYPES:
        raise Unfit(f"the dtype {np.dtype(character)} has no counterpart in torch")
    return filled(_DTYPES[character])


def is_default(found: ast.expr) -> bool:
    return ast.unparse(found) == "torch.get_default_dtype()"


def dtype(writer: Expressions, node: ast.expr) -> ast.expr:
    """Translate an expression that says a dtype: np.float32, "f", x.dtype."""
    known = node.value if isinstance(node, ast.Constant) else writer.seen(node).only
    if known is None and not isinstance(node, ast.Constant):
        known = writer.static(node)[1]
    things = writer.seen(node).things
    if (
        known is None
        and things
        and len({np.dtype(t).kind for t in things}) == 1
        and all(np.dtype(t).char in FLOATS for t in things)
    ):
        return call("torch.get_default_dtype")
    if known is None:
        return writer.expr(node)
    try:
        return dtype_of(np.dtype(known).char)
    except TypeError:
        raise Unfit(f"{known!r} is no dtype") from None
