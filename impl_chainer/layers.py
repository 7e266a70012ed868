"""The kinds of layer in Chainer, those with weights among them; `spec.layers` defines them.

Every value is passed, none is left to a default. Kinds without weights of a linear map are in `normalising`, `activations` and
`shaping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import chainer.functions as F
import numpy as np

from ganspec.impl_chainer import activations, normalising, shaping
from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.convolution import convolution, pair, transposed_convolution
from ganspec.impl_chainer.convolution import linear as product
from ganspec.impl_chainer.mode import Mode, Own
from ganspec.impl_chainer.spectral_norm import SpectralNorm, divided, matrix, times
from ganspec.spec.network.architecture import Layer


def weight(layer: Layer, parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The weight as the layer uses it: after spectral norm, and times its gain."""
    w = parameters["W"]
    if settings := layer.settings.get("spectral_norm"):
        u, v, s = largest_singular_value(w, statistics["u"], settings, mode)
        w = SpectralNorm(u, v, s).apply((w,))[0] if w.xp is np else divided(w, u, v)
    return w * layer.settings["gain"] if "gain" in layer.settings else w


def largest_singular_value(w: Array, kept: Array, settings: Mapping[str, Any], mode: Mode) -> tuple[Any, Any, Any]:
    """Estimate it by power iterations from the kept vector, which then moves on; returns the vectors u and v, and s = u^T W v."""
    values, u, epsilon, xp = matrix(w.array), kept.array.copy(), settings["epsilon"], kept.xp
    for _ in range(settings["iterations"]):
        v = times(values.T, u)
        v = v / (xp.sqrt((v * v).sum()) + epsilon)
        product = times(values, v)
        u = product / (xp.sqrt((product * product).sum()) + epsilon)
    if mode.training or settings["advance"] == "always":
        kept.array[...] = u
    return u, v, (u * product).sum()


def linear(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the weight matrix and add the bias; of several inputs each has its columns of the matrix."""
    w = weight(layer, parameters, statistics, mode)
    first, *others = parts_of(w, x)
    y = product(x[0], first, parameters.get("b"))
    for a, columns in zip(x[1:], others, strict=True):
        y = y + product(a, columns, None)
    return y


def parts_of(joined: Array, x: Sequence[Array]) -> Sequence[Array]:
    """The columns of an array, as many for each part as the arrays have that would be joined."""
    ends = list(accumulate(a.shape[1] for a in x))[:-1]
    return F.split_axis(joined, ends, axis=1) if ends else [joined]


def conv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Correlate with the kernels, after zero padding on each side as the layer says."""
    stride, dilation, groups = (layer.settings.get(key, 1) for key in ("stride", "dilation", "groups"))
    w = weight(layer, parameters, statistics, mode)
    padding = tuple(layer.settings["padding"])
    return convolution(x[0], w, parameters.get("b"), pair(stride), padding, pair(dilation), groups)


def deconv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Transposed convolution; the shape of its output is the layer's."""
    return transposed_convolution(
        x[0],
        weight(layer, parameters, statistics, mode),
        parameters.get("b"),
        stride=pair(layer.settings["stride"]),
        padding=pair(layer.settings["padding"]),
        size=layer.shape[1:],
    )


def embedding(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Take the weight's row of each label."""
    return F.embed_id(x[0], parameters["W"], ignore_label=None)


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
