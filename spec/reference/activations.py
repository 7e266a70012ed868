"""Layers that act on each number by itself, and softmax, on hyper-dual numbers; `layers` says how."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.reference.jets import Jet
from ganspec.spec.reference.mode import Evaluation


def wide(parameter: Jet, like: Jet, *, rows: bool = False) -> Jet:
    """Returns: a parameter with axes of length 1 for the batch, unless it has `rows`, and on its right, as many as `like` has."""

    def widen(v: np.ndarray) -> np.ndarray:
        shape = v.shape[1:] if rows else (1, *v.shape[1:])
        return v.reshape(len(v), *shape, *(1,) * (like.rank - len(shape)))

    return parameter.linear(widen)


def evaluate(layer: Layer, inputs: list[Jet], own: Mapping[str, Jet], how: Evaluation) -> Jet | None:
    """Returns: what a layer gives, (N, *layer.shape); None for a kind that is not here."""
    x, settings = inputs[0], layer.settings
    match layer.kind:
        case "tanh" | "sigmoid" | "softplus" | "abs" | "exp" | "log" | "sqrt":
            result: Jet = getattr(x, layer.kind)()
            return result
        case "relu":
            return x.kinked(0.0)
        case "leaky_relu":
            return x.kinked(settings["slope"])
        case "prelu":
            positive = np.where(x.f[0] > 0, 1.0, 0.0)
            return x * positive + x * (1.0 - positive) * wide(own["W"], x)
        case "elu":
            alpha, e, positive = settings["alpha"], np.exp(np.minimum(x.f, 0.0)), x.f > 0
            below = np.where(positive, 0.0, alpha * e)
            bend = np.where(x.f < 0, below, 0.0)
            return x.map(
                np.where(positive, x.f, alpha * np.expm1(np.minimum(x.f, 0.0))), np.where(positive, 1.0, below), bend
            )
        case "hard_sigmoid":
            return (x * float(settings["slope"]) + 0.5).clip(0.0, 1.0)
        case "swish":
            return x * (x * wide(own["beta"], x)).sigmoid()
        case "clip":
            return x.clip(settings["low"], settings["high"])
        case "softmax":
            e = (x - Jet(x.f.max(axis=2, keepdims=True))).exp()  # the largest is taken out, so that nothing overflows
            return e / e.linear(lambda v: v.sum(axis=2, keepdims=True))
        case "scale":
            return x * float(settings["factor"])
        case "trained_scale":
            return x * wide(own["W"], x)
        case "bias":
            return x + wide(own["b"], x)
    return None
