"""The attributes, items and methods of arrays and variables in PyTorch."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import ganspec.impl_chainer.compat  # noqa: F401
from ganspec.tools.porting.tracing.record import TENSORS
from ganspec.tools.porting.translating import functions
from ganspec.tools.porting.translating.arguments import Arguments, Unfit
from ganspec.tools.porting.translating.dtypes import FLOATS, dtype, is_default, value
from ganspec.tools.porting.translating.numpy_calls import IDENTITIES, call_of
from ganspec.tools.porting.translating.numpy_tables import ATTRIBUTES, METHODS, is_numpys, signature
from ganspec.tools.porting.translating.templates import call, constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions


def attribute(writer: Expressions, node: ast.Attribute) -> ast.expr:
    """Translate an attribute of a tensor."""
    if node.attr == "xp":
        return filled("torch")
    if node.attr not in ATTRIBUTES:
        raise Unfit(f"the attribute .{node.attr} of a variable or an array has no counterpart")
    if node.attr == "T" and not writer.seen(node.value).ndims <= {0, 1, 2}:
        return filled("torch.permute(x, tuple(reversed(range(x.ndim))))", x=writer.expr(node.value))
    if not isinstance(node.ctx, ast.Load):
        return ast.Attribute(writer.expr(node.value), "data" if node.attr in ("array", "data") else node.attr, node.ctx)
    inner = node.value
    if (
        node.attr in ("shape", "ndim", "dtype", "size")
        and isinstance(inner, ast.Attribute)
        and inner.attr in ("data", "array")
    ):
        inner = inner.value if writer.seen(inner.value).kinds & TENSORS else inner  # the shape of x.data is that of x
    return filled(ATTRIBUTES[node.attr], x=writer.expr(inner))


def subscript(writer: Expressions, node: ast.Subscript) -> ast.expr:
    """Translate an index of a tensor; steps backwards become flips."""
    items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    flipped = []
    for axis, item in enumerate(items):
        if isinstance(item, ast.Slice) and item.step is not None and _negative(writer, item.step):
            if (
                item.lower
                or item.upper
                or not isinstance(node.ctx, ast.Load)
                or any(not isinstance(i, ast.Slice) for i in items)
            ):
                raise Unfit(
                    "a slice with a negative step and bounds has no counterpart in torch", "use F.flip, then slice"
                )
            flipped.append(axis)
            items[axis] = ast.Slice()
    owner = writer.expr(node.value)
    if not flipped:
        return ast.Subscript(owner, writer.expr(node.slice), node.ctx)
    turned = call("torch.flip", owner, constant(tuple(flipped)))
    if all(isinstance(i, ast.Slice) and not (i.lower or i.upper or i.step) for i in items):
        return turned
    return ast.Subscript(turned, writer.expr(ast.Tuple(items, ast.Load())), node.ctx)


def _negative(writer: Expressions, step: ast.expr) -> bool:
    only = writer.seen(step).only if not isinstance(step, ast.Constant) else step.value
    return not isinstance(only, int) or only < 0


def scalar_method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a number of NumPy's, which is a Python number or a tensor of one number in PyTorch."""
    assert isinstance(node.func, ast.Attribute)
    if node.func.attr == "astype":
        return writer.expr(node.func.value)
    return method(writer, node)


def method(writer: Expressions, node: ast.Call) -> ast.expr:
    """Translate a method of a tensor."""
    assert isinstance(node.func, ast.Attribute)
    owner, name = node.func.value, node.func.attr
    if not writer.seen(owner).is_all(*TENSORS, "scalar"):
        raise Unfit(f"it was a tensor sometimes, and otherwise {', '.join(sorted(writer.seen(owner).kinds - TENSORS))}")
    if name == "astype":
        return _astype(writer, node, owner)
    if name in IDENTITIES or name == "__call__":
        return writer.expr(owner)
    if name in ("backward", "cleargrad", "zerograd", "debug_print", "unchain_backward"):
        if name == "unchain_backward":
            return filled("x.detach_()", x=writer.expr(owner))
        raise Unfit(f".{name}() in a model belongs to its training step", "move it to the updater")
    if name == "__getitem__":
        return ast.Subscript(writer.expr(owner), writer.expr(node.args[0]), ast.Load())
    if name not in METHODS:
        raise Unfit(f"the method .{name}() of a variable or an array has no counterpart")
    parameters, rule = METHODS[name]
    a = writer.bind(node, signature(parameters))
    a.put("x", writer.expr(owner))
    if name == "flatten" and _may_be_changed(writer, owner):
        return a.fill("x.flatten().clone()")
    if name in ("transpose", "reshape"):
        what = _varied(a, "shape" if name == "reshape" else "axes")
        if what is None:
            return a.fill("torch.permute(x, tuple(reversed(range(x.ndim))))")
        a.put("what", what)
        rule = "x.reshape(what)" if name == "reshape" else "x.permute(what)"
    return functions.fill(a, rule)


def _varied(a: Arguments, name: str) -> ast.expr | None:
    """Returns: a shape that is given as one tuple or as several numbers; None where nothing is given."""
    a.read.add(name)
    nodes = a.nodes.get(name, ())
    if len(nodes) == 1 and not isinstance(nodes[0], ast.Starred):
        if isinstance(nodes[0], ast.Constant) and nodes[0].value is None:
            return None
        seen = a.writer.seen(nodes[0])
        if seen.kinds & {"tuple", "list"}:
            return a.writer.expr(nodes[0])
    return a[name] if nodes else None


def _astype(writer: Expressions, node: ast.Call, owner: ast.expr) -> ast.expr:
    asked = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "dtype"), None)
    if asked is None:
        raise Unfit("astype without a dtype")
    x, found = writer.expr(owner), dtype(writer, asked)
    if writer.seen(owner).dtypes <= FLOATS and is_default(found):
        # Floating-point numbers are of the model's precision throughout; NumPy copies all the same.
        return filled("x.clone()", x=x) if _may_be_changed(writer, owner) else x
    return filled("x.to(dtype)", x=x, dtype=found)


def _may_be_changed(writer: Expressions, owner: ast.expr) -> bool:
    """Returns: whether a copy of an array matters: it is not a fresh one, and the module changes arrays in place."""
    fresh = isinstance(owner, ast.BinOp | ast.UnaryOp | ast.Compare) or (
        isinstance(owner, ast.Call) and not writer.seen(owner.func).is_all("link")
    )
    return not fresh and "array" in writer.seen(owner).kinds and any(
        isinstance(n, ast.AugAssign) or (isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store))
        for n in ast.walk(writer.source.tree)
    )  # fmt: skip


__all__ = [
    "ATTRIBUTES",
    "attribute",
    "call_of",
    "is_numpys",
    "method",
    "scalar_method",
    "signature",
    "subscript",
    "value",
]
