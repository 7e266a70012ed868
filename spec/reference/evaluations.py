"""What an evaluator of formulas remembers: each evaluation of a network, each gradient in a formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a network.

    Args:
        occurrence: its number among the evaluations of this network in the step, from 0.
        training: whether it is in training mode, not in inference.
        statistics: running statistics that it found, by path.
        layers: what each layer gave, by name.
        outputs: outputs by name.
    """

    occurrence: int
    training: bool
    statistics: Mapping[str, np.ndarray]
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Gradient:
    """A gradient that a formula takes of the sum of one value with respect to another; all without derivatives of their own."""

    of: np.ndarray
    to: np.ndarray
    value: np.ndarray
