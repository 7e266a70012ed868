"""Layers that act on each number by itself, in Chainer; `spec.layers.activations` defines them."""

from __future__ import annotations

from typing import Any

import chainer
import chainer.functions as F
import numpy as np
from chainer.functions.activation.elu import ELU, ELUGrad

from ganspec.impl_chainer import operations
from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.mode import Mode, Own
from ganspec.spec.network.architecture import Layer


def wide(parameter: Array, like: Array) -> Array:
    """Give a parameter an axis of length 1 for the batch, and on its right as many as it takes, and repeat it along them."""
    shape = (1, *parameter.shape, *(1,) * (like.ndim - 1 - parameter.ndim))
    return F.broadcast_to(F.reshape(parameter, shape), like.shape)


def leaky_relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply negative numbers by the slope."""
    if x[0].xp is not np:
        return F.leaky_relu(x[0], slope=layer.settings["slope"])
    return _LeakyRelu(layer.settings["slope"]).apply((x[0],))[0]


class _LeakyRelu(chainer.FunctionNode):
    # On the CPU F.leaky_relu indexes with booleans, which takes several times as long, forward and backward.
    def __init__(self, slope: float) -> None:
        self.slope, self._slopes = slope, None

    def forward(self, inputs: tuple[Any]) -> tuple[Any]:
        (x,) = inputs
        if 0 < self.slope <= 1:  # y has the sign of x, which need not be kept
            self.retain_outputs((0,))
            y = x * self.slope
            return (np.maximum(x, y, out=y),)
        self.retain_inputs((0,))
        return (x * self.slopes(x),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array]) -> tuple[Array]:
        if self._slopes is None:
            (signed,) = self.get_retained_outputs() or self.get_retained_inputs()
            self._slopes = Array(self.slopes(signed.array), requires_grad=False)
        return (gradients[0] * self._slopes,)

    def slopes(self, signed: Any) -> Any:
        """Returns: 1 where a number is positive, else the slope."""
        positive = signed > 0
        slopes = np.multiply(~positive, self.slope, dtype=signed.dtype)
        slopes += positive
        return slopes


def prelu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply negative numbers by trained slopes."""
    return F.where(x[0].array > 0, x[0], wide(parameters["W"], x[0]) * x[0])


def relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace negative numbers by 0."""
    return F.relu(x[0])


def elu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace a negative x by alpha (exp(x) - 1)."""
    return _Elu(layer.settings["alpha"]).apply((x[0],))[0]


class _Elu(ELU):
    # The second derivative of F.elu at 0 is the one from below, alpha; PyTorch's is the one from above, 0.
    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        (y,) = self.get_retained_outputs()
        sign = y if self.alpha >= 0 else self.get_retained_inputs()[0]
        return (gradients[0] * _EluGradient(self.alpha, sign.array).apply((y,))[0],)


class _EluGradient(ELUGrad):
    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        return (gradients[0] * (self.cond < 0),)


def tanh(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Hyperbolic tangent."""
    return F.tanh(x[0])


def sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """1 / (1 + exp(-x))."""
    return operations.sigmoid(x[0])


def hard_sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """slope x + 0.5, moved into [0, 1]."""
    return F.clip(x[0] * layer.settings["slope"] + 0.5, 0.0, 1.0)


def elementwise(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The function of formulas that has the kind's name."""
    return operations.ELEMENTWISE[layer.kind](x[0])


def swish(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """x times the sigmoid of beta x, where beta is trained."""
    return x[0] * operations.sigmoid(wide(parameters["beta"], x[0]) * x[0])


def clip(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Move each number into [low, high]."""
    return F.clip(x[0], layer.settings["low"], layer.settings["high"])


def softmax(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """exp(x) over the sum of exp(x) of all channels."""
    return F.softmax(x[0], axis=1)


def scale(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the layer's factor."""
    return x[0] * layer.settings["factor"]


def trained_scale(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by trained factors."""
    return x[0] * wide(parameters["W"], x[0])


def bias(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Add trained numbers."""
    return x[0] + wide(parameters["b"], x[0])
