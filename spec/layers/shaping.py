"""Layers that move, join or reduce numbers: reshaping, slices, pooling, sums and products of inputs."""

from __future__ import annotations

import math

from ganspec.spec.layers.outline import (
    LayerOutline,
    Shape,
    ShapeError,
    format_shape,
    pair,
    require_equal,
    require_image,
    require_vector,
    short,
    sides,
)
from ganspec.spec.text.tables import Table


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
    """Takes the largest number, or the mean, of each window; incomplete windows are left out.

    With `padding` there are pixels around the image that no maximum takes, and that a mean counts as 0.
    """
    return _pool(table, inputs[0], cover_all=False)


def max_pool(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Takes the largest number of each window; incomplete windows are left out, unless the layer says `cover_all = true`.

    With `cover_all` there are as many windows more as it takes for each pixel to be in one; they end beyond the image.
    """
    table.read.add("cover_all")
    return _pool(table, inputs[0], cover_all="cover_all" in table and table.flag("cover_all"))


def _pool(table: Table, shape: Shape, *, cover_all: bool) -> LayerOutline:
    channels, *image = require_image(shape)
    kernel, stride = pair(table, "kernel"), pair(table, "stride")
    table.read.add("padding")
    padding = pair(table, "padding", least=0) if "padding" in table else (0, 0)
    out = []
    for size, k, s, p in zip(image, kernel, stride, padding, strict=True):
        out.append((size + 2 * p - k + (s - 1 if cover_all else 0)) // s + 1)
        if out[-1] < 1:
            raise ShapeError(f"a {format_shape(kernel)} window does not fit into {format_shape(tuple(image))}")
        if p >= k or (out[-1] - 1) * s - p >= size:
            raise ShapeError(
                f"a {format_shape(kernel)} window with stride {s} and padding {p} would hold nothing but padding"
            )
    settings = {"kernel": kernel, "stride": stride, "padding": padding, "cover_all": cover_all}
    plain = {"padding": (0, 0), "cover_all": False}  # what is left out says nothing
    return LayerOutline(
        (channels, *out), {key: short(value) for key, value in settings.items() if value != plain.get(key)}
    )


def slice_(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Takes the numbers from `start` to before `stop` along one axis of a sample; axis 0 is the channels."""
    axis, start, stop = table.size("axis", least=0), table.size("start", least=0), table.size("stop")
    (axis,) = _axes((axis,), inputs[0])
    length = inputs[0][axis]
    if not start < stop <= length:
        raise ShapeError(
            f"axis {axis} of {format_shape(inputs[0])} has the numbers 0 to {length - 1}; from {start} to before {stop} is no "
            "part of them"
        )
    shape = (*inputs[0][:axis], stop - start, *inputs[0][axis + 1 :])
    return LayerOutline(shape, {"axis": axis, "start": start, "stop": stop})


def transpose(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Puts the axes of a sample into another order: axis i of the output is axis axes[i] of the input."""
    axes = table.sizes("axes", least=0)
    if sorted(axes) != list(range(len(inputs[0]))):
        raise ShapeError(
            f"axes must name each of its {len(inputs[0])} axes once, from 0, without the batch's, found {list(axes)}"
        )
    return LayerOutline(tuple(inputs[0][axis] for axis in axes), {"axes": axes})


def reduction(table: Table, inputs: list[Shape]) -> LayerOutline:
    """The mean, sum or maximum over some axes of a sample, which go; axes 1 and 2 of an image are its pixels."""
    axes = _axes(table.sizes("axes", least=0), inputs[0])
    return LayerOutline(tuple(n for i, n in enumerate(inputs[0]) if i not in axes), {"axes": axes})


def broadcast(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Repeats its numbers along the axes of length 1, until it has another shape."""
    shape, old = table.sizes("shape"), inputs[0]
    if len(shape) != len(old) or any(n not in (1, new) for n, new in zip(old, shape, strict=True)):
        raise ShapeError(
            f"{format_shape(old)} cannot be repeated to {format_shape(shape)}: each axis is as long as before, or was of length 1"
        )
    return LayerOutline(shape, {})


def matmul(table: Table, inputs: list[Shape]) -> LayerOutline:
    """The product of two matrices, of each sample."""
    first, second = inputs
    if (len(first), len(second)) != (2, 2) or first[1] != second[0]:
        raise ShapeError(
            f"expected two matrices, m x k and k x n, found {format_shape(first)} and {format_shape(second)}"
        )
    return LayerOutline((first[0], second[1]), {})


def _axes(axes: Shape, shape: Shape) -> Shape:
    """Returns: numbers of axes, if a sample of this shape has them. Raises: ShapeError: otherwise."""
    if not axes or len(set(axes)) < len(axes) or max(axes) >= len(shape):
        names = f"the axes of {format_shape(shape)} are {', '.join(map(str, range(len(shape))))}, without the batch's"
        raise ShapeError(
            f"{names if shape else 'a single number has no axes'}; found {', '.join(map(str, axes)) or 'none'}"
        )
    return axes


def pad(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Puts pixels of one value around an image, as many as [top, bottom, left, right] say."""
    channels, height, width = require_image(inputs[0])
    top, bottom, left, right = padding = sides(table)
    settings = {"padding": padding, "value": table.number("value")}
    return LayerOutline((channels, height + top + bottom, width + left + right), settings)


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
    """Joins inputs of one shape, number by number: "add" to their sum, "multiply" to their product, "subtract" to first - second.

    "fade" gives (1 - a) first + a second, where a goes from 0 to 1 in a stage of growth.
    """
    return LayerOutline(require_equal(inputs), {})


def one_hot(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Makes a vector that is `on` at the label's index and `off` elsewhere."""
    return LayerOutline(inputs[0], {"on": table.number("on"), "off": table.number("off")})
