"""What is known of a divergent quantity: all that it was computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.graph import Node
from ganspec.spec.system import System
from ganspec.tools.agreement.report import Quantity


@dataclass(frozen=True)
class Case:
    """One quantity that differs, and all that it was computed from, which agreed.

    Args:
        system: the system.
        quantity: the quantity; its value is the right one.
        found: the value of the witness that is alone.
        tolerance: norm of the difference within which a guess counts as making what was found.
        inputs: of a layer or a formula's node, the values that it reads; of an update, (parameter before, gradient); of a
            parameter's gradient, (parameter,); of a running statistic, what its layer read in each evaluation in training mode;
            of a moving average, (average before, value). An empty array stands for one that is unknown.
        layer: the layer, where the quantity is what one gives, else None.
        node: the node of the formula, where it is one, else None.
        own: a layer's parameters by short name; of an update the parameter's moments before.
        statistics: a layer's running statistics before, by short name.
        training: whether the network is evaluated in training mode.
        fade: progress of the stage of growth, 0 to 1.
        mask: a dropout layer's kept elements, or None.
        update: of an update the optimiser's definition, its count of updates (from 1) and learning rate; else None.
        whole: of a parameter's gradient the norm of the gradients by all parameters of the network; else 0.
        earlier: value of the same quantity in the iteration or repeat before, where it is known.
        others: of a parameter or its gradient, for each other parameter of the network that both witnesses have: the parameter
            before, the right value, and what was found.
    """

    system: System
    quantity: Quantity
    found: np.ndarray
    tolerance: float
    inputs: tuple[np.ndarray, ...] = ()
    layer: Layer | None = None
    node: Node | None = None
    own: Mapping[str, np.ndarray] = field(default_factory=dict)
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)
    training: bool = True
    fade: float = 0.0
    mask: np.ndarray | None = None
    update: tuple[Any, int, float] | None = None
    whole: float = 0.0
    earlier: np.ndarray | None = None
    others: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...] = ()

    @property
    def right(self) -> np.ndarray:
        """The right value, in float64."""
        return np.asarray(self.quantity.value, np.float64)

    @property
    def wrong(self) -> np.ndarray:
        """The value that was found, in float64."""
        return np.asarray(self.found, np.float64)

    @property
    def batch(self) -> int:
        """The number of samples in a batch."""
        return self.system.run.batch


def number(value: float) -> str:
    """Returns: a number as people write it: "0.2", "1e-08", "6"."""
    return f"{value:.6g}"


def numbers(one: float, other: float) -> tuple[str, str]:
    """Returns: two numbers as `number` writes them, with as many digits as tell them apart."""
    digits = next((d for d in range(6, 17) if f"{one:.{d}g}" != f"{other:.{d}g}"), 17)
    return f"{one:.{digits}g}", f"{other:.{digits}g}"


def told_apart(values: Mapping[str, np.ndarray], right: np.ndarray) -> dict[str, np.ndarray]:
    """Returns: those values of the right one's shape that differ from it; the names of equal ones are joined by "or"."""
    found: dict[str, np.ndarray] = {}
    for name, value in values.items():
        same = next((other for other, known in found.items() if np.array_equal(known, value)), None)
        if same is not None:
            found[f"{same} or {name}"] = found.pop(same)
        elif value.shape == right.shape and not np.array_equal(value, right):
            found[name] = value
    return found


def fitted(factor: np.ndarray, target: np.ndarray) -> float:
    """Returns: the number c for which c times `factor` is nearest to `target`; 0 where the factor is 0."""
    square = float((factor * factor).sum())
    return float((factor * target).sum()) / square if square else 0.0


def decays(case: Case, decay: float, share: float = 0.1) -> bool:
    """Tell whether the network's other parameters differ by a multiple of themselves, too.

    What weight decay adds to one vector may be added by something else: the missing gradient of a weight's norm, too, is a
    multiple of a weight with one row.

    Args:
        case: what is known of one parameter, or of its gradient.
        decay: the multiple.
        share: share of a difference that may be left unexplained.

    Returns: whether each weight differs so, and each vector such as a bias so or not at all.
    """
    for p, right, wrong in ((np.asarray(a, np.float64) for a in other) for other in case.others):
        allowed = case.tolerance * max(
            1.0, float(np.linalg.norm(right)) / max(float(np.linalg.norm(case.right)), 1e-300)
        )
        if right.shape != wrong.shape:
            return False
        apart = float(np.linalg.norm(wrong - right))
        left = float(np.linalg.norm(wrong - right - decay * p))
        if left > max(allowed, share * apart) and (p.ndim > 1 or apart > allowed):
            return False
    return True


Candidates = Iterator[tuple[str, np.ndarray]]  # a cause, in words for the user, and what it would have given
Rule = Callable[[Case], Candidates]
