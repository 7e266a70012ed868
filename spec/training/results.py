"""What a trainer computed in one repeat of a step, in whichever backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganspec.spec.plan.plan import StepPlan

Layers = dict[int, dict[str, Any]]  # for each network node of a plan, what each layer gave


@dataclass(frozen=True)
class StepResult:
    """What one repeat of a step computed, before any parameter moves; arrays are the backend's own.

    Args:
        step, repeat: number of the step in the schedule and of its repeat, from 0.
        plan: the step's plan, whose `named` finds definitions ("x_hat") among the values.
        values: value of each node of the plan; of a network with several outputs a dictionary.
        gradients: gradient of each updated network's loss, one vector; `Trainer.gradients_by_path` gives it names.
        layers: what each layer gave, by network node and layer name; empty unless it was asked for.
    """

    step: int
    repeat: int
    plan: StepPlan
    values: list[Any]
    gradients: dict[str, Any]
    layers: Layers
