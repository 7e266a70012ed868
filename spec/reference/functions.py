"""The functions and operators of formulas on hyper-dual numbers, by the table in docs/language.md.

`formulas` calls them while it walks a formula, `planned` while it walks a plan. The batch axis is the first that a formula sees;
in a component of a `Jet` it comes after the axis of directions.
"""

from __future__ import annotations

import numpy as np

from ganspec.spec.reference.jets import Jet, aligned, jet


def arithmetic(operator: str, x: Jet, y: Jet) -> Jet:
    """Returns: x + y, x - y, x * y or x / y; the operand with fewer axes gets more of them on its right."""
    x, y = aligned(x, y)
    match operator:
        case "+":
            return x + y
        case "-":
            return x - y
        case "*":
            return x * y
        case "/":
            return x / y
    raise NotImplementedError(operator)


def call(function: str, x: Jet, *rest: Jet) -> Jet:
    """Evaluate one function of formulas.

        mean(v), sum(v)           over all axes: one number
        batch_mean(v)             over the batch, for each pixel: (1, ...)
        sample_mean(v)            over each sample: (N,)
        norm(v, s)                sqrt(sum of v^2 over each sample + s): (N,); where it is 0, its derivatives are 0
        clip(v, low, high)        v, moved into [low, high]
        cross_entropy(v, label)   log(sum of exp(v)) - v[label] for each sample: (N,)
        correct(v, label)         1 where the label is the first of the largest logits, else 0: (N,); no derivative
        abs, sqrt, exp, log, softplus, sigmoid, tanh, relu        of each number

    Args:
        function: name of the function.
        x: first argument.
        rest: further arguments: a stabiliser, bounds, or labels.

    Returns: its value, with derivatives.
    """
    match function:
        case "mean":
            return x.linear(lambda v: v.reshape(len(v), -1).mean(axis=1))
        case "sum":
            return x.linear(lambda v: v.reshape(len(v), -1).sum(axis=1))
        case "batch_mean":
            return x.mean(1)
        case "sample_mean":
            return x.linear(lambda v: v.reshape(*v.shape[:2], -1).mean(axis=2))
        case "norm":
            square = (x * x).sample_sum()
            return (square + rest[0].f[0]).sqrt() if rest and rest[0].f[0] else square.root_of_squares()
        case "clip":
            low, high = rest
            return x.clip(float(low.f[0]), float(high.f[0]))
        case "cross_entropy":
            return _cross_entropy(x, rest[0].f[0].astype(int))
        case "correct":
            return jet(x.f[0].argmax(axis=1) == rest[0].f[0])
        case "relu":
            return x.kinked(0.0)
        case "abs" | "sqrt" | "exp" | "log" | "tanh" | "sigmoid" | "softplus":
            result: Jet = getattr(x, function)()
            return result
    raise NotImplementedError(function)


def _cross_entropy(logits: Jet, label: np.ndarray) -> Jet:
    # The largest logit is taken out first, so that no exponential overflows; it cancels.
    largest = logits.f.max(axis=2, keepdims=True)
    total = (logits - Jet(largest)).exp().linear(lambda v: v.sum(axis=2)).log() + Jet(largest[:, :, 0])
    return total - logits.linear(lambda v: v[:, np.arange(v.shape[1]), label])
