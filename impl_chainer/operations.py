"""The operations of formulas in Chainer; `spec.plan.plan.graph` defines them.

Operands are variables, or plain numbers for constants. Every operation can be differentiated twice.
"""

from __future__ import annotations

from typing import Any

import chainer
import chainer.functions as F

from ganspec.impl_chainer.arrays import Array
from ganspec.spec.plan.graph import Node


def norm(a: Array, stabiliser: float) -> Array:
    """Euclidean norm of each sample; without a stabiliser its gradient at 0 is 0, where the square root's would be NaN."""
    square = F.sum(F.reshape(a * a, (a.shape[0], -1)), axis=1)
    if stabiliser:
        return F.sqrt(square + stabiliser)
    positive = square.array > 0
    one = a.xp.ones_like(square.array)
    return F.where(positive, F.sqrt(F.where(positive, square, one)), a.xp.zeros_like(one))


def gradient(of: Array, to: Array, create_graph: bool) -> Array:
    """The gradient of the sum of `of` with respect to `to`; with `create_graph` it can be differentiated again."""
    ones = Array(of.xp.ones_like(of.array), requires_grad=False)
    (result,) = chainer.grad([of], [to], grad_outputs=[ones], enable_double_backprop=create_graph)
    if result is None:  # an output of a network that does not read this input
        return Array(to.xp.zeros_like(to.array), requires_grad=create_graph)
    return (
        result if create_graph else Array(result.array, requires_grad=False)
    )  # else its readers would ask for gradients


def power(a: Array, exponent: float) -> Array:
    # A whole exponent as a product: the same rounding in both frameworks. The derivatives of a**1 and a**0 are NaN at 0.
    if exponent == 0:
        return F.where(a.xp.full(a.shape, True), a.xp.ones_like(a.array), a)
    return a if exponent == 1 else a * a if exponent == 2 else a**exponent


class _Sigmoid(chainer.FunctionNode):
    # F.sigmoid is a tanh plus 1, which leaves nothing of exp(x) where x is negative and far out.
    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        self.retain_outputs((0,))
        xp = chainer.backend.get_array_module(inputs[0])
        e = xp.exp(-xp.absolute(inputs[0]))
        return (xp.asarray(xp.where(inputs[0] > 0, xp.ones_like(e), e) / (1.0 + e)),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        (y,) = self.get_retained_outputs()
        return (gradients[0] * y * (1.0 - y),)


class _Softplus(chainer.FunctionNode):
    # The first derivative of F.softplus is 1 - 1 / (1 + exp(x)), which cancels, and the second one NaN far out.
    def forward(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        self.retain_inputs((0,))
        xp = chainer.backend.get_array_module(inputs[0])
        return (xp.asarray(xp.logaddexp(inputs[0], xp.zeros_like(inputs[0]))),)

    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        (x,) = self.get_retained_inputs()
        return (gradients[0] * sigmoid(x),)


def softplus(a: Array) -> Array:
    return _Softplus().apply((a,))[0]


def sigmoid(a: Array) -> Array:
    return _Sigmoid().apply((a,))[0]


def cross_entropy(logits: Array, label: Array | int) -> Array:
    """-log softmax(logits) at the label of each sample, or at one label for all."""
    # F.softmax_cross_entropy ignores a label of its own and cannot be differentiated twice unless told otherwise.
    logarithms = F.log_softmax(logits, axis=1)
    return -(logarithms[:, label] if isinstance(label, int) else F.select_item(logarithms, label))


def correct(logits: Array, label: Array | int) -> Array:
    """1 for each sample whose largest logit, the first of equal ones, is that of the label, else 0."""
    wanted = label if isinstance(label, int) else label.array
    return Array((logits.array.argmax(axis=1) == wanted).astype(logits.dtype), requires_grad=False)


ELEMENTWISE = {
    "abs": F.absolute,
    "sqrt": F.sqrt,
    "exp": F.exp,
    "log": F.log,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "tanh": F.tanh,
    "relu": F.relu,
}


def evaluate(node: Node, a: list[Any], create_graph: bool) -> Any:
    """Evaluate a node from the values of its inputs.

    Args:
        node: an operation that needs nothing but its inputs.
        a: values of its inputs.
        create_graph: for "grad", whether the result is differentiated again.
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
            return norm(a[0], node.value)
        case "batch_mean":
            return F.mean(a[0], axis=0, keepdims=True)
        case "sample_mean":
            return F.mean(F.reshape(a[0], (a[0].shape[0], -1)), axis=1)
        case "cross_entropy":
            return cross_entropy(a[0], a[1] if node.value is None else node.value)
        case "correct":
            return correct(a[0], a[1] if node.value is None else node.value)
        case "detach":
            return Array(a[0].array, requires_grad=False)
        case "grad":
            return gradient(a[0], a[1], create_graph)
    return ELEMENTWISE[node.op](a[0])
