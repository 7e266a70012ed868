"""Gradients by what each layer gave, gathered while somebody's code differentiates a loss.

An adapter gives every array that a layer gave a hook, and tells a `LayerGradients` what arrives there during `backward`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from ganspec.spec.plan.graph import NON_DIFFERENTIABLE
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.system import Stage

Key = tuple[int, str]  # a network's node of the plan, and a layer


def needed_gradients(plan: StepPlan, stage: Stage) -> set[Key]:
    """Find the layers' values whose gradient is of use: it flows on to a parameter that moves, or to a variable of a formula.

    No other gradient has to be computed: in G's step the embedding of the labels in D has one only where D's parameters are
    differentiated by the way, and thrown away.

    Args:
        plan: plan of the step.
        stage: stage of growth.

    Returns: network node and layer of each.
    """
    variables = {node.inputs[1] for node in plan.nodes if node.op == "grad"}
    flows: list[bool] = []  # by node of the plan
    found: set[Key] = set()
    for i, node in enumerate(plan.nodes):
        through = node.op not in NON_DIFFERENTIABLE and any(flows[j] for j in node.inputs)
        trained = node.op == "network" and (node.value in plan.step.update or i in plan.trained_later)
        kept = node.op == "kept" and node.value.network in plan.step.update
        flows.append(through or trained or kept or i in variables)
        if node.op == "network":
            architecture = stage.networks[node.value]
            inner = {name for name, j in zip(architecture.inputs, node.inputs, strict=True) if flows[j]}
            for layer in architecture.layers:
                if (trained and layer.parameters) or not inner.isdisjoint(layer.inputs):
                    inner.add(layer.name)
                    found.add((i, layer.name))
    return found


@dataclass(frozen=True)
class Seen:
    """A layer's value that was seen: the repeat in which it was, the nodes of the plan that it is of, and the layer."""

    repeat: int
    nodes: tuple[int, ...]
    layer: str


class LayerGradients:
    """The gradients of the losses of one repeat."""

    def __init__(self) -> None:
        self.by: str | None = (
            None  # what the code differentiates now: a network's name, or the number of a loss as "#1"
        )
        self._watched: dict[Key, tuple[int, ...]] = {}  # shape of each value that is part of a graph
        self._sums: dict[str, dict[Key, np.ndarray]] = {}  # by that label

    def watch(self, seen: Seen, shape: tuple[int, ...]) -> None:
        """A value is part of a graph: a loss may be differentiated by it."""
        for node in seen.nodes:
            self._watched[node, seen.layer] = (shape[0] // len(seen.nodes), *shape[1:])

    def add(self, seen: Seen, repeat: int, gradient: np.ndarray) -> None:
        """A gradient arrives, in the repeat of a number; of several losses the sum counts."""
        if self.by is None or seen.repeat != repeat:
            return
        sums = self._sums.setdefault(self.by, {})
        for node, part in zip(seen.nodes, np.split(gradient, len(seen.nodes)), strict=True):
            key = node, seen.layer
            sums[key] = sums[key] + part if key in sums else part.copy()

    @contextlib.contextmanager
    def differentiating(self, label: str) -> Iterator[None]:
        """The code differentiates a loss that has this label."""
        self.by, before = label, self.by
        try:
            yield
        finally:
            self.by = before

    def of(self, labels: Collection[str]) -> dict[Key, np.ndarray]:
        """Gather the gradients of the losses that have these labels.

        Returns: gradients by what layers gave; zeros where others of the same evaluation got one, and a layer of a graph did not.
        """
        sums: dict[Key, np.ndarray] = {}
        for label in labels:
            for key, gradient in self._sums.get(label, {}).items():
                sums[key] = sums[key] + gradient if key in sums else gradient
        reached = {node: gradient.dtype for (node, _), gradient in sums.items()}
        watched = {key: shape for key, shape in self._watched.items() if key[0] in reached}
        return {key: sums.get(key, np.zeros(shape, reached[key[0]])) for key, shape in watched.items()}

    def clear(self) -> None:
        """Forget all: parameters have moved."""
        self._watched.clear()
        self._sums.clear()
