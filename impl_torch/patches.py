"""Convolutions of few pixels with large kernels as products of matrices, on the CPU.

A convolution is one product: the patches of all images, one row for each pixel of the result, times the kernels. Where kernels
lie with their channels last they are that matrix as they are, and so is their gradient. PyTorch's convolutions bring kernels into
another order in each call, forwards and twice backwards, and fill a processor's registers from rows of pixels, of which a small
image has too few. docs/speed.md says what that costs.

Everything here can be differentiated any number of times: taking patches and adding them up are each other's gradient.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import Function

from ganspec.impl_torch.arrays import Array

Pair = tuple[int, int]  # of rows and of columns
Windows = tuple[Pair, Pair, Pair]  # size, stride and padding
WORTH = 1 << 16  # numbers of a kernel, at least


def pay(w: Array, rows: int) -> bool:
    """Returns: whether a product with kernels (c, ...) is faster; `rows` is the number of rows that meet the c.

    Then the patches, too, are no more numbers than the kernels. Of small kernels PyTorch's order costs less than one more call.
    """
    lies_so = w.is_contiguous(memory_format=torch.channels_last)
    return not w.is_cuda and lies_so and w.numel() >= WORTH and rows <= w.shape[0]


def convolve(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pair) -> Array:
    """Correlate images with kernels; `torch.nn.functional.conv2d` but for rounding.

    Args:
        x: images, (N, C, height, width).
        w: kernels, (c, C, kernel height, kernel width).
        b: number that is added to each output channel, (c,); None for none.
        stride, padding: those of rows and of columns.

    Returns: images, (N, c, height, width).
    """
    patches = _Patches.apply(x.permute(0, 2, 3, 1), (_size(w), stride, padding))
    y = F.linear(patches.flatten(0, 2).flatten(1), w.permute(0, 2, 3, 1).flatten(1), b)
    return y.view(*patches.shape[:3], w.shape[0]).permute(0, 3, 1, 2)


def convolve_transposed(x: Array, w: Array, b: Array | None, shape: Pair, stride: Pair, padding: Pair) -> Array:
    """The transposed convolution; `torch.nn.functional.conv_transpose2d` but for rounding.

    Args:
        x: images, (N, C, height, width).
        w: kernels, (C, c, kernel height, kernel width).
        b: number that is added to each output channel, (c,); None for none.
        shape: height and width of the result.
        stride, padding: those of rows and of columns.

    Returns: images, (N, c, *shape).
    """
    pixels, (height, width) = x.permute(0, 2, 3, 1), _size(w)
    patches = F.linear(pixels.flatten(0, 2), w.permute(0, 2, 3, 1).flatten(1).T)
    patches = patches.view(*pixels.shape[:3], height, width, w.shape[1])
    y = _Sums.apply(patches, ((height, width), stride, padding), shape)
    return (y if b is None else y + b).permute(0, 3, 1, 2)


def _size(w: Array) -> Pair:
    return w.shape[2], w.shape[3]


class _Patches(Function):
    """The windows of images (N, height, width, C): (N, rows, columns, window height, window width, C)."""

    @staticmethod
    def forward(ctx: Any, x: Array, windows: Windows) -> Array:
        ctx.windows, ctx.shape = windows, (x.shape[1], x.shape[2])
        size, stride, (top, left) = windows
        padded = F.pad(x, (0, 0, left, left, top, top), mode="constant", value=0.0) if top or left else x
        for axis in (0, 1):
            padded = padded.unfold(1 + axis, size[axis], stride[axis])
        return padded.permute(0, 1, 2, 4, 5, 3).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        return _Sums.apply(gradients[0], ctx.windows, ctx.shape), None


class _Sums(Function):
    """Images whose pixels are the sums of those of all windows that they lie in."""

    @staticmethod
    def forward(ctx: Any, patches: Array, windows: Windows, shape: Pair) -> Array:
        ctx.windows = windows
        size, stride, padding = windows
        samples, *counts, channels = (patches.shape[i] for i in (0, 1, 2, 5))
        y = patches.new_zeros(samples, *(shape[a] + 2 * padding[a] for a in (0, 1)), channels)
        for row in range(size[0]):
            for column in range(size[1]):
                rows, columns = (
                    slice(first, first + step * (count - 1) + 1, step)
                    for first, step, count in zip((row, column), stride, counts, strict=True)
                )
                y[:, rows, columns] += patches[:, :, :, row, column]
        return y[:, padding[0] : padding[0] + shape[0], padding[1] : padding[1] + shape[1]]

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        return _Patches.apply(gradients[0], ctx.windows), None, None
