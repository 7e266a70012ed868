"""The gradients of a step's losses in Chainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chainer

from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.trained import TrainedNetwork
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
    for name, i in planned.losses.items():
        variables = list(networks[name].parameters.values())
        found = chainer.grad([values[i]], [*variables, *(v for *_, v in given)])
        own = zip(networks[name].parameters.items(), found, strict=False)
        arrays = {path: v.xp.zeros_like(v.array) if g is None else g.array for (path, v), g in own}
        gradients[name] = {path: Array(array, requires_grad=False) for path, array in arrays.items()}
        inside[name] = by_layer(
            given, [g if g is not None and g.array.any() else None for g in found[len(variables) :]]
        )
    return gradients, layers or {}, inside if layers else {}
