"""The operations of formulas in PyTorch; `spec.plan.plan.graph` defines them.

Operands are tensors, or plain numbers for constants. Every operation can be differentiated twice.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ganspec.impl_torch.arrays import Array
from ganspec.spec.plan.graph import Node


def norm(a: Array, stabiliser: float) -> Array:
    """Euclidean norm of each sample; without a stabiliser its gradient at 0 is 0, where the square root's would be NaN."""
    square = (a * a).reshape(a.shape[0], -1).sum(dim=1)
    if stabiliser:
        return torch.sqrt(square + stabiliser)
    none = ~(square > 0)
    return torch.sqrt(square.masked_fill(none, 1.0)).masked_fill(
        none, 0.0
    )  # torch.where copies a plain number to the device


def gradient(of: Array, to: Array, create_graph: bool) -> Array:
    """The gradient of the sum of `of` with respect to `to`; with `create_graph` it can be differentiated again."""
    if not of.requires_grad:  # an output of a network that does not read this input
        return torch.zeros_like(to, requires_grad=create_graph)
    ones = torch.ones_like(of)
    # `materialize_grads`: zeros where another part of the formula has a graph, and this one does not reach `to`.
    (result,) = torch.autograd.grad(
        of, to, ones, create_graph=create_graph, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return result


def power(a: Array, exponent: float) -> Array:
    # A whole exponent as a product: the same rounding in both frameworks.
    return a if exponent == 1 else a * a if exponent == 2 else a**exponent


def softplus(a: Array) -> Array:
    # Above its threshold F.softplus is linear, and its second derivative 0. That of torch.logaddexp is NaN below -700. At 80 what
    # is left out, exp(-80), is below any rounding, and exp(80) is still a float32.
    return F.softplus(a, beta=1.0, threshold=80.0)


def sigmoid(a: Array) -> Array:
    return torch.sigmoid(a)


def cross_entropy(logits: Array, label: Array | int) -> Array:
    """-log softmax(logits) at the label of each sample, or at one label for all."""
    logarithms = torch.log_softmax(logits, dim=1)
    return -(logarithms[:, label] if isinstance(label, int) else logarithms.gather(1, label[:, None])[:, 0])


def correct(logits: Array, label: Array | int) -> Array:
    """1 for each sample whose largest logit, the first of equal ones, is that of the label, else 0."""
    return (logits.argmax(dim=1) == label).to(logits.dtype)


ELEMENTWISE = {
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "tanh": torch.tanh,
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
            return torch.clamp(a[0], node.value[0], node.value[1])
        case "expand":
            return a[0].reshape(*a[0].shape, *(1,) * node.value)
        case "mean":
            return a[0].mean()
        case "sum":
            return a[0].sum()
        case "norm":
            return norm(a[0], node.value)
        case "batch_mean":
            return a[0].mean(dim=0, keepdim=True)
        case "sample_mean":
            return a[0].reshape(a[0].shape[0], -1).mean(dim=1)
        case "cross_entropy":
            return cross_entropy(a[0], a[1] if node.value is None else node.value)
        case "correct":
            return correct(a[0], a[1] if node.value is None else node.value)
        case "detach":
            return a[0].detach()
        case "grad":
            return gradient(a[0], a[1], create_graph)
    return ELEMENTWISE[node.op](a[0])
