"""Values that a step takes from an earlier one, in place of evaluating a network again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ganspec.spec.parts.schedule import DATA
from ganspec.spec.plan.graph import MeaningError

if TYPE_CHECKING:
    from ganspec.spec.plan.builder import Builder


class Kept(NamedTuple):
    """How a later step of the iteration names a value: the network, the step that evaluates it (from 1), and which node."""

    network: str
    step: int
    node: int


def reused(builder: Builder, evaluation: int) -> int:
    """Find the earlier step's evaluation of the same network on the same inputs, and have that step keep its value.

    Args:
        builder: the builder of the step that reuses.
        evaluation: the node that would evaluate the network here.

    Returns: the node of the kept value.

    Raises:
        MeaningError: there is none, or the network has moved since.
    """
    graph, step = builder.graph, builder.step
    node = graph.nodes[evaluation]
    trained = node.value in step.update
    for i in sorted(graph.ancestors({evaluation})):
        draw = graph.nodes[i]
        if draw.op == "draw" and builder.schedule.lifetime(draw.value) != "iteration":
            hint = "let it live for the whole iteration: redraw." + ("data" if draw.value in DATA else "noise")
            raise MeaningError(f"{node.value} cannot be reused: '{draw.value}' is drawn anew in this step; {hint}")
    # Equal computations of different steps' graphs have equal numbers.
    known: dict[tuple[object, ...], int] = {}
    meanings = graph.meanings(known)
    inputs = [meanings[i] for i in node.inputs]
    for number, other in reversed(list(enumerate(builder.earlier, 1))):
        if trained and node.value in other.step.update:
            raise MeaningError(
                f"{node.value} cannot be reused here: step {number}, {other.step.name}, has moved its parameters since, and "
                "this step's gradient would be that of the network before"
            )
        if node.value in other.step.reuse:  # it evaluates the network as little as this step does
            continue
        meanings_there = other.graph.meanings(known)
        for i, candidate in enumerate(other.graph.nodes):
            same = candidate.op == "network" and candidate.value == node.value and other.step.always_runs
            same = same and (candidate.training or not trained)
            if same and [meanings_there[j] for j in candidate.inputs] == inputs:
                name = Kept(node.value, number, i)
                other.keeps[name] = i
                if trained:
                    other.trained_later.add(i)
                return graph.add("kept", (), node.shape, value=name)
    raise MeaningError(f"no earlier step evaluates {node.value} on these inputs, so there is nothing to reuse")
