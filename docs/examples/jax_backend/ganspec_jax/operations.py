"""The operations of formulas in JAX; `ganspec.spec.plan.graph` defines them. Every one can be differentiated twice.

Operands are arrays, or plain numbers for constants. At a kink the gradient is what the other backends take.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ganspec.spec.plan.graph import Node

ELEMENTWISE = {
    "abs": jnp.abs,
    "sqrt": jnp.sqrt,
    "exp": jnp.exp,
    "log": jnp.log,
    "softplus": lambda a: jnp.logaddexp(a, 0.0),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
}


def norm(a: jax.Array, stabiliser: float) -> jax.Array:
    """Euclidean norm of each sample; without a stabiliser its gradient at 0 is 0, where the square root's would be NaN."""
    square = (a * a).reshape(len(a), -1).sum(axis=1)
    if stabiliser:
        return jnp.sqrt(square + stabiliser)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def clip(a: jax.Array, low: float, high: float) -> jax.Array:
    """Move into bounds. `jnp.clip` halves the gradient of what lies exactly on one."""
    return jnp.where((a >= low) & (a <= high), a, lax.stop_gradient(jnp.clip(a, low, high)))


def cross_entropy(logits: jax.Array, label: Any) -> jax.Array:
    """-log softmax(logits) at the label of each sample, or at one label for all."""
    labels = jnp.broadcast_to(jnp.asarray(label), (len(logits),))
    return -jnp.take_along_axis(jax.nn.log_softmax(logits, axis=1), labels[:, None], axis=1)[:, 0]


def evaluate(node: Node, a: list[Any]) -> Any:
    """Evaluate a node that needs nothing but the values of its inputs."""
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
            return a[0] * a[0] if node.value == 2 else a[0] ** node.value
        case "clip":
            return clip(a[0], *node.value)
        case "expand":
            return a[0].reshape(*a[0].shape, *(1,) * node.value)
        case "mean":
            return a[0].mean()
        case "sum":
            return a[0].sum()
        case "norm":
            return norm(a[0], node.value)
        case "batch_mean":
            return a[0].mean(axis=0, keepdims=True)
        case "sample_mean":
            return a[0].reshape(len(a[0]), -1).mean(axis=1)
        case "cross_entropy":
            return cross_entropy(a[0], a[1] if node.value is None else node.value)
        case "correct":
            return (a[0].argmax(axis=1) == (a[1] if node.value is None else node.value)).astype(a[0].dtype)
        case "detach":
            return lax.stop_gradient(a[0])
    return ELEMENTWISE[node.op](a[0])
