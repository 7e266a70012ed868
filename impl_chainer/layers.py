"""The kinds of layer in Chainer; `spec.layers` defines them. Every value is passed, none is left to a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import chainer
import chainer.functions as F
import numpy as np

from impl_chainer.arrays import Array
from spec.architecture import Layer


@dataclass(frozen=True)
class Mode:
    """How a network is evaluated: in training or inference, and where dropout's masks come from.

    `mask(layer, shape, like)` gives zeros and 1 / (1 - rate).
    """

    training: bool
    mask: Callable[[Layer, tuple[int, ...], Array], Array]


Own = Mapping[str, Array]  # a layer's parameters or statistics by their short names


def linear(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.linear(x[0], parameters["W"], parameters.get("b"), n_batch_axes=1)


def conv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    top, bottom, left, right = layer.settings["padding"]
    h, padding = x[0], (top, left)
    if (top, left) != (bottom, right):
        h, padding = F.pad(h, ((0, 0), (0, 0), (top, bottom), (left, right)), "constant", constant_values=0.0), (0, 0)
    return F.convolution_2d(h, parameters["W"], parameters.get("b"), stride=layer.settings["stride"], pad=padding)


def deconv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.deconvolution_2d(
        x[0],
        parameters["W"],
        parameters.get("b"),
        stride=layer.settings["stride"],
        pad=layer.settings["padding"],
        outsize=layer.shape[1:],
    )


def batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    mean, variance = statistics["mean"].array, statistics["variance"].array
    gamma = parameters.get("gamma", _filled(mean, 1.0))
    beta = parameters.get("beta", _filled(mean, 0.0))
    epsilon = layer.settings["epsilon"]
    if not mode.training:
        return F.fixed_batch_normalization(x[0], gamma, beta, mean, variance, eps=epsilon)
    return F.batch_normalization(
        x[0],
        gamma,
        beta,
        eps=epsilon,
        running_mean=mean,
        running_var=variance,
        decay=1.0 - layer.settings["momentum"],
    )


def _filled(like: Any, value: float) -> Any:
    # F.batch_normalization has no form without gamma or beta.
    return chainer.backend.get_array_module(like).full_like(like, value)


def leaky_relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    if x[0].xp is not np:
        return F.leaky_relu(x[0], slope=layer.settings["slope"])
    # On the CPU F.leaky_relu indexes with booleans, which takes several times as long, forward and backward.
    positive = x[0].array > 0
    slopes = np.multiply(~positive, layer.settings["slope"], dtype=x[0].dtype)
    slopes += positive
    return x[0] * Array(slopes, requires_grad=False)


def relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.relu(x[0])


def elu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.elu(x[0], alpha=layer.settings["alpha"])


def tanh(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.tanh(x[0])


def sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.sigmoid(x[0])


def dropout(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return x[0] * mode.mask(layer, x[0].shape, x[0]) if mode.training else x[0]


def reshape(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.reshape(x[0], (x[0].shape[0], *layer.shape))


def upsample(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    # By broadcasting: F.unpooling_2d gives 2n - 1 pixels unless told otherwise, and is slow on the CPU.
    (n, c, h, w), factor = x[0].shape, layer.settings["factor"]
    pixels = F.broadcast_to(F.reshape(x[0], (n, c, h, 1, w, 1)), (n, c, h, factor, w, factor))
    return F.reshape(pixels, (n, c, h * factor, w * factor))


def concat(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.concat(x, axis=1)


def add(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return sum(x[1:], x[0])


def embedding(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.embed_id(x[0], parameters["W"], ignore_label=None)


LAYERS = {
    "linear": linear,
    "conv": conv,
    "deconv": deconv,
    "batch_norm": batch_norm,
    "leaky_relu": leaky_relu,
    "relu": relu,
    "elu": elu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "dropout": dropout,
    "reshape": reshape,
    "flatten": reshape,
    "upsample": upsample,
    "concat": concat,
    "add": add,
    "embedding": embedding,
}
