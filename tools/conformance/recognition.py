"""Recognises what somebody's code computes: which evaluation of the plan, which layer.

An evaluation of a network is recognised by its inputs: it is the one of the current repeat whose inputs are nearest. So code may
evaluate D on real and fake images in any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.system import Stage
from ganspec.tools.agreement.bounds import norm
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.expected import Repeat

_SAME = 1e-9  # relative distance below which the inputs of an evaluation are those of one that was made before
_RELATED = 0.7  # relative distance from which two arrays have nothing to do with one another
_UNLIKE = 10.0  # what is added then to the distance from what a network gave, for something else may be as far
_WEIGHTED = ("linear", "conv", "deconv", "embedding", "batch_norm")


@dataclass
class Evaluation:
    """An evaluation of a network that is going on.

    Args:
        network: name of the network.
        nodes: evaluations of the plan that it is, one for each batch that it is given together; None where the spec has none.
        again: whether the plan's evaluation was made before, and this is the same once more.
        reached: number of layers that were passed.
    """

    network: str
    nodes: tuple[int, ...] | None
    again: bool = False
    reached: int = 0


def recognised(
    repeat: Repeat | None,
    batch: int,
    stage: Stage,
    network: str,
    inputs: Sequence[np.ndarray],
    made: set[int],
    theirs: Record,
) -> Evaluation:
    """Find which evaluations of the plan an evaluation is.

    Args:
        repeat: the current repeat; None after the last.
        batch: number of samples per batch; inputs of a multiple of it are several evaluations at once.
        stage: stage of growth.
        network: name of the network.
        inputs: what it is given.
        made: evaluations of the plan that were made in this repeat.
        theirs: what the code has computed in it: an input that is what one of its networks gave is known by that.
    """
    if repeat is None or not inputs:
        return Evaluation(network, None)
    nodes = [i for i, node in enumerate(repeat.plan.nodes) if node.op == "network" and node.value == network]
    parts = len(inputs[0]) // batch if len(inputs[0]) % batch == 0 else 1
    if len(nodes) == 1 and nodes[0] not in made and parts <= 1:
        return Evaluation(network, (nodes[0],))
    found: list[int] = []
    again = False
    for number in range(max(1, parts)):
        given = [a[number * batch : (number + 1) * batch] for a in inputs] if parts > 1 else list(inputs)
        distances = {i: input_distance(repeat, stage, i, given, theirs) for i in nodes}
        left = [i for i in nodes if i not in made and i not in found]
        known = [i for i in nodes if i not in left and distances[i] < _SAME]
        if known and not any(distances[i] < _SAME for i in left):
            found.append(known[0])
            again = True
        elif left:
            found.append(min(left, key=lambda i: (distances[i], i)))
        else:
            return Evaluation(network, None)
    return Evaluation(network, tuple(found), again)


def input_distance(repeat: Repeat, stage: Stage, node: int, given: Sequence[np.ndarray], theirs: Record) -> float:
    """Returns: the relative distance of what a network is given from what an evaluation of the plan reads."""
    distances = []
    for k, values in enumerate(given[: len(repeat.plan.nodes[node].inputs)]):
        quantity = input_of(repeat, stage, node, k)
        apart = distance(quantity.value, values) if quantity is not None else 0.0
        own = theirs.get((quantity.place, quantity.name)) if quantity is not None else None
        if own is not None and own.kind == "layer":
            to_own = distance(own.value, values)
            apart = to_own if to_own < _SAME else apart + _UNLIKE * (min(apart, to_own) > _RELATED)
        distances.append(apart)
    return max(distances, default=0.0)


def input_of(repeat: Repeat, stage: Stage, node: int, number: int) -> Quantity | None:
    """Returns: the quantity that a network's evaluation reads as one of its inputs; None where it has none of its own."""
    source = repeat.plan.nodes[node].inputs[number]
    inner = repeat.plan.nodes[source]
    output = ""
    if inner.op == "output":
        source, output = inner.inputs[0], inner.value
        inner = repeat.plan.nodes[source]
    if inner.op == "network":
        outputs = stage.networks[inner.value].outputs
        return repeat.value(source, outputs[output] if output else next(iter(outputs.values())))
    return repeat.value(source)


def next_layer(architecture: Architecture, evaluation: Evaluation, kind: str, name: str) -> Layer | None:
    """Find the layer that an operation computes: that of its weights, or the next of its kind before further weights.

    Args:
        architecture: the network.
        evaluation: the evaluation, which then has passed that layer.
        kind: kind of layer that computes so.
        name: the layer whose weights the operation reads; "" where none do.
    """
    layers = architecture.layers
    if name:
        number = next((i for i, layer in enumerate(layers) if layer.name == name), None)
        if number is None:
            return None
        evaluation.reached = number + 1
        return layers[number]
    for i in range(evaluation.reached, len(layers)):
        if layers[i].kind == kind:
            evaluation.reached = i + 1
            return layers[i]
        if layers[i].kind in _WEIGHTED:
            return None
    return None


def given_to(
    layer: Layer, inputs: Sequence[np.ndarray], repeat: Repeat | None, evaluation: Evaluation
) -> list[tuple[str, np.ndarray]]:
    """Pair what an operation reads with the layers that a layer reads.

    Returns: the name and value of each input; of what is joined only what is nearest to that input, not to another.
    """
    pairs = list(zip(layer.inputs, inputs, strict=False))
    if layer.kind != "concat" or repeat is None or not evaluation.nodes or len(evaluation.nodes) > 1:
        return pairs
    right = {name: repeat.value(evaluation.nodes[0], name) for name in layer.inputs}
    found = []
    for name, values in pairs:
        distances = {other: distance(q.value, values) for other, q in right.items() if q is not None}
        if distances.get(name, 0.0) <= min(distances.values(), default=0.0) and distances.get(name, 0.0) < math.inf:
            found.append((name, values))
    return found


def labels_of(network: str, losses: Sequence[tuple[str, float]], repeat: Repeat) -> set[str]:
    """Tell which of the numbers that code differentiated in a repeat are the loss of a network.

    Args:
        network: the network.
        losses: label and value of each number: a network's name where it was differentiated by that one's parameters alone, with
            a number after it where these did not keep the gradient.
        repeat: what the spec computes.

    Returns: labels; of as many losses as networks move, those are paired that are nearest to the spec's.
    """
    update, free = repeat.plan.step.update, [(label, value) for label, value in losses if label.startswith("#")]
    looked_at = [label for label, _ in losses if label.startswith(f"{network}#")]
    if looked_at and not free and all(label != network for label, _ in losses):
        return {looked_at[-1]}  # the newest, which the code puts into its parameters itself
    if len(update) == 1:
        return {network, *(label for label, _ in free)}
    expected = [repeat.value(repeat.plan.losses[n]) for n in update]
    if len(free) != len(update) or any(q is None or q.value.size != 1 for q in expected):
        return {network}
    right = [float(q.value) for q in expected if q is not None]
    orders = permutations(free)
    best = min(orders, key=lambda order: sum(_apart(v, r) for (_, v), r in zip(order, right, strict=True)))
    return {network, best[update.index(network)][0]}


def _apart(a: float, b: float) -> float:
    """Returns: how far two numbers are from one another, at most 1, so that one wrong number counts as one."""
    return min(1.0, abs(a - b) / max(abs(a), abs(b), 1e-300))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns: the relative distance of two arrays with as many numbers; infinite for others."""
    if a.size != b.size:
        return math.inf
    with np.errstate(all="ignore"):
        apart = norm(np.subtract(a.ravel(), b.ravel(), dtype=np.float64))
    largest = max(norm(a), norm(b))
    return apart / largest if largest else 0.0
