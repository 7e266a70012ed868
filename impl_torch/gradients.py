"""The gradients of a step's losses in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ganspec.impl_torch.trained import TrainedNetwork
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.training.results import Gradients, Layers, by_layer


def gradients_of(
    planned: StepPlan, values: list[Any], networks: Mapping[str, TrainedNetwork], layers: Layers | None
) -> Gradients:
    """Differentiate each loss with respect to its own network, and no other.

    Args:
        planned: plan of the step.
        values: value of each of its nodes.
        networks: networks by name.
        layers: what each layer gave, by network node and name, for gradients with respect to these, too; None for none.

    Returns: each network's gradient by path, the layers, and the gradients there.
    """
    gradients, inside = {}, {}
    given = [(i, n, v) for i, each in (layers or {}).items() for n, v in each.items() if v.requires_grad]
    left = len(planned.losses)
    for name, i in planned.losses.items():
        left -= 1
        variables = list(networks[name].parameters.values())
        wanted = [*variables, *(v for *_, v in given)]
        found: Any = [None] * len(wanted)
        if wanted and values[i].requires_grad:
            again = left > 0 or bool(planned.trained_later)  # whether another gradient needs the graph
            found = torch.autograd.grad(values[i], wanted, retain_graph=again, allow_unused=True)
        own = zip(networks[name].parameters.items(), found, strict=False)
        gradients[name] = {path: torch.zeros_like(v) if g is None else g for (path, v), g in own}
        inside[name] = by_layer(given, [g if g is not None and g.any() else None for g in found[len(variables) :]])
    return gradients, layers or {}, inside if layers else {}
