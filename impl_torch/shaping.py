"""Layers that move, join or reduce numbers, in PyTorch; `spec.layers.shaping` defines them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from ganspec.impl_torch.arrays import Array
from ganspec.impl_torch.mode import Mode, Own
from ganspec.spec.network.architecture import Layer


def one_hot(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Write `on` at each label's place and `off` elsewhere."""
    on, off = layer.settings["on"], layer.settings["off"]
    return F.one_hot(x[0], layer.shape[0]).to(mode.dtype) * (on - off) + off


def reshape(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The same numbers in the same order, in the layer's shape."""
    return x[0].reshape(x[0].shape[0], *layer.shape)


def transpose(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Put the axes of each sample into another order."""
    return x[0].permute(0, *(axis + 1 for axis in layer.settings["axes"]))


def slice_(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """A part of each sample along one axis."""
    start, stop = layer.settings["start"], layer.settings["stop"]
    return x[0].narrow(layer.settings["axis"] + 1, start, stop - start)


def mean(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The mean over some axes of each sample."""
    return x[0].mean(dim=[axis + 1 for axis in layer.settings["axes"]])


def sum_(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The sum over some axes of each sample."""
    return x[0].sum(dim=[axis + 1 for axis in layer.settings["axes"]])


def max_(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The maximum over some axes of each sample, the first of equal numbers."""
    axes = [axis + 1 for axis in layer.settings["axes"]]
    rows = x[0].permute(*(axis for axis in range(x[0].ndim) if axis not in axes), *sorted(axes))
    rows = rows.reshape(x[0].shape[0], *layer.shape, -1)
    return rows.gather(-1, rows.argmax(dim=-1, keepdim=True)).squeeze(
        -1
    )  # amax shares the gradient among equal numbers


def broadcast(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Repeat along the axes of length 1."""
    return x[0].expand(-1, *layer.shape)


def pad(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Put pixels of one value around each image."""
    top, bottom, left, right = layer.settings["padding"]
    return F.pad(x[0], (left, right, top, bottom), mode="constant", value=layer.settings["value"])


def upsample(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Repeat each pixel factor x factor times."""
    return F.interpolate(x[0], scale_factor=layer.settings["factor"], mode="nearest")


def max_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The largest number of each window; nothing beyond the image is the largest."""
    # Not its own padding, of which PyTorch takes at most half a kernel; and its ceil_mode is not always Chainer's cover_all.
    h = _around(layer, x[0], float("-inf"))
    return F.max_pool2d(h, layer.settings["kernel"], layer.settings["stride"], padding=0, ceil_mode=False)


def avg_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The mean of each window; what is beyond the image counts as 0."""
    h = _around(layer, x[0], 0.0)
    return F.avg_pool2d(h, layer.settings["kernel"], layer.settings["stride"], padding=0, ceil_mode=False)


def _around(layer: Layer, x: Array, value: float) -> Array:
    """Put pixels around an image, as many as the windows of a pooling layer need."""
    settings = layer.settings
    if "padding" not in settings and "cover_all" not in settings:
        return x
    amounts = []
    for i in (1, 0):
        kernel, stride, padding = (_pair(settings.get(key, 0))[i] for key in ("kernel", "stride", "padding"))
        amounts += [padding, (layer.shape[1 + i] - 1) * stride + kernel - padding - x.shape[2 + i]]
    return F.pad(x, amounts, mode="constant", value=value)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def planes(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Fill a plane of height x width with each number."""
    return x[0][:, :, None, None].expand(-1, *layer.shape)


def concat(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Join the inputs along the channels."""
    return torch.cat(x, dim=1)


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
    return x[0] @ x[1]


def fade(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Mix two inputs, (1 - a) first + a second, where a is the progress of the stage."""
    return mode.fade[0] * x[0] + mode.fade[1] * x[1]
