"""Layers through which a gradient is differentiated again, as a gradient penalty's is; nothing that must be 0 is computed.

The derivative of leaky ReLU is a constant but for the jump at 0. A convolution y = C(x, w) is linear in x and in w, and so are
its gradients in what they are made of, X(y', w) with respect to x and W(y', x) with respect to w. Where X alone is
differentiated again, nothing flows to x in either.

PyTorch's own rules hand arrays of zeros to x there, and carry them back through the whole forward pass. And they compute the
derivative of X with respect to w as a convolution whose kernels are as large as images, where it is W.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import Function

from ganspec.impl_torch.arrays import Array

Geometry = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]  # stride, padding, dilation, groups


def convolve(x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array:
    """Correlate images with kernels, for gradients with respect to images that are differentiated again.

    Args:
        x: images, (N, C, height, width).
        w: kernels, (c, C / groups, kernel height, kernel width).
        b: number that is added to each output channel, (c,); None for none.
        geometry: stride, padding and dilation, each of rows and of columns, and the number of groups.

    Returns: the images, (N, c, height, width), equal to `torch.nn.functional.conv2d` bit for bit; so are first gradients.
    """
    y = _forward(x.detach(), w, b, geometry)
    return _Joined.apply(y, _ToImages.apply(x, y.detach(), [w], geometry)) if x.requires_grad else y


def leaky_relu(x: Array, slope: float) -> Array:
    """Multiply negative numbers by the slope."""
    return _LeakyReLU.apply(x, slope)


def relu(x: Array) -> Array:
    """Replace negative numbers by 0."""
    return _ReLU.apply(x)


def _forward(x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array:
    stride, padding, dilation, groups = geometry
    return torch.convolution(x, w, b, stride, padding, dilation, False, (0, 0), groups)


def _gradients(y: Array, x: Array, w: Array, geometry: Geometry, wanted: tuple[bool, bool, bool]) -> list[Any]:
    """Returns: the gradients with respect to images, kernels and bias, where wanted, of the gradient `y` at the output."""
    stride, padding, dilation, groups = geometry
    return list(
        torch.ops.aten.convolution_backward(
            y, x, w, None, stride, padding, dilation, False, (0, 0), groups, list(wanted)
        )
    )


class _Joined(Function):
    """Gives y as it is, and hands its gradient on to another way back, too.

    PyTorch goes through a node of its graph only where someone wants a gradient behind it, but tells a Python function nothing of
    what is wanted. So each way back is a node of its own: that to the kernels is y's, that to the images `_ToImages`.
    """

    @staticmethod
    def forward(ctx: Any, y: Array, way: Array) -> Array:
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        return gradients[0], gradients[0]


class _ToImages(Function):
    """The way of a convolution's gradient back to its images; the kernels come in a list, lest they be behind this node, too."""

    @staticmethod
    def forward(ctx: Any, x: Array, y: Array, w: list[Array], geometry: Geometry) -> Array:
        ctx.save_for_backward(x, *w)
        ctx.geometry = geometry
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        x, w = ctx.saved_tensors
        return _ImageGradient.apply(gradients[0], w, x.detach(), ctx.geometry), None, None, None


class _ImageGradient(Function):
    @staticmethod
    def forward(ctx: Any, y: Array, w: Array, like: Array, geometry: Geometry) -> Array:
        ctx.save_for_backward(y, w)
        ctx.geometry = geometry
        return _gradients(y, like, w, geometry, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        (x,), (y, w), geometry = gradients, ctx.saved_tensors, ctx.geometry
        output, kernel = ctx.needs_input_grad[:2]
        made = (convolve if torch.is_grad_enabled() else _forward)(x, w, None, geometry) if output else None
        return made, _gradients(y, x, w.detach(), geometry, (False, True, False))[1] if kernel else None, None, None


class _LeakyReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, slope: float) -> Array:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return F.leaky_relu(x, negative_slope=slope)

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        return torch.ops.aten.leaky_relu_backward(gradients[0], ctx.saved_tensors[0].detach(), ctx.slope, False), None


class _ReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y = F.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        return torch.ops.aten.threshold_backward(gradients[0], ctx.saved_tensors[0].detach(), 0)
