"""The kinds of layer in PyTorch, those with weights among them; `spec.layers` defines them.

Every value is passed, none is left to a default. Kinds without weights of a linear map are in `normalising`, `activations` and
`shaping`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import Function

from ganspec.impl_torch import activations, double_backward, normalising, patches, shaping
from ganspec.impl_torch.arrays import Array
from ganspec.impl_torch.mode import Mode, Own
from ganspec.spec.network.architecture import Layer


def weight(layer: Layer, parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The weight as the layer uses it: after spectral norm, and times its gain."""
    w = parameters["W"]
    if settings := layer.settings.get("spectral_norm"):
        w = _Quotient.apply(w, largest_singular_value(w, statistics["u"], settings, mode))
    return w * layer.settings["gain"] if "gain" in layer.settings else w


def largest_singular_value(w: Array, kept: Array, settings: Mapping[str, Any], mode: Mode) -> Array:
    """Estimate it by power iterations from the kept vector, which then moves on; the vectors are constants for gradients."""
    matrix, u, epsilon = _lying_as(w, w).reshape(w.shape[0], -1), kept.clone(), settings["epsilon"]
    with torch.no_grad():
        for _ in range(settings["iterations"]):
            v = matrix.T @ u
            v = v / (torch.sqrt((v * v).sum()) + epsilon)
            u = matrix @ v
            u = u / (torch.sqrt((u * u).sum()) + epsilon)
        if mode.training or settings["advance"] == "always":
            kept.copy_(u)
    return (u * (matrix @ v)).sum()


def _lying_as(w: Array, a: Array) -> Array:
    """An array in the order in which the numbers of a weight lie, so that none are moved; it only decides how sums round."""
    return a.permute(0, 2, 3, 1) if w.dim() == 4 and w.is_contiguous(memory_format=torch.channels_last) else a


class _Quotient(Function):
    """w / s. PyTorch makes four arrays as large as w for the gradient with respect to the number s, which is one product."""

    @staticmethod
    def forward(ctx: Any, w: Array, s: Array) -> Array:
        ctx.save_for_backward(w, s)
        return w / s

    @staticmethod
    def backward(ctx: Any, *gradients: Array) -> Any:
        (y,), (w, s) = gradients, ctx.saved_tensors
        product = torch.dot(_lying_as(w, y).reshape(-1), _lying_as(w, w).reshape(-1))
        return y / s, -product / (s * s)


def linear(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the weight matrix and add the bias; of several inputs each has its columns of the matrix."""
    w = weight(layer, parameters, statistics, mode)
    first, *others = parts_of(w, x)
    y = F.linear(x[0], first, parameters.get("b"))
    for a, columns in zip(x[1:], others, strict=True):
        y = torch.addmm(y, a, columns.t())
    return y


def parts_of(joined: Array, x: Sequence[Array]) -> Sequence[Array]:
    """The columns of an array, as many for each part as the arrays have that would be joined."""
    return joined.split([a.shape[1] for a in x], dim=1) if len(x) > 1 else [joined]


def conv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Correlate with the kernels, after zero padding on each side as the layer says."""
    top, bottom, left, right = layer.settings["padding"]
    h, padding = x[0], (top, left)
    if (top, left) != (bottom, right):
        h, padding = F.pad(h, (left, right, top, bottom), mode="constant", value=0.0), (0, 0)
    w = weight(layer, parameters, statistics, mode)
    stride, dilation, groups = (layer.settings.get(key, 1) for key in ("stride", "dilation", "groups"))
    if (_pair(dilation), groups) == ((1, 1), 1) and patches.pay(w, h.shape[0] * math.prod(layer.shape[1:])):
        return patches.convolve(h, w, parameters.get("b"), _pair(stride), padding)
    if mode.twice:
        geometry = (_pair(stride), padding, _pair(dilation), groups)
        return double_backward.convolve(h, w, parameters.get("b"), geometry)
    return F.conv2d(h, w, parameters.get("b"), stride=stride, padding=padding, dilation=dilation, groups=groups)


def _pair(setting: int | Sequence[int]) -> tuple[int, int]:
    rows, columns = (setting, setting) if isinstance(setting, int) else setting
    return rows, columns


def deconv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Transposed convolution; the shape of its output is the layer's."""
    w, b = weight(layer, parameters, statistics, mode), parameters.get("b")
    stride, padding = layer.settings["stride"], layer.settings["padding"]
    if patches.pay(w, x[0].numel() // w.shape[0]):
        _, *shape = layer.shape
        return patches.convolve_transposed(x[0], w, b, _pair(shape), _pair(stride), _pair(padding))
    return F.conv_transpose2d(x[0], w, b, stride=stride, padding=padding, output_padding=0)


def embedding(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Take the weight's row of each label."""
    return F.embedding(x[0], parameters["W"])


LAYERS = {
    "linear": linear,
    "conv": conv,
    "deconv": deconv,
    "embedding": embedding,
    "one_hot": shaping.one_hot,
    "batch_norm": normalising.batch_norm,
    "conditional_batch_norm": normalising.conditional_batch_norm,
    "layer_norm": normalising.layer_norm,
    "instance_norm": normalising.instance_norm,
    "group_norm": normalising.group_norm,
    "pixel_norm": normalising.pixel_norm,
    "normalize": normalising.normalize,
    "local_response_norm": normalising.local_response_norm,
    "minibatch_std": normalising.minibatch_std,
    "minibatch_discrimination": normalising.minibatch_discrimination,
    "dropout": normalising.dropout,
    "leaky_relu": activations.leaky_relu,
    "prelu": activations.prelu,
    "relu": activations.relu,
    "elu": activations.elu,
    "tanh": activations.tanh,
    "sigmoid": activations.sigmoid,
    "hard_sigmoid": activations.hard_sigmoid,
    "softplus": activations.elementwise,
    "swish": activations.swish,
    "abs": activations.elementwise,
    "exp": activations.elementwise,
    "log": activations.elementwise,
    "sqrt": activations.elementwise,
    "clip": activations.clip,
    "softmax": activations.softmax,
    "scale": activations.scale,
    "trained_scale": activations.trained_scale,
    "bias": activations.bias,
    "reshape": shaping.reshape,
    "flatten": shaping.reshape,
    "transpose": shaping.transpose,
    "slice": shaping.slice_,
    "mean": shaping.mean,
    "sum": shaping.sum_,
    "max": shaping.max_,
    "broadcast": shaping.broadcast,
    "pad": shaping.pad,
    "upsample": shaping.upsample,
    "max_pool": shaping.max_pool,
    "avg_pool": shaping.avg_pool,
    "planes": shaping.planes,
    "concat": shaping.concat,
    "add": shaping.add,
    "subtract": shaping.subtract,
    "multiply": shaping.multiply,
    "matmul": shaping.matmul,
    "fade": shaping.fade,
}
