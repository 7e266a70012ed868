"""Optimisers and clipping, by the equations of `spec.parts.optimizers`: one parameter at a time, plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ganspec.spec.parts.optimizers import Adam, Clip, RMSProp

Moments = dict[str, np.ndarray]


def adam(
    definition: Adam, p: np.ndarray, g: np.ndarray, moments: Mapping[str, np.ndarray], t: int, learning_rate: float
) -> tuple[np.ndarray, Moments]:
    """Returns: the parameter after update t, counted from 1, and its moments."""
    beta1, beta2, epsilon = definition.beta1, definition.beta2, definition.epsilon
    m = beta1 * moments["m"] + (1 - beta1) * g
    v = beta2 * moments["v"] + (1 - beta2) * g**2
    if definition.epsilon_place == "corrected":
        step = learning_rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    else:
        step = learning_rate * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + epsilon)
    return p - step, {"m": m, "v": v}


def rmsprop(
    definition: RMSProp, p: np.ndarray, g: np.ndarray, moments: Mapping[str, np.ndarray], t: int, learning_rate: float
) -> tuple[np.ndarray, Moments]:
    """Returns: the parameter after an update, and its moment."""
    v = definition.decay * moments["v"] + (1 - definition.decay) * g**2
    inside = definition.epsilon_place == "inside"
    root = np.sqrt(v + definition.epsilon) if inside else np.sqrt(v) + definition.epsilon
    return p - learning_rate * g / root, {"v": v}


def clipped(p: np.ndarray, clip: Clip | None, when: str) -> np.ndarray:
    """Returns: a parameter moved into the bounds, if this is when that is done."""
    return np.clip(p, -clip.bound, clip.bound) if clip and clip.when == when else p


KINDS: dict[str, Callable[..., tuple[np.ndarray, Moments]]] = {"adam": adam, "rmsprop": rmsprop}
