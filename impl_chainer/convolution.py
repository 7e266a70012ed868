"""Convolution in Chainer: its own on CUDA, where it calls cuDNN, and one by matrix products on the CPU.

On the CPU arrays have the shapes that they have everywhere, (N, channels, height, width), but what is computed here lies in
memory with the channels of a pixel next to one another; NumPy's operations keep this order. The patches of many samples are
then one matrix, whose products need no further copy: y = patches(x) W^T, and the gradient of W is y^T patches(x), summed block
by block. The map is bilinear in x and W, so the three maps below are one another's gradients, to any order.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import chainer.functions as F
import numpy as np
from chainer import FunctionNode
from chainer.utils.type_check import expect

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.memory import BUFFERS
from ganspec.impl_chainer.threads import THREADS
from ganspec.impl_chainer.windows import Pair, Windows

Sides = tuple[int, int, int, int]  # top, bottom, left, right
# A thread has at least so many windows of its own; where there are fewer, threads share each product, of so many products of two
# numbers at least.
ROWS = 256
WORTH = 1 << 23


def pair(size: int | Pair) -> Pair:
    """Returns: a size in both directions, given as one number or as (vertical, horizontal)."""
    return (size, size) if isinstance(size, int) else size


def convolution(
    x: Array, W: Array, b: Array | None, stride: Pair, padding: Sides, dilation: Pair = (1, 1), groups: int = 1
) -> Array:
    """Correlate images with kernels, after padding with zeros.

    To change the content of W between this and its gradients is misuse, on the CPU: there some gradients have the kernels of
    before, in the order of `Kernels`, and others the new ones.

    Args:
        x: images, (N, in, h, w).
        W: kernels, (out, in / groups, kh, kw).
        b: number that is added to each pixel, (out,); None for none.
        stride, dilation: pixels from one window to the next, and from one number of a window to the next.
        padding: zeros at the top, bottom, left and right.
        groups: number of groups of channels.

    Returns: (N, out, ...).

    Raises:
        ValueError: the kernels reach over more than the padded images, or one of them has not four axes.
        InvalidType: shapes or dtypes do not fit, where Chainer's `type_check` is on.
    """
    top, bottom, left, right = padding
    if x.xp is not np:
        if (top, left) != (bottom, right):
            x = F.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), "constant", constant_values=0.0)
            top = left = 0
        return F.convolution_2d(x, W, b, stride=stride, pad=(top, left), dilate=dilation, groups=groups)
    if (x.ndim, W.ndim) != (4, 4):
        raise ValueError(
            f"images have the shape {list(x.shape)} and kernels {list(W.shape)}, expected four axes of each"
        )
    kernel, size = W.shape[2:], x.shape[2:]
    reach = ((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    padded = (size[0] + top + bottom, size[1] + left + right)
    count = tuple((p - r) // s + 1 for p, r, s in zip(padded, reach, stride, strict=True))
    if min(count) < 1:
        raise ValueError(
            f"kernels {list(kernel)} dilated by {list(dilation)} do not fit into padded images {list(padded)}"
        )
    windows = Windows(size, count, kernel, stride, (top, left), dilation)
    return Convolution(windows, Kernels(W.array, groups)).apply((x, W) if b is None else (x, W, b))[0]


def transposed_convolution(y: Array, W: Array, b: Array | None, stride: Pair, padding: Pair, size: Pair) -> Array:
    """Returns: (N, out, *size) for y (N, in, ...), W (in, out, kh, kw) and b (out,); W must not change, as in `convolution`."""
    if y.xp is not np:
        return F.deconvolution_2d(y, W, b, stride=stride, pad=padding, outsize=size)
    windows = Windows(size, y.shape[2:], W.shape[2:], stride, padding)
    return TransposedConvolution(windows, Kernels(W.array, 1)).apply((y, W) if b is None else (y, W, b))[0]


def linear(x: Array, W: Array, b: Array | None) -> Array:
    """Returns: x W^T + b for x (N, ...), whose numbers are (N, in) in their order, W (out, in) and b (out,)."""
    if x.xp is not np or THREADS.number() < 2:
        return F.linear(x, W, b, n_batch_axes=1)
    pixels = F.reshape(x, (len(x), -1, 1, 1))
    y = convolution(pixels, F.reshape(W, (*W.shape, 1, 1)), b, stride=(1, 1), padding=(0, 0, 0, 0))
    return F.reshape(y, (len(x), len(W)))


class Kernels:
    """Kernels W (out, in / groups, kh, kw) in the orders that products need, each made once, when it is first asked for.

    W must keep its content as long as these are used.
    """

    def __init__(self, W: Any, groups: int) -> None:
        self.W, self.groups = W, groups

    @cached_property
    def rows(self) -> Any:
        """One kernel in each row, (groups, out / groups, kh kw in / groups)."""
        return self.W.transpose(0, 2, 3, 1).reshape(self.groups, len(self.W) // self.groups, -1)

    @cached_property
    def mirrored(self) -> Any:
        """One input channel in each column, both directions reversed, (groups, kh kw out / groups, in / groups)."""
        out, c, kh, kw = self.W.shape
        taps = self.rows.reshape(self.groups, out // self.groups, kh * kw, c)[:, :, ::-1]
        return taps.transpose(0, 2, 1, 3).reshape(self.groups, -1, c)


class Bilinear(FunctionNode):
    """What the three maps share. In each group of channels they are the same maps, on their own part of every array.

    A third input, where there is one, is a bias that is added to each pixel.

    Args:
        windows: what a kernel sees on the side that has patches.
        kernels: the kernels with which it all began; gradients use them again.
    """

    takes: tuple[str, str]  # which of x, y and W its first two inputs are

    def __init__(self, windows: Windows, kernels: Kernels) -> None:
        self.windows, self.kernels, self.groups = windows, kernels, kernels.groups

    def check_type_forward(self, in_types: Any) -> None:
        given, windows, groups = dict(zip((*self.takes, "b"), in_types, strict=False)), self.windows, self.groups
        x, y, W, b = (given.get(name) for name in ("x", "y", "W", "b"))
        for name, each in given.items():
            expect(each.dtype.kind == "f", each.dtype == in_types[0].dtype, each.ndim == (1 if name == "b" else 4))
        for each, size in ((x, windows.size), (y, windows.count), (W, windows.kernel)):
            if each is not None:
                expect(each.shape[2] == size[0], each.shape[3] == size[1])
        if W is None:
            expect(x.shape[0] == y.shape[0], x.shape[1] % groups == 0, y.shape[1] % groups == 0)
            return
        inside, outside = W.shape[1] * groups, W.shape[0]
        expect(outside % groups == 0, y.shape[1] == outside if x is None else x.shape[1] == inside)
        if b is not None:
            expect(b.shape[0] == (inside if x is None else outside))

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any]:
        self.retain_inputs((0, 1))
        return (self.product(*inputs),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array]) -> list[Array]:
        a, b = self.get_retained_inputs()
        (g,) = gradients
        return [F.sum(g, axis=(0, 2, 3)) if i == 2 else self.gradient(i, a, b, g) for i in indexes]

    def kernels_of(self, W: Any) -> Kernels:
        """Returns: the kernels of an array, which may be others in a gradient of a gradient."""
        return self.kernels if W is self.kernels.W else Kernels(W, self.groups)

    def pixels(self, y: Any) -> Any:
        """Returns: y (N, height, width, channels) as a matrix of pixels for each group, (groups, pixels, channels / groups)."""
        return y.reshape(-1, self.groups, y.shape[3] // self.groups).transpose(1, 0, 2)


class Convolution(Bilinear):
    """x (N, in, h, w), W (out, in / groups, kh, kw) -> y (N, out, ...)."""

    takes = ("x", "W")

    def product(self, x: Any, W: Any, b: Any = None) -> Any:
        kernels = self.kernels_of(W).rows.transpose(0, 2, 1)
        return correlated(self.windows, self.groups, x, kernels, b)

    def gradient(self, index: int, x: Array, W: Array, g: Array) -> Array:
        wanted, given = ((TransposedConvolution, (g, W)), (WeightGradient, (x, g)))[index]
        return wanted(self.windows, self.kernels).apply(given)[0]


class TransposedConvolution(Bilinear):
    """y (N, out, ...), W (out, in / groups, kh, kw) -> x (N, in, h, w)."""

    takes = ("y", "W")

    def product(self, y: Any, W: Any, b: Any = None) -> Any:
        windows, groups, kernels = self.windows, self.groups, self.kernels_of(W)
        outputs, inputs = len(W), W.shape[1] * groups
        single = windows.kernel == (1, 1)  # patches are the images themselves
        # Unless y has many more channels than x, copying patches of y is less than adding patches of x.
        if windows.stride == (1, 1) and (single or outputs <= 2 * inputs):
            return correlated(windows.mirrored(), groups, y, kernels.mirrored, b)
        x, rows = np.empty((len(y), *windows.size, inputs), y.dtype), kernels.rows

        def compute(samples: slice) -> None:
            own, made = channels_last(y[samples]), x[samples]
            made[...] = 0
            for block in windows.blocks(len(own), inputs, y.itemsize):
                pixels = self.pixels(own[block])
                patches = BUFFERS.array("patches", (groups, pixels.shape[1], rows.shape[2]), y.dtype)
                windows.add(multiply(pixels, rows, patches), block, made)
            if b is not None:
                made += b

        THREADS.over(len(y), compute, samples_of_a_thread(windows))
        return x.transpose(0, 3, 1, 2)

    def gradient(self, index: int, y: Array, W: Array, g: Array) -> Array:
        wanted, given = ((Convolution, (g, W)), (WeightGradient, (g, y)))[index]
        return wanted(self.windows, self.kernels).apply(given)[0]


class WeightGradient(Bilinear):
    """x (N, in, h, w), y (N, out, ...) -> W (out, in / groups, kh, kw), summed over the samples."""

    takes = ("x", "y")

    def product(self, x: Any, y: Any) -> Any:
        x, y, kernel = channels_last(x), channels_last(y), self.windows.kernel
        total = part = None
        for block in self.windows.blocks(len(x), x.shape[3], x.itemsize):
            patches, pixels = self.windows.patches(x, block, self.groups), self.pixels(y[block]).transpose(0, 2, 1)
            if total is None:
                total = multiply(pixels, patches)
            else:
                part = multiply(pixels, patches, part)
                total += part
        if total is None:  # no samples
            total = np.zeros((y.shape[3], *kernel, x.shape[3] // self.groups), x.dtype)
        return total.reshape(y.shape[3], *kernel, -1).transpose(0, 3, 1, 2)

    def gradient(self, index: int, x: Array, y: Array, g: Array) -> Array:
        wanted, given = ((TransposedConvolution, (y, g)), (Convolution, (x, g)))[index]
        return wanted(self.windows, self.kernels).apply(given)[0]


def channels_last(x: Any) -> Any:
    """Returns: (N, height, width, channels), in this order in memory, for x (N, channels, height, width)."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def correlated(windows: Windows, groups: int, x: Any, kernels: Any, b: Any) -> Any:
    """Returns: (N, out, ...) for x (N, in, h, w), kernels (groups, kh kw in / groups, out / groups) and b (out,) or None."""
    y = np.empty((len(x), *windows.count, groups * kernels.shape[2]), x.dtype)

    def compute(samples: slice) -> None:
        own, into = channels_last(x[samples]), y[samples]
        for block in windows.blocks(len(own), x.shape[1], x.itemsize):
            made = into[block]
            pixels = made.reshape(-1, groups, kernels.shape[2]).transpose(1, 0, 2)
            multiply(windows.patches(own, block, groups), kernels, pixels)
            if b is not None:
                made += b

    THREADS.over(len(x), compute, samples_of_a_thread(windows))
    return y.transpose(0, 3, 1, 2)


def samples_of_a_thread(windows: Windows) -> int:
    """Returns: how many samples a thread has at least; each brings all kernels into an order of OpenBLAS's own."""
    return -(-ROWS // max(math.prod(windows.count), 1))


def multiply(a: Any, b: Any, out: Any = None) -> Any:
    """Returns: the products of matrices a (groups, m, k) and b (groups, k, n), in `out`; threads share the columns."""
    out = np.empty((*a.shape[:2], b.shape[2]), a.dtype) if out is None else out
    least = WORTH // max(a.size, 1)
    THREADS.over(b.shape[2], lambda part: np.matmul(a, b[:, :, part], out=out[:, :, part]), least)
    return out
