"""The probable cause of a divergence: each guess is recomputed, and given only where it makes exactly what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
        inputs: of a layer or a formula's node, the values that it reads; of an update, (parameter before, gradient).
        layer: the layer, where the quantity is what one gives, else None.
        node: the node of the formula, where it is one, else None.
        own: a layer's parameters by short name; of an update the parameter's moments before.
        statistics: a layer's running statistics before, by short name.
        training: whether the network is evaluated in training mode.
        fade: progress of the stage of growth, 0 to 1.
        mask: a dropout layer's kept elements, or None.
        update: of an update the optimiser's definition, its count of updates (from 1) and learning rate; else None.
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
    update: tuple[object, int, float] | None = None


def guess(case: Case) -> str:
    """Returns: the cause in one sentence, "6 times too large, the batch size: a sum for a mean"; empty if none is recognised."""
    return ""
