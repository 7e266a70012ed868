"""Layers that move, join or reduce numbers, in Chainer; `spec.layers.shaping` defines them."""

from __future__ import annotations

import math

import chainer.functions as F
import numpy as np

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.mode import Mode, Own
from ganspec.spec.network.architecture import Layer


def one_hot(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Write `on` at each label's place and `off` elsewhere."""
    xp, labels = x[0].xp, x[0].array
    codes = xp.full((len(labels), layer.shape[0]), layer.settings["off"], dtype=mode.dtype)
    codes[xp.arange(len(labels)), labels] = layer.settings["on"]
    return Array(codes, requires_grad=False)


def reshape(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The same numbers in the same order, in the layer's shape."""
    return F.reshape(x[0], (x[0].shape[0], *layer.shape))


def transpose(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Put the axes of each sample into another order."""
    return F.transpose(x[0], (0, *(axis + 1 for axis in layer.settings["axes"])))


def slice_(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """A part of each sample along one axis."""
    part = slice(layer.settings["start"], layer.settings["stop"])
    return x[0][(slice(None),) * (layer.settings["axis"] + 1) + (part,)]


def mean(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The mean over some axes of each sample."""
    return F.mean(x[0], axis=tuple(axis + 1 for axis in layer.settings["axes"]))


def sum_(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The sum over some axes of each sample."""
    return F.sum(x[0], axis=tuple(axis + 1 for axis in layer.settings["axes"]))


def max_(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The maximum over some axes of each sample, the first of equal numbers."""
    axes = [axis + 1 for axis in layer.settings["axes"]]
    rows = F.transpose(x[0], (*(axis for axis in range(x[0].ndim) if axis not in axes), *sorted(axes)))
    rows = F.reshape(rows, (math.prod((x[0].shape[0], *layer.shape)), -1))
    largest = F.select_item(rows, rows.array.argmax(axis=1))  # F.max gives the whole gradient to each of equal numbers
    return F.reshape(largest, (x[0].shape[0], *layer.shape))


def broadcast(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Repeat along the axes of length 1."""
    return F.broadcast_to(x[0], (x[0].shape[0], *layer.shape))


def pad(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Put pixels of one value around each image."""
    top, bottom, left, right = layer.settings["padding"]
    around = ((0, 0), (0, 0), (top, bottom), (left, right))
    return F.pad(x[0], around, "constant", constant_values=layer.settings["value"])


def upsample(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Repeat each pixel factor x factor times."""
    # By broadcasting: F.unpooling_2d gives 2n - 1 pixels unless told otherwise, and is slow on the CPU.
    (n, c, h, w), factor = x[0].shape, layer.settings["factor"]
    if x[0].xp is np:  # pixels as they come from a convolution, with their channels next to one another in memory
        pixels = F.reshape(F.transpose(x[0], (0, 2, 3, 1)), (n, h, 1, w, 1, c))
        pixels = F.reshape(F.broadcast_to(pixels, (n, h, factor, w, factor, c)), (n, h * factor, w * factor, c))
        return F.transpose(pixels, (0, 3, 1, 2))
    pixels = F.broadcast_to(F.reshape(x[0], (n, c, h, 1, w, 1)), (n, c, h, factor, w, factor))
    return F.reshape(pixels, (n, c, h * factor, w * factor))


def max_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The largest number of each window; nothing beyond the image is the largest."""
    settings = layer.settings
    padding, cover_all = settings.get("padding", 0), settings.get("cover_all", False)
    return F.max_pooling_2d(x[0], settings["kernel"], settings["stride"], pad=padding, cover_all=cover_all)


def avg_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The mean of each window; what is beyond the image counts as 0."""
    settings = layer.settings
    return F.average_pooling_2d(x[0], settings["kernel"], settings["stride"], pad=settings.get("padding", 0))


def planes(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Fill a plane of height x width with each number."""
    n, channels = x[0].shape
    return F.broadcast_to(F.reshape(x[0], (n, channels, 1, 1)), (n, *layer.shape))


def concat(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Join the inputs along the channels."""
    return F.concat(x, axis=1)


def add(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The sum of the inputs."""
    return sum(x[1:], x[0])


def subtract(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The first input minus the second."""
    return x[0] - x[1]


def multiply(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The product of the inputs."""
    return math.prod(x[1:], start=x[0])


def matmul(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The product of each sample's two matrices."""
    return F.matmul(x[0], x[1])


def fade(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Mix two inputs, (1 - a) first + a second, where a is the progress of the stage."""
    return x[0] * mode.fade[0] + x[1] * mode.fade[1]
