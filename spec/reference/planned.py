"""The plan's nodes, valued by the reference: what lies between the draws and the losses, to be compared node by node.

Losses, reports and carried numbers come from the formulas themselves (`formulas`), which know nothing of the plan. Backends
execute the plan, so what they compute on the way has the plan's names. This module gives every node of a plan a value: of a
network what its evaluation of that number gave while the formulas were walked, of an operation its function of what it reads. A
plan that evaluates a network on other inputs, in another mode or too often differs from the formulas at that very node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ganspec.spec.plan.graph import ARITHMETIC, Graph, Node
from ganspec.spec.plan.plan import Plan, StepPlan
from ganspec.spec.plan.reuse import Kept
from ganspec.spec.reference import functions
from ganspec.spec.reference.evaluations import Evaluated
from ganspec.spec.reference.formulas import DIRECTIONS, Evaluator
from ganspec.spec.reference.jets import Jet, jet
from ganspec.spec.system import System

Value = (
    Jet | dict[str, Jet] | None
)  # of a network with several outputs a dictionary; None where the formulas have no such value
_OPERATORS = {op: operator for operator, op in ARITHMETIC.items()}


def check_computable(system: System) -> None:
    """Check that the reference computes every formula of a system.

    Raises:
        NotImplementedError: a formula differentiates a gradient with respect to a network's input; the message says which step.
    """
    for step in (step for stage in system.stages for step in stage.plan.steps):
        for node in step.nodes:
            if node.op == "grad" and any(step.nodes[i].op == "grad" for i in _between(step, *node.inputs)):
                raise NotImplementedError(
                    f"{system.name}: step {step.step.name} has a grad(...) of something that is made with grad(...); the "
                    "reference computes first derivatives in formulas alone; compare the other backends with one another"
                )


def directions(system: System) -> int:
    """Returns: the most directions that a gradient in a formula takes: one for each number that it is with respect to, in the
    whole batch.
    """
    nodes = [node for stage in system.stages for step in stage.plan.steps for node in step.nodes if node.op == "grad"]
    sizes = [math.prod(n if isinstance(n, int) else system.run.batch for n in node.shape or ()) for node in nodes]
    return max(sizes, default=0)


@dataclass(frozen=True)
class PlanValues:
    """Values of the nodes of a step's plan.

    Args:
        planned: plan of the step.
        values: value of each node, in the plan's order; None where the formulas have no such value.
        layers: what each layer gave, by network node and layer name.
    """

    planned: StepPlan
    values: list[Value]
    layers: dict[int, dict[str, np.ndarray]]

    def array(self, i: int) -> np.ndarray | dict[str, np.ndarray] | None:
        """Returns: the value of a node without its derivatives; of a network with several outputs each by name."""
        value = self.values[i]
        if isinstance(value, dict):
            return {name: output.f[0] for name, output in value.items()}
        if value is None:
            return None
        array: np.ndarray = value.f[0]
        return array.astype(np.int64) if self.planned.nodes[i].dtype == "label" else array


def evaluate_plan(evaluator: Evaluator) -> PlanValues:
    """Give every node of a step's plan a value.

    Args:
        evaluator: evaluator of the repeat; it has walked the step's losses, reports and carried numbers.

    Returns: the values.
    """
    planned = evaluator.stage.plan.steps[evaluator.at.step]
    values: list[Value] = []
    layers = {}
    for i, node in enumerate(planned.nodes):
        values.append(_value(evaluator, planned, i, values))
        evaluated = _evaluation(evaluator, planned, i) if node.op == "network" else None
        if evaluated is not None:
            layers[i] = {name: f[0] for name, f in evaluated.layers.items()}
    return PlanValues(planned, values, layers)


def _value(evaluator: Evaluator, planned: StepPlan, i: int, values: list[Value]) -> Value:
    node = planned.nodes[i]
    match node.op:
        case "constant":
            return jet(node.value)
        case "draw":
            return jet(evaluator.symbol(node.value))
        case "carried":
            return jet(evaluator.state.arrays[f"carried/{node.value}"])
        case "recall":
            return jet(evaluator.state.arrays[f"reports/{node.value}"])
        case "kept":
            return _kept(evaluator, evaluator.stage.plan, node.value, node.shape is None)
        case "network":
            return _outputs(_evaluation(evaluator, planned, i), node.shape is None)
    if any(values[j] is None for j in node.inputs):
        return None
    if node.op == "grad":
        return _gradient(evaluator, planned, node, values)
    return _operation(node, [values[j] for j in node.inputs])


def _evaluation(evaluator: Evaluator, planned: StepPlan, i: int) -> Evaluated | None:
    node = planned.nodes[i]
    found = evaluator.evaluation(node.value, planned.occurrences[i])
    return found if found is not None and found.training == node.training else None


def _outputs(evaluated: Evaluated | None, several: bool) -> Value:
    if evaluated is None:
        return None
    outputs = {name: Jet(f) for name, f in evaluated.outputs.items()}
    return outputs if several else next(iter(outputs.values()))


def _kept(evaluator: Evaluator, plan: Plan, name: Kept, several: bool) -> Value:
    """The outputs of an earlier step's evaluation."""
    earlier = next((e for e in evaluator.earlier if e.at.step == name.step - 1), None)
    planned = plan.steps[name.step - 1]
    return None if earlier is None else _outputs(_evaluation(earlier, planned, planned.keeps[name]), several)


def _operation(node: Node, inputs: list[Value]) -> Jet:
    """One operation on the values that it reads; `spec.plan.graph` defines them."""
    if node.op == "output":
        assert isinstance(inputs[0], dict)
        return inputs[0][node.value]
    x, *rest = (value for value in inputs if isinstance(value, Jet))
    match node.op:
        case "negative":
            return x * -1.0
        case "add" | "subtract" | "multiply" | "divide":
            return functions.arithmetic(_OPERATORS[node.op], x, *rest)
        case "power":
            return x.power(node.value)
        case "expand":
            return x.linear(lambda v: v.reshape(*v.shape, *(1,) * node.value))
        case "detach":
            return x.constant()
        case "clip":
            return functions.call("clip", x, *map(jet, node.value))
    return functions.call(node.op, x, *rest, *([] if node.value is None else [jet(node.value)]))


def _gradient(evaluator: Evaluator, planned: StepPlan, node: Node, values: list[Value]) -> Jet:
    """The gradient of the sum of one node with respect to another: that which a formula took of the same values.

    Where formulas took different ones (`D(x) * detach(D(x))` has the values of `D(x) ^ 2`), this is computed from the plan.
    """
    of, to = (values[i] for i in node.inputs)
    assert isinstance(of, Jet)
    assert isinstance(to, Jet)
    taken = [g.value for g in evaluator.gradients if np.array_equal(g.of, of.f) and np.array_equal(g.to, to.f)]
    if taken and all(np.array_equal(value, taken[0]) for value in taken):
        return Jet(taken[0])
    return _own_gradient(evaluator, planned, node, values)


def _own_gradient(evaluator: Evaluator, planned: StepPlan, node: Node, values: list[Value]) -> Jet:
    """The gradient, from the plan: all between the two nodes again, with a direction for each number of the second."""
    of, to = node.inputs
    base = values[to]
    assert isinstance(base, Jet)
    between, gradient = _between(planned, of, to), np.zeros(base.f.size)
    for start in range(0, base.f.size, DIRECTIONS):
        end = min(start + DIRECTIONS, base.f.size)
        tilted = [*values]
        tilted[to] = base.tilted(start, end)
        for i in between:
            tilted[i] = _again(evaluator, planned, i, tilted)
        result = tilted[of]
        assert isinstance(result, Jet)
        if result.a is not None:  # else an output of a network that does not read this input: the gradient is 0
            gradient[start:end] = result.a.reshape(end - start, -1).sum(axis=1)
    return Jet(gradient.reshape(base.f.shape))


def _between(planned: StepPlan, of: int, to: int) -> list[int]:
    """Returns: the nodes through which a gradient of `of` with respect to `to` flows, in order, without `to` itself."""
    graph = Graph(list(planned.nodes))
    return sorted(graph.dependants(to) & graph.sources({of}) - {to})


def _again(evaluator: Evaluator, planned: StepPlan, i: int, values: list[Value]) -> Value:
    """One node on values that have derivatives."""
    node = planned.nodes[i]
    inputs = [values[j] for j in node.inputs]
    if node.op != "network":
        return _operation(node, inputs)
    evaluated = _evaluation(evaluator, planned, i)
    assert evaluated is not None
    layers, _ = evaluator.again(node.value, [value for value in inputs if isinstance(value, Jet)], evaluated)
    outputs = {name: layers[layer] for name, layer in evaluator.stage.networks[node.value].outputs.items()}
    return outputs if node.shape is None else next(iter(outputs.values()))
