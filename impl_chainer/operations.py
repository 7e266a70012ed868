"""The operations of formulas in Chainer; `spec.graph` defines them.

Operands are variables, or plain numbers for constants. Every operation can be differentiated twice.
"""

from __future__ import annotations

from typing import Any

import chainer
import chainer.functions as F

from impl_chainer.arrays import Array
from spec.graph import Node


def norm(a: Array) -> Array:
    """Euclidean norm of each sample; its gradient at 0 is 0, where the square root's own would be NaN."""
    square = F.sum(F.reshape(a * a, (a.shape[0], -1)), axis=1)
    positive = square.array > 0
    one = a.xp.ones_like(square.array)
    return F.where(positive, F.sqrt(F.where(positive, square, one)), a.xp.zeros_like(one))


def gradient(of: Array, to: Array, again: bool) -> Array:
    """The gradient of the sum of `of` with respect to `to`, with a graph of its own where it is needed `again`."""
    ones = Array(of.xp.ones_like(of.array), requires_grad=False)
    (result,) = chainer.grad([of], [to], grad_outputs=[ones], enable_double_backprop=again)
    return result


def power(a: Array, exponent: float) -> Array:
    # A whole exponent as a product: the same rounding in both frameworks.
    return a * a if exponent == 2 else a**exponent


def softplus(a: Array) -> Array:
    return F.softplus(a, beta=1.0)


ELEMENTWISE = {
    "abs": F.absolute,
    "sqrt": F.sqrt,
    "exp": F.exp,
    "log": F.log,
    "softplus": softplus,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "relu": F.relu,
}


def evaluate(node: Node, a: list[Any], again: bool) -> Any:
    """Evaluate a node from the values of its inputs.

    Args:
        node: any operation that needs nothing but its inputs.
        a: their values.
        again: for "grad", whether its result is differentiated again.
    """
    match node.op:
        case "constant":
            return node.value
        case "output":
            return a[0][node.value]
        case "negative":
            return -a[0]
        case "add":
            return a[0] + a[1]
        case "subtract":
            return a[0] - a[1]
        case "multiply":
            return a[0] * a[1]
        case "divide":
            return a[0] / a[1]
        case "power":
            return power(a[0], node.value)
        case "clip":
            return F.clip(a[0], node.value[0], node.value[1])
        case "expand":
            return F.reshape(a[0], (*a[0].shape, *(1,) * node.value))
        case "mean":
            return F.mean(a[0])
        case "sum":
            return F.sum(a[0])
        case "norm":
            return norm(a[0])
        case "detach":
            return Array(a[0].array, requires_grad=False)
        case "grad":
            return gradient(a[0], a[1], again)
    return ELEMENTWISE[node.op](a[0])
