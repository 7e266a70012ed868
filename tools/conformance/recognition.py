"""Recognises what somebody's code computes: which evaluation of the plan, which layer.

An evaluation of a network is recognised by its inputs: it is the one of the current repeat whose inputs are nearest. So code may
evaluate D on real and fake images in any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.system import Stage
from ganspec.tools.agreement.bounds import norm
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.expected import Repeat

_SAME = 1e-9  # relative distance below which the inputs of an evaluation are those of one that was made before
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
    repeat: Repeat | None, batch: int, stage: Stage, network: str, inputs: Sequence[np.ndarray], made: set[int]
) -> Evaluation:
    """Find which evaluations of the plan an evaluation is.

    Args:
        repeat: the current repeat; None after the last.
        batch: number of samples per batch; inputs of a multiple of it are several evaluations at once.
        stage: stage of growth.
        network: name of the network.
        inputs: what it is given.
        made: evaluations of the plan that were made in this repeat.
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
        distances = {i: _input_distance(repeat, stage, i, given) for i in nodes}
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


def _input_distance(repeat: Repeat, stage: Stage, node: int, given: Sequence[np.ndarray]) -> float:
    distances = []
    for k, values in enumerate(given[: len(repeat.plan.nodes[node].inputs)]):
        quantity = input_of(repeat, stage, node, k)
        distances.append(distance(quantity.value, values) if quantity is not None else 0.0)
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


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns: the relative distance of two arrays with as many numbers; infinite for others."""
    if a.size != b.size:
        return math.inf
    with np.errstate(all="ignore"):
        apart = norm(np.subtract(a.ravel(), b.ravel(), dtype=np.float64))
    largest = max(norm(a), norm(b))
    return apart / largest if largest else 0.0
