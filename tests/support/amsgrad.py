"""A third kind of optimiser, as somebody would add it: AMSGrad, whose moments have names that no other optimiser's have.

    direction <- beta1 direction + (1 - beta1) g,  square <- beta2 square + (1 - beta2) g^2,  largest <- max(largest, square)
    p <- p - learning_rate direction / (sqrt(largest) + epsilon)

Source: Reddi, Kale and Kumar 2018, arXiv:1904.09237, algorithm 2.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pytest

from ganspec.spec.parts import optimizers
from ganspec.spec.parts.optimizers import Clip, Moment
from ganspec.spec.reference import optimizers as reference
from ganspec.spec.text.tables import Table
from support.optimizer_rules import RATE

TOML = f'kind = "amsgrad"\nlearning_rate = {RATE}\nbeta1 = 0.9\nbeta2 = 0.99\nepsilon = 1e-2'


@dataclass(frozen=True)
class AMSGrad:
    """What the spec says of it."""

    learning_rate: float
    clip: Clip | None
    beta1: float
    beta2: float
    epsilon: float

    kind: ClassVar[str] = "amsgrad"

    def moments(self) -> dict[str, Moment]:
        return {"direction": Moment(0.0, 1), "square": Moment(0.0, 2), "largest": Moment(0.0, 2)}


class Implementation:
    """What a backend does: either one, since nothing here is of a framework."""

    def __init__(self, definition: AMSGrad, count: int, context: Any) -> None:
        self.definition, self.updates, self.learning_rate = definition, 0, definition.learning_rate
        self.moments = {name: context.filled(count, moment.start) for name, moment in definition.moments().items()}

    def update(self, parameters: Any, gradient: Sequence[tuple[int, Any]]) -> None:
        own, self.updates = self.definition, self.updates + 1
        for start, vector in gradient:
            g = getattr(vector, "array", vector)
            p, direction, square, largest = (
                getattr(a, "array", a)[start : start + len(g)] for a in (parameters, *self.moments.values())
            )
            direction *= own.beta1
            direction += (1.0 - own.beta1) * g
            square *= own.beta2
            square += (1.0 - own.beta2) * g * g
            largest += (square - largest) * (square > largest)
            p -= self.learning_rate * direction / (largest**0.5 + own.epsilon)


def defined(
    own: AMSGrad, p: np.ndarray, g: np.ndarray, moments: Mapping[str, np.ndarray], t: int, learning_rate: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The update of one parameter in plain NumPy."""
    direction = own.beta1 * moments["direction"] + (1 - own.beta1) * g
    square = own.beta2 * moments["square"] + (1 - own.beta2) * g**2
    largest = np.maximum(moments["largest"], square)
    found = {"direction": direction, "square": square, "largest": largest}
    return p - learning_rate * direction / (np.sqrt(largest) + own.epsilon), found


def add(patch: pytest.MonkeyPatch) -> None:
    """Add the kind to the spec, the reference and the backends that are installed, for the rest of a test."""
    numbers = {"beta1": "0.9", "beta2": "0.99", "epsilon": "1e-2"}

    def read(table: Table, learning_rate: float, clip: Clip | None) -> AMSGrad:
        return AMSGrad(learning_rate, clip, *(table.number(key, least=0) for key in numbers))

    kind = optimizers.OptimizerKind
    patch.setitem(optimizers.KINDS, "amsgrad", kind(read, numbers))
    for backend in filter(find_spec, ("torch", "chainer")):
        kinds = importlib.import_module(f"ganspec.impl_{backend}.optimizers").KINDS
        patch.setitem(kinds, "amsgrad", Implementation)
    patch.setitem(reference.KINDS, "amsgrad", defined)
