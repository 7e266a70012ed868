"""Layers that act on each number, or only move numbers: activations, pooling, reshaping, joining."""

from __future__ import annotations

import math

from spec.layers.made import Made, Shape, ShapeError, equal, flat, image, shown
from spec.tables import Table


def elementwise(table: Table, inputs: list[Shape]) -> Made:
    return Made(inputs[0], {})


def leaky_relu(table: Table, inputs: list[Shape]) -> Made:
    """y = x where x >= 0, slope x elsewhere."""
    return Made(inputs[0], {"slope": table.number("slope")})


def elu(table: Table, inputs: list[Shape]) -> Made:
    """y = x where x > 0, alpha (exp(x) - 1) elsewhere."""
    return Made(inputs[0], {"alpha": table.number("alpha")})


def scale(table: Table, inputs: list[Shape]) -> Made:
    """y = factor x."""
    return Made(inputs[0], {"factor": table.number("factor")})


def reshape(table: Table, inputs: list[Shape]) -> Made:
    """The same numbers in the same order, in another shape."""
    shape = table.sizes("shape")
    if math.prod(shape) != math.prod(inputs[0]):
        old, new = math.prod(inputs[0]), math.prod(shape)
        raise ShapeError(f"{old} elements cannot take the shape {shown(shape)}, which has {new}")
    return Made(shape, {})


def flatten(table: Table, inputs: list[Shape]) -> Made:
    return Made((math.prod(inputs[0]),), {})


def upsample(table: Table, inputs: list[Shape]) -> Made:
    """Nearest neighbour: each pixel becomes factor x factor pixels."""
    channels, height, width = image(inputs[0])
    factor = table.size("factor", most=1024)
    return Made((channels, height * factor, width * factor), {"factor": factor})


def pool(table: Table, inputs: list[Shape]) -> Made:
    """The largest, or the mean, of each kernel x kernel window; windows that do not fit whole are left out."""
    channels, height, width = image(inputs[0])
    kernel, stride = table.size("kernel", most=1024), table.size("stride", most=1024)
    out = tuple((size - kernel) // stride + 1 for size in (height, width))
    if min(out) < 1:
        raise ShapeError(f"a {kernel}x{kernel} window does not fit into {height}x{width}")
    return Made((channels, *out), {"kernel": kernel, "stride": stride})


def planes(table: Table, inputs: list[Shape]) -> Made:
    """Each number of a flat input fills a plane of height x width."""
    (channels,) = flat(inputs[0])
    return Made((channels, table.size("height"), table.size("width")), {})


def concat(table: Table, inputs: list[Shape]) -> Made:
    """Joins its inputs along the first axis (channels, or features)."""
    if () in inputs:
        raise ShapeError("a single number has no axis to join along")
    if len({shape[1:] for shape in inputs}) > 1:
        raise ShapeError(f"only the first axis may differ, found {', '.join(map(shown, inputs))}")
    return Made((sum(shape[0] for shape in inputs), *inputs[0][1:]), {})


def join(table: Table, inputs: list[Shape]) -> Made:
    """add: the sum of its inputs. fade: (1 - a) first + a second, where a goes from 0 to 1 in a stage of growth."""
    return Made(equal(inputs), {})


def one_hot(table: Table, inputs: list[Shape]) -> Made:
    """`on` at the label's place, `off` at all others."""
    return Made(inputs[0], {"on": table.number("on"), "off": table.number("off")})
