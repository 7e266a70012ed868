"""Layers that act on each number by itself, or that only move numbers: activations, pooling, reshaping, joining."""

from __future__ import annotations

import math

from ganspec.spec.layers.outline import (
    LayerOutline,
    Shape,
    ShapeError,
    format_shape,
    require_equal,
    require_image,
    require_vector,
)
from ganspec.spec.text.tables import Table


def elementwise(table: Table, inputs: list[Shape]) -> LayerOutline:
    """An activation without numbers of its own: relu, tanh, sigmoid."""
    return LayerOutline(inputs[0], {})


def leaky_relu(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x where x > 0, and slope x elsewhere."""
    return LayerOutline(inputs[0], {"slope": table.number("slope")})


def elu(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x where x > 0, and alpha (exp(x) - 1) elsewhere."""
    return LayerOutline(inputs[0], {"alpha": table.number("alpha")})


def scale(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = factor x."""
    return LayerOutline(inputs[0], {"factor": table.number("factor")})


def reshape(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Gives its numbers another shape, in the same order."""
    shape = table.sizes("shape")
    if math.prod(shape) != math.prod(inputs[0]):
        old, new = math.prod(inputs[0]), math.prod(shape)
        raise ShapeError(f"{old} elements cannot take the shape {format_shape(shape)}, which has {new}")
    return LayerOutline(shape, {})


def flatten(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Gives its numbers one axis, in the same order."""
    return LayerOutline((math.prod(inputs[0]),), {})


def upsample(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Enlarges an image by nearest neighbours: each pixel becomes factor x factor pixels."""
    channels, height, width = require_image(inputs[0])
    factor = table.size("factor", most=1024)
    return LayerOutline((channels, height * factor, width * factor), {"factor": factor})


def pool(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Takes the largest number, or the mean, of each kernel x kernel window; incomplete windows are left out."""
    channels, height, width = require_image(inputs[0])
    kernel, stride = table.size("kernel", most=1024), table.size("stride", most=1024)
    out = tuple((size - kernel) // stride + 1 for size in (height, width))
    if min(out) < 1:
        raise ShapeError(f"a {kernel}x{kernel} window does not fit into {height}x{width}")
    return LayerOutline((channels, *out), {"kernel": kernel, "stride": stride})


def planes(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Fills a plane of height x width with each number of a flat input."""
    (channels,) = require_vector(inputs[0])
    return LayerOutline((channels, table.size("height"), table.size("width")), {})


def concat(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Joins its inputs along the first axis (channels, or features)."""
    if () in inputs:
        raise ShapeError("a single number has no axis to join along")
    if len({shape[1:] for shape in inputs}) > 1:
        raise ShapeError(f"only the first axis may differ, found {', '.join(map(format_shape, inputs))}")
    return LayerOutline((sum(shape[0] for shape in inputs), *inputs[0][1:]), {})


def join(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Joins inputs of one shape: "add" to their sum, "fade" to (1 - a) first + a second; a goes from 0 to 1 in a stage."""
    return LayerOutline(require_equal(inputs), {})


def one_hot(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Makes a vector that is `on` at the label's index and `off` elsewhere."""
    return LayerOutline(inputs[0], {"on": table.number("on"), "off": table.number("off")})
