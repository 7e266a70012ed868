"""Sizes of links that their first input settles, and the shapes of parameters."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.links as L

from ganspec.tools.porting.translating.arguments import Unfit
from ganspec.tools.porting.translating.link_rules import as_tuple, inputs_of, shape_of
from ganspec.tools.porting.translating.templates import constant, filled

if TYPE_CHECKING:
    from ganspec.tools.porting.translating.expressions import Expressions

_INPUT_AXIS = {L.Linear: 1, L.Convolution2D: 1, L.ConvolutionND: 1, L.Deconvolution2D: 0, L.DeconvolutionND: 0}


def with_sizes(writer: Expressions, node: ast.Call) -> tuple[list[ast.expr], list[ast.keyword]]:
    """Translate the arguments of a link's construction; where they leave the input's size open, it is put in."""
    made, keywords = [writer.expr(a) for a in node.args], [writer._generic(k) for k in node.keywords]
    things = writer.seen(node).things
    axes = {axis for t in things for cls, axis in _INPUT_AXIS.items() if isinstance(t, cls)}
    if len(axes) != 1:
        return made, keywords
    size = inputs_of(things, shape_of("W", axes.pop()))
    if size is None:
        return made, keywords
    if len(made) == 1 and not isinstance(made[0], ast.Starred) and all(type(t) is L.Linear for t in things):
        outs = {t.W.shape[0] for t in things}  # one number is the output's size
        if outs <= set(writer.seen(node.args[0]).things) | {getattr(node.args[0], "value", None)}:
            return [size, *made], keywords
    if made and _is_none(writer, node.args[0]):
        made[0] = size
    for keyword, own in zip(keywords, node.keywords, strict=True):
        if own.arg in ("in_size", "in_channels") and _is_none(writer, own.value):
            keyword.value = size
    return made, keywords


def _is_none(writer: Expressions, node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or writer.seen(node).is_all("none")


def parameter(writer: Expressions, node: ast.Call) -> ast.expr:
    a = writer.bind(node, inspect.signature(chainer.Parameter))
    arrays = [p for p in writer.seen(node).things if p.array is not None]
    if a.seen("initializer").is_all("array"):
        return filled("nn.Parameter(value)", value=a["initializer"])
    if a.value("shape") is None and a.seen("shape").is_all("none"):
        if isinstance(a.value("initializer"), int | float):
            return filled("nn.Parameter(torch.tensor(value))", value=constant(float(a.value("initializer"))))
        shapes = {p.shape for p in arrays}
        if len(shapes) != 1:
            raise Unfit("a parameter without a shape", "give its shape")
        shape: ast.expr = constant(shapes.pop())
    else:
        shape = as_tuple(a, a["shape"])
    if isinstance(a.value("initializer"), int | float):
        return filled(
            "nn.Parameter(torch.full(shape, value))", shape=shape, value=constant(float(a.value("initializer")))
        )
    return filled("nn.Parameter(torch.zeros(shape))", shape=shape)
