"""Convolution in Chainer: its own on CUDA, where it calls cuDNN, and one by matrix products on the CPU.

Chainer's own on the CPU copies every matrix of image patches once more, to multiply all samples at once, and leaves its
result in an order of axes that slows down what comes after. Here the patches of a sample are multiplied where they lie:
y_n = W patches(x_n). The map is bilinear in x and W, so the three maps below are one another's gradients, to any order.
"""

from __future__ import annotations

from typing import Any

import chainer.functions as F
import numpy as np
from chainer import FunctionNode
from chainer.utils.conv import col2im_cpu, im2col_cpu

from ganspec.impl_chainer.arrays import Array

Pair = tuple[int, int]  # vertical, horizontal


def pair(size: int | Pair) -> Pair:
    """Returns: a size in both directions, given as one number or as (vertical, horizontal)."""
    return (size, size) if isinstance(size, int) else size


def convolution(
    x: Array, W: Array, b: Array | None, stride: Pair, padding: Pair, dilation: Pair = (1, 1), groups: int = 1
) -> Array:
    """Returns: (N, out, ...) for x (N, in, h, w), W (out, in / groups, kh, kw) and b (out,)."""
    if x.xp is not np:
        return F.convolution_2d(x, W, b, stride=stride, pad=padding, dilate=dilation, groups=groups)
    (y,) = Convolution(x.shape[2:], W.shape[2:], stride, padding, dilation, groups).apply((x, W))
    return y if b is None else F.bias(y, b, axis=1)


def transposed_convolution(y: Array, W: Array, b: Array | None, stride: Pair, padding: Pair, size: Pair) -> Array:
    """Returns: (N, out, *size) for y (N, in, ...), W (in, out, kh, kw) and b (out,)."""
    if y.xp is not np:
        return F.deconvolution_2d(y, W, b, stride=stride, pad=padding, outsize=size)
    (x,) = TransposedConvolution(size, W.shape[2:], stride, padding).apply((y, W))
    return x if b is None else F.bias(x, b, axis=1)


class Bilinear(FunctionNode):
    """What the three maps share. In each group of channels they are the same maps, on their own part of every array.

    Args:
        size: height and width on the side that has patches.
        kernel: height and width of a kernel.
        stride: pixels from one patch to the next.
        padding: zeros before and after the image.
        dilation: pixels from one number of a kernel to the next.
        groups: number of groups of channels.
    """

    def __init__(
        self, size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1), groups: int = 1
    ) -> None:
        self.geometry = (size, kernel, stride, padding, dilation, groups)

    def forward(self, inputs: tuple[Any, Any]) -> tuple[Any]:
        self.retain_inputs((0, 1))
        return (self.product(*inputs),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array]) -> list[Array]:
        a, b = self.get_retained_inputs()
        return [self.gradient(i, a, b, gradients[0])[0] for i in indexes]

    def patches(self, x: Any) -> tuple[Any, Pair]:
        """Returns: (N, groups, channels / groups * kh kw, count), and the count as height and width."""
        _, kernel, stride, padding, dilation, groups = self.geometry
        patches = im2col_cpu(x, *kernel, *stride, *padding, dy=dilation[0], dx=dilation[1])
        return patches.reshape(len(x), groups, -1, patches[0, 0, 0, 0].size), patches.shape[4:]

    def matrices(self, W: Any) -> Any:
        """Returns: W as a matrix for each group, (groups, out / groups, in / groups * kh kw)."""
        groups = self.geometry[5]
        return W.reshape(groups, len(W) // groups, -1)

    def parts(self, y: Any) -> Any:
        """Returns: y in groups of channels, (N, groups, out / groups, count)."""
        groups = self.geometry[5]
        return y.reshape(len(y), groups, y.shape[1] // groups, -1)


class Convolution(Bilinear):
    """x (N, in, h, w), W (out, in / groups, kh, kw) -> y (N, out, ...)."""

    def product(self, x: Any, W: Any) -> Any:
        patches, size = self.patches(x)
        return np.matmul(self.matrices(W), patches).reshape(len(x), len(W), *size)

    def gradient(self, index: int, x: Array, W: Array, g: Array) -> tuple[Array]:
        wanted, given = ((TransposedConvolution, (g, W)), (WeightGradient, (x, g)))[index]
        return wanted(*self.geometry).apply(given)


class TransposedConvolution(Bilinear):
    """y (N, out, ...), W (out, in / groups, kh, kw) -> x (N, in, h, w)."""

    def product(self, y: Any, W: Any) -> Any:
        size, kernel, stride, padding, dilation, groups = self.geometry
        patches = np.matmul(self.matrices(W).transpose(0, 2, 1), self.parts(y))
        patches = patches.reshape(len(y), groups * W.shape[1], *kernel, *y.shape[2:])
        return col2im_cpu(patches, *stride, *padding, *size, dy=dilation[0], dx=dilation[1])

    def gradient(self, index: int, y: Array, W: Array, g: Array) -> tuple[Array]:
        wanted, given = ((Convolution, (g, W)), (WeightGradient, (g, y)))[index]
        return wanted(*self.geometry).apply(given)


class WeightGradient(Bilinear):
    """x (N, in, h, w), y (N, out, ...) -> W (out, in / groups, kh, kw), summed over the samples."""

    def product(self, x: Any, y: Any) -> Any:
        patches, _ = self.patches(x)
        products = np.matmul(self.parts(y), patches.transpose(0, 1, 3, 2))
        return products.sum(axis=0).reshape(y.shape[1], -1, *self.geometry[1])

    def gradient(self, index: int, x: Array, y: Array, g: Array) -> tuple[Array]:
        wanted, given = ((TransposedConvolution, (y, g)), (Convolution, (x, g)))[index]
        return wanted(*self.geometry).apply(given)
