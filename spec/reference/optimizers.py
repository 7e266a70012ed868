"""Optimisers and clipping, by the equations of `spec.parts.optimizers`: one parameter at a time, plain NumPy.

Each rule has the same arguments: `definition`, the optimiser's numbers; `p` and `g`, a parameter and its gradient, of one shape;
`moments` by name, of that shape, too; `t`, the number of updates of the network, this one included; `learning_rate`, that of
this update. It gives the parameter and the moments after the update, as new arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ganspec.spec.parts.optimizers import Adam, Clip, RMSProp

Moments = dict[str, np.ndarray]


def adam(
    definition: Adam, p: np.ndarray, g: np.ndarray, moments: Mapping[str, np.ndarray], t: int, learning_rate: float
) -> tuple[np.ndarray, Moments]:
    """Adam: a step along the average of gradients, divided by the root of the average of their squares.

        m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
        corrected:    p <- p - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
        uncorrected:  p <- p - learning_rate (sqrt(1 - beta2^t) / (1 - beta1^t)) m / (sqrt(v) + epsilon)

    Source: Kingma and Ba 2015, arXiv:1412.6980: algorithm 1; the end of section 2.
    """
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
    """RMSProp: a step along the gradient, divided by the root of the average of its squares.

        v <- decay v + (1 - decay) g^2
        outside:  p <- p - learning_rate g / (sqrt(v) + epsilon)
        inside:   p <- p - learning_rate g / sqrt(v + epsilon)

    Source: Tieleman and Hinton 2012, Coursera lecture 6.5; frameworks differ in the place of epsilon.
    """
    v = definition.decay * moments["v"] + (1 - definition.decay) * g**2
    inside = definition.epsilon_place == "inside"
    root = np.sqrt(v + definition.epsilon) if inside else np.sqrt(v) + definition.epsilon
    return p - learning_rate * g / root, {"v": v}


def clipped(p: np.ndarray, clip: Clip | None, when: str) -> np.ndarray:
    """Returns: a parameter moved into the bounds, if this is when that is done."""
    return np.clip(p, -clip.bound, clip.bound) if clip and clip.when == when else p


KINDS: dict[str, Callable[..., tuple[np.ndarray, Moments]]] = {"adam": adam, "rmsprop": rmsprop}
