"""A plan without anything shared: what sharing saves is the time that this takes longer.

Each loss, each report and each carried number is computed by itself, with evaluations of its own; nothing is taken over from an
earlier repeat, and each evaluation has a pass of its own. The numbers are the same, bit for bit: an evaluation that is made again
has the dropout masks of the first, and the running statistics that it moves are thrown away. Where an evaluation made again would
not give the same (spectral norm moves its vector; a network in inference mode whose statistics move in the same step), it is made
once here, too. What a schedule says about reuse stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.graph import Graph, Node
from ganspec.spec.plan.passes import one_by_one
from ganspec.spec.plan.plan import Plan, StepPlan, gradient_nodes
from ganspec.spec.plan.sharing import READ, moves_any


def without_sharing(plan: Plan, networks: Mapping[str, Architecture]) -> Plan:
    """Returns: a plan of the same iteration that shares nothing; it computes the same numbers in more time."""
    return Plan(tuple(_apart(planned, networks) for planned in plan.steps))


def _apart(planned: StepPlan, networks: Mapping[str, Architecture]) -> StepPlan:
    # Which formulas need each node? A report of a loss is that loss, and of a carried number its next value.
    formulas = {f"loss_{name}": i for name, i in planned.losses.items()} | dict(planned.reports) | dict(planned.carried)
    graph = Graph(list(planned.nodes))
    needed = {name: graph.ancestors({i}) for name, i in formulas.items()}
    # Make a node for each of them, the first in place of the one that they share.
    nodes: list[Node] = []
    sources, echoes, occurrences = [], set(), {}
    places: dict[str, dict[int, int]] = {name: {} for name in formulas}
    first: dict[int, int] = {}
    for i, node in enumerate(planned.nodes):
        users = [name for name in formulas if i in needed[name]]
        for user in users if _can_be_made_again(planned, i, networks) else users[:1] or [""]:
            inputs = tuple(places[user][j] if user else first[j] for j in node.inputs)
            if i in first and node.op == "network":
                echoes.add(len(nodes))
            first.setdefault(i, len(nodes))
            if user:
                places[user][i] = len(nodes)
            if node.op == "network":
                occurrences[len(nodes)] = planned.occurrences[i]
            nodes.append(replace(node, inputs=inputs))
            sources.append(planned.sources[i])
        for user in users:
            places[user].setdefault(i, first[i])
    losses, reports, carried = (
        {name: places[prefix + name][i] for name, i in group.items()}
        for prefix, group in (("loss_", planned.losses), ("", planned.reports), ("", planned.carried))
    )
    tracked, leaves = gradient_nodes(planned.step, tuple(nodes), set(losses.values()))
    return replace(
        planned,
        nodes=tuple(nodes),
        losses=losses,
        reports=reports,
        carried=carried,
        tracked=tracked,
        leaves=leaves,
        occurrences=occurrences,
        keeps={name: first[i] for name, i in planned.keeps.items()},
        trained_later=frozenset(first[i] for i in planned.trained_later),
        named={name: first[i] for name, i in planned.named.items()},
        sources=tuple(sources),
        lasting={},
        order=one_by_one(len(nodes)),
        echoes=frozenset(echoes),
    )


def _can_be_made_again(planned: StepPlan, i: int, networks: Mapping[str, Architecture]) -> bool:
    node = planned.nodes[i]
    if node.op != "network":
        return node.op not in READ
    network = networks[node.value]
    if any("spectral_norm" in layer.settings for layer in network.layers) and moves_any(network, node.training):
        return False
    others = (other for other in planned.nodes if other.op == "network" and other.value == node.value)
    return node.training or not any(moves_any(network, other.training) for other in others)
