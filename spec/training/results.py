"""What a trainer computed in one repeat of a step, in whichever backend."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganspec.spec.plan.plan import StepPlan

Layers = dict[int, dict[str, Any]]  # for each network node of a plan, an array for each layer
Gradients = tuple[dict[str, dict[str, Any]], Layers, dict[str, Layers]]  # the last three fields of a `StepResult`


@dataclass(frozen=True)
class StepResult:
    """What one repeat of a step computed, before any parameter moves; arrays are the backend's own.

    Args:
        step, repeat: number of the step in the schedule and of its repeat, from 0.
        plan: the step's plan, whose `named` finds definitions ("x_hat") among the values.
        values: value of each node of the plan; of a network with several outputs a dictionary.
        gradients: gradient of each updated network's loss, by network and path of the parameter ("l1/W"). To move along others,
            such as clipped ones, give the trainer's `update` what `dataclasses.replace(result, gradients=...)` makes.
        layers: what each layer gave, by network node and layer name; empty unless it was asked for.
        layer_gradients: gradient of each updated network's loss with respect to what a layer gave, by updated network, network
            node and layer name: how the loss moves when a number is added to the layer's output. Only those are there through
            which a gradient flows on, to a parameter or to a variable of the formulas; none that is 0 everywhere, and none of an
            evaluation that an earlier step made. Empty unless it was asked for.
    """

    step: int
    repeat: int
    plan: StepPlan
    values: list[Any]
    gradients: dict[str, dict[str, Any]]
    layers: Layers
    layer_gradients: dict[str, Layers] = field(default_factory=dict)


def by_layer(given: list[tuple[int, str, Any]], found: Sequence[Any]) -> Layers:
    """Returns: the gradients that were found, by network node and layer name.

    Args:
        given: network node, name and value of each layer.
        found: gradient with respect to each of these values, None where there is none.
    """
    gradients: Layers = {}
    for (node, layer, _), gradient in zip(given, found, strict=True):
        if gradient is not None:
            gradients.setdefault(node, {})[layer] = gradient
    return gradients


def neighbours(
    shapes: Mapping[str, tuple[int, ...]], wanted: Collection[str], least: float
) -> list[tuple[int, list[str]]]:
    """Group parameters that lie next to one another in the vector of all.

    Args:
        shapes: shape of each parameter by path, in the order of the vector.
        wanted: paths of those to group.
        least: number of numbers from which on a parameter stays by itself.

    Returns: for each group the place of its first number in the vector, and its paths.
    """
    groups: list[tuple[int, list[str]]] = []
    start, joins_at = 0, -1
    for path, shape in shapes.items():
        size = math.prod(shape)
        if path in wanted:
            small = size < least
            if small and joins_at == start:
                groups[-1][1].append(path)
            else:
                groups.append((start, [path]))
            joins_at = start + size if small else -1
        start += size
    return groups


def check_gradients(result: StepResult, networks: Mapping[str, Any], kind: type) -> None:
    """Check a result's gradients, which somebody may have changed, before anything moves along them.

    Args:
        result: the result.
        networks: the backend's networks by name, with the shape of each parameter in `shapes`, and all of them in `vector`.
        kind: the backend's type of arrays.

    Raises:
        ValueError: they are not of the networks that the step updates, or not of their parameters, shapes and dtype.
    """
    losses = result.plan.losses
    if result.gradients.keys() != losses.keys():
        found = ", ".join(map(repr, result.gradients)) or "none"
        raise ValueError(
            f"gradients: expected those of {', '.join(map(repr, losses))}, which this step updates, found {found}"
        )
    for network, gradient in result.gradients.items():
        shapes, dtype = networks[network].shapes, networks[network].vector.dtype
        if unknown := gradient.keys() - shapes:
            raise ValueError(f"gradient of '{min(unknown)}' in '{network}': there is no such parameter")
        for path, shape in shapes.items():
            array = gradient.get(path)
            has = tuple(getattr(array, "shape", ())), getattr(array, "dtype", None)
            if not isinstance(array, kind) or has != (shape, dtype):
                shown = f" of shape {has[0]} and dtype {has[1]}" if has[1] else ""
                what = "there is none" if array is None else f"found a {type(array).__name__}{shown}"
                wanted = f"expected a {kind.__name__} of shape {shape} and dtype {dtype}"
                raise ValueError(f"gradient of '{path}' in '{network}': {wanted}, {what}")
