"""Values that an iteration computes once, and takes over in later repeats and steps.

Within a step equal operations are one node (`graph`). Beyond it a value is the same where nothing that it depends on has changed.
This module proves that from the plan alone. What a value depends on:

    draws       each that it is computed from changes when it is redrawn
    parameters  of a network that it evaluates; they change with each repeat of a step that updates the network
    statistics  of a network that it evaluates in inference mode; an evaluation that moves them changes them
    numbers     carried numbers and reports; they change with each repeat of a step that computes them

An evaluation that moves running statistics or draws a dropout mask is never taken over: it does more than give a value. Nor is
one with a graph for gradients; a schedule asks for that by `reuse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.parts.schedule import Schedule
from ganspec.spec.plan.graph import Graph, Node
from ganspec.spec.plan.passes import order_of

if TYPE_CHECKING:
    from ganspec.spec.plan.plan import Plan, StepPlan

READ = ("constant", "draw", "carried", "recall", "kept")  # operations that compute nothing
_VOLATILE = ("volatile", "")  # what changes with every evaluation

Dependence = tuple[str, str]  # such as ("parameters", "G") or ("draw", "x")


class Lasting(NamedTuple):
    """The name of a value that is computed once: the step that comes to it first, from 1, and its node there."""

    step: int
    node: int


def share(plan: Plan, schedule: Schedule, networks: Mapping[str, Architecture], batch: int) -> Plan:
    """Find what an iteration computes once, and which evaluations are made in one pass.

    Args:
        plan: plan of one iteration.
        schedule: its schedule, which says how long draws live.
        networks: networks by name.
        batch: number of samples in a batch.

    Returns: the plan with each step's `lasting` and `order`.
    """
    lasting = _lasting(plan, schedule, networks)
    steps = (replace(planned, lasting=own) for planned, own in zip(plan.steps, lasting, strict=True))
    return replace(plan, steps=tuple(replace(planned, order=order_of(planned, networks, batch)) for planned in steps))


def moves(layer: Layer, training: bool) -> bool:
    """Returns: whether an evaluation in this mode moves the running statistics of a layer."""
    norm = layer.settings.get("spectral_norm")
    return bool(layer.statistics) and (training or (norm is not None and norm["advance"] == "always"))


def moves_any(network: Architecture, training: bool) -> bool:
    """Returns: whether an evaluation of a network in this mode moves any running statistics."""
    return any(moves(layer, training) for layer in network.layers)


def _lasting(plan: Plan, schedule: Schedule, networks: Mapping[str, Architecture]) -> list[dict[int, Lasting]]:
    """Returns: for each step, the nodes whose values are computed once, with their names."""
    changes = [_changes(planned, schedule, networks) for planned in plan.steps]
    between_steps = {
        ("draw", n.value) for p in plan.steps for n in p.nodes if _redrawn(n, schedule, ("step", "repeat"))
    }
    known: dict[tuple[object, ...], int] = {}
    homes: dict[int, Lasting] = {}  # where the newest value of each meaning is computed
    found: list[dict[int, Lasting]] = []
    for number, planned in enumerate(plan.steps):
        meanings, own = Graph(list(planned.nodes)).meanings(known), {}
        for i, depends in enumerate(_dependences(planned, networks)):
            if not _is_plain(planned, i) or not depends.isdisjoint({*changes[number], _VOLATILE}):
                continue
            home = homes.get(meanings[i])
            lasts = home is not None and depends.isdisjoint(between_steps.union(*changes[home.step - 1 : number]))
            own[i] = home if home is not None and lasts else Lasting(number + 1, i)
            homes[meanings[i]] = own[i]
        found.append(own)
    # What no later repeat or step takes over need not be remembered.
    uses = [name for own in found for name in own.values()]
    repeated = {number for number, planned in enumerate(plan.steps, 1) if _most_repeats(planned) > 1}
    return [{i: name for i, name in own.items() if uses.count(name) > 1 or name.step in repeated} for own in found]


def _is_plain(planned: StepPlan, i: int) -> bool:
    """Returns: whether a node computes a value without a graph, and nobody else wants its graph."""
    elsewhere = planned.tracked | planned.leaves | planned.trained_later | set(planned.keeps.values())
    return planned.nodes[i].op not in READ and i not in elsewhere


def _most_repeats(planned: StepPlan) -> int:
    override = planned.step.repeat_override
    return max(planned.step.repeat, override.repeat if override else 0)


def _dependences(planned: StepPlan, networks: Mapping[str, Architecture]) -> list[frozenset[Dependence]]:
    """Returns: what the value of each node depends on."""
    found: list[frozenset[Dependence]] = []
    for node in planned.nodes:
        own: set[Dependence] = set()
        match node.op:
            case "draw":
                own = {("draw", node.value)}
            case "carried" | "recall":
                own = {("number", node.value)}
            case "kept":
                own = {_VOLATILE}
            case "network":
                layers = networks[node.value].layers
                draws_masks = node.training and any(layer.kind == "dropout" for layer in layers)
                own |= {("parameters", node.value)} if any(layer.parameters for layer in layers) else set()
                own |= {("statistics", node.value)} if any(layer.statistics for layer in layers) else set()
                own |= {_VOLATILE} if draws_masks or moves_any(networks[node.value], node.training) else set()
        found.append(frozenset(own.union(*(found[j] for j in node.inputs))))
    return found


def _changes(planned: StepPlan, schedule: Schedule, networks: Mapping[str, Architecture]) -> set[Dependence]:
    """Returns: what changes between a repeat of a step and the next."""
    changes = {("parameters", name) for name in planned.step.update}
    changes |= {("number", name) for name in planned.reports}  # carried numbers' next values among them
    for node in planned.nodes:
        if _redrawn(node, schedule, ("repeat",)):
            changes.add(("draw", node.value))
        if node.op == "network" and moves_any(networks[node.value], node.training):
            changes.add(("statistics", node.value))
    return changes


def _redrawn(node: Node, schedule: Schedule, lifetimes: tuple[str, ...]) -> bool:
    return node.op == "draw" and schedule.lifetime(node.value) in lifetimes
