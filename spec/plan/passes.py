"""Several evaluations of a network in one pass: real and fake images side by side in one batch.

A network whose layers treat each sample by itself gives for two batches in one pass what it gives for each of them alone, to the
rounding of a product with more rows. Evaluations share a pass where

    - they are of one network in one mode, and neither is computed from the other;
    - no layer couples samples, and none moves running statistics: no batch norm in training mode, no minibatch layers, no
      spectral norm that moves its vector (dropout masks are addressed by evaluation, so they are those of separate passes);
    - the same losses send gradients through them, and gradients flow on to the same of their inputs: else rows of one would be
      differentiated for the sake of the other;
    - no gradient in a formula goes through them: its double backward would run over all rows;
    - nothing keeps the value of one of them for a later step or repeat;
    - what a pass makes is small enough for it to pay: `pays` says when.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganspec.spec.layers import KINDS
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.graph import NON_DIFFERENTIABLE, Graph

if TYPE_CHECKING:
    from ganspec.spec.plan.plan import StepPlan

Order = tuple[
    tuple[int, ...], ...
]  # nodes, each after those that it reads; several of an entry are evaluated in one pass
PAYING_NUMBERS = 4_000_000  # that a pass makes; measured on two cores, docs/speed.md has the figures


def one_by_one(count: int) -> Order:
    """Returns: the order of so many nodes, each by itself."""
    return tuple((i,) for i in range(count))


def order_of(planned: StepPlan, networks: Mapping[str, Architecture], batch: int) -> Order:
    """Find the evaluations of a step that share a pass.

    Args:
        planned: plan of the step.
        networks: networks by name.
        batch: number of samples in a batch.

    Returns: all nodes in the order in which they are evaluated.
    """
    order = one_by_one(len(planned.nodes))
    groups: list[tuple[int, ...]] = []
    for candidates in _alike(planned, networks, batch):
        for size in range(len(candidates), 1, -1):  # as many as go together
            longer = _scheduled(planned, [*groups, tuple(candidates[:size])])
            if longer is not None and _keeps_order(planned, networks, longer):
                order, groups = longer, [*groups, tuple(candidates[:size])]
                break
    return order


def pays(network: Architecture, batch: int) -> bool:
    """Returns: whether one pass over two batches is faster than two passes.

    It reads the weights and adds up their gradient once, and half as many operations are called. But the outputs of all layers
    are twice as many, and where they are many they no longer stay in the cache from one layer to the next: unless they are fewer
    than the weights, that costs more than it saves.
    """
    numbers = batch * sum(math.prod(layer.shape) for layer in network.layers)
    return numbers <= max(PAYING_NUMBERS, network.parameter_count)


def couples(network: Architecture, training: bool) -> bool:
    """Returns: whether what a network gives for a sample depends on the other samples of the batch, or on earlier evaluations."""
    for layer in network.layers:
        spectral = layer.settings.get("spectral_norm")
        if spectral is not None and (training or spectral["advance"] == "always"):
            return True
        if KINDS[layer.kind].couples and (training or not layer.statistics):
            return True
    return False


def _alike(planned: StepPlan, networks: Mapping[str, Architecture], batch: int) -> list[list[int]]:
    """Returns: evaluations that may share a pass, but for the order of nodes."""
    nodes, graph = planned.nodes, Graph(list(planned.nodes))
    barred = planned.trained_later | planned.echoes | planned.differentiated
    barred |= {*planned.keeps.values(), *planned.lasting}
    reached = {name: graph.sources({i}) for name, i in planned.losses.items()}
    flows = _flows(planned)
    groups: dict[object, list[int]] = {}
    for i, node in enumerate(nodes):
        if node.op != "network" or i in barred or couples(networks[node.value], node.training):
            continue
        if pays(networks[node.value], batch):
            losses = tuple(name for name, sources in reached.items() if i in sources)
            key = node.value, node.training, i in planned.tracked, losses, tuple(j in flows for j in node.inputs)
            group = groups.setdefault(key, [])
            if graph.ancestors({i}).isdisjoint(group):
                group.append(i)
    return [group for group in groups.values() if len(group) > 1]


def _flows(planned: StepPlan) -> set[int]:
    """Returns: the nodes from which a gradient flows on, to a parameter or to a variable of a formula."""
    flows: set[int] = set()
    for i, node in enumerate(planned.nodes):
        trained = node.op == "network" and node.value in planned.step.update
        through = node.op not in NON_DIFFERENTIABLE and (trained or not flows.isdisjoint(node.inputs))
        if i in planned.leaves or (i in planned.tracked and (through or node.op == "kept")):
            flows.add(i)
    return flows


def _scheduled(planned: StepPlan, groups: list[tuple[int, ...]]) -> Order | None:
    """Returns: the nodes, each group of them at once, in an order in which they can be evaluated; None where there is none."""
    joined = {i: group for group in groups for i in group}
    units = list(dict.fromkeys(joined.get(i, (i,)) for i in range(len(planned.nodes))))
    unit_of = {i: unit for unit in units for i in unit}
    needs = {unit: {unit_of[j] for i in unit for j in planned.nodes[i].inputs} for unit in units}
    readers: dict[tuple[int, ...], list[tuple[int, ...]]] = {unit: [] for unit in units}
    for unit, needed in needs.items():
        for other in needed:
            readers[other].append(unit)
    waiting = {unit: len(needed) for unit, needed in needs.items()}
    ready = [unit for unit, count in waiting.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers[order[-1]]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    return tuple(order) if len(order) == len(units) else None


def _keeps_order(planned: StepPlan, networks: Mapping[str, Architecture], order: Order) -> bool:
    """Returns: whether evaluations of each network with running statistics stay in the order in which they move these."""
    for name in {node.value for node in planned.nodes if node.op == "network"}:
        own = [i for unit in order for i in unit if (planned.nodes[i].op, planned.nodes[i].value) == ("network", name)]
        if any(layer.statistics for layer in networks[name].layers) and own != sorted(own):
            return False
    return True
