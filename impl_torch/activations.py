"""Layers that act on each number by itself, in PyTorch; `spec.layers.activations` defines them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganspec.impl_torch import double_backward, operations
from ganspec.impl_torch.arrays import Array
from ganspec.impl_torch.mode import Mode, Own
from ganspec.spec.network.architecture import Layer


def wide(parameter: Array, like: Array) -> Array:
    """Give a parameter an axis of length 1 for the batch, and on its right as many as it takes to have those of `like`."""
    return parameter.reshape(1, *parameter.shape, *(1,) * (like.ndim - 1 - parameter.ndim))


def leaky_relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply negative numbers by the slope."""
    slope = layer.settings["slope"]
    return double_backward.leaky_relu(x[0], slope) if mode.twice else F.leaky_relu(x[0], negative_slope=slope)


def prelu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply negative numbers by trained slopes."""
    return torch.where(x[0] > 0, x[0], wide(parameters["W"], x[0]) * x[0])


def relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace negative numbers by 0."""
    return double_backward.relu(x[0]) if mode.twice else F.relu(x[0])


def elu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace a negative x by alpha (exp(x) - 1)."""
    return F.elu(x[0], alpha=layer.settings["alpha"])


def tanh(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Hyperbolic tangent."""
    return torch.tanh(x[0])


def sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """1 / (1 + exp(-x))."""
    return operations.sigmoid(x[0])


def hard_sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """slope x + 0.5, moved into [0, 1]."""
    return torch.clamp(x[0] * layer.settings["slope"] + 0.5, 0.0, 1.0)


def elementwise(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The function of formulas that has the kind's name."""
    return operations.ELEMENTWISE[layer.kind](x[0])


def swish(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """x times the sigmoid of beta x, where beta is trained."""
    return x[0] * operations.sigmoid(wide(parameters["beta"], x[0]) * x[0])


def clip(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Move each number into [low, high]."""
    return torch.clamp(x[0], layer.settings["low"], layer.settings["high"])


def softmax(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """exp(x) over the sum of exp(x) of all channels."""
    return torch.softmax(x[0], dim=1)


def scale(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the layer's factor."""
    return x[0] * layer.settings["factor"]


def trained_scale(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by trained factors."""
    return x[0] * wide(parameters["W"], x[0])


def bias(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Add trained numbers."""
    return x[0] + wide(parameters["b"], x[0])
