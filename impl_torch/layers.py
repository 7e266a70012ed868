"""The kinds of layer in PyTorch; `spec.layers` defines them. Every value is passed, none is left to a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from impl_torch.arrays import Array
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
    return F.linear(x[0], parameters["W"], parameters.get("b"))


def conv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    top, bottom, left, right = layer.settings["padding"]
    h, padding = x[0], (top, left)
    if (top, left) != (bottom, right):
        h, padding = F.pad(h, (left, right, top, bottom), mode="constant", value=0.0), (0, 0)
    return F.conv2d(h, parameters["W"], parameters.get("b"), stride=layer.settings["stride"], padding=padding)


def deconv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.conv_transpose2d(
        x[0],
        parameters["W"],
        parameters.get("b"),
        stride=layer.settings["stride"],
        padding=layer.settings["padding"],
        output_padding=0,
    )


def batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.batch_norm(
        x[0],
        statistics["mean"],
        statistics["variance"],
        weight=parameters.get("gamma"),
        bias=parameters.get("beta"),
        training=mode.training,
        momentum=layer.settings["momentum"],
        eps=layer.settings["epsilon"],
    )


def leaky_relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.leaky_relu(x[0], negative_slope=layer.settings["slope"])


def relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.relu(x[0])


def elu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.elu(x[0], alpha=layer.settings["alpha"])


def tanh(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return torch.tanh(x[0])


def sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return torch.sigmoid(x[0])


def dropout(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return x[0] * mode.mask(layer, tuple(x[0].shape), x[0]) if mode.training else x[0]


def reshape(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return x[0].reshape(x[0].shape[0], *layer.shape)


def upsample(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.interpolate(x[0], scale_factor=layer.settings["factor"], mode="nearest")


def concat(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return torch.cat(x, dim=1)


def add(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return sum(x[1:], x[0])


def embedding(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    return F.embedding(x[0], parameters["W"])


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
