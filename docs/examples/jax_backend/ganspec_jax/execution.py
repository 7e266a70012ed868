"""One repeat of a step as a pure function: from parameters, statistics and draws to all values, layers and gradients.

A plan lists the evaluations of a step in an order in which they can be done. This module does them in that order, inside a
function that JAX can differentiate and compile. Where a formula takes a gradient, the evaluations between its two nodes become a
function of their own, which is differentiated: so double backprop needs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.graph import Graph
from ganspec.spec.plan.plan import Plan, StepPlan
from ganspec_jax.layers import Mode, evaluate_layers
from ganspec_jax.operations import evaluate as evaluate_operation

Given = dict[str, Any]  # what a repeat reads, a tree of arrays: see `Execution.compute`


@dataclass(frozen=True)
class Execution:
    """The function that one step of a plan is.

    Args:
        plan: plan of an iteration.
        step: number of the step in it.
        networks: architectures by name.
        dtype: dtype of the parameters.
        keep_layers: whether what every layer gives is returned.
    """

    plan: Plan
    step: int
    networks: Mapping[str, Architecture]
    dtype: Any
    keep_layers: bool

    @property
    def planned(self) -> StepPlan:
        """The step's own plan."""
        return self.plan.steps[self.step]

    def compute(self, given: Given) -> dict[str, Any]:
        """Compute one repeat; a pure function, which can be compiled.

        Args:
            given: arrays that the repeat reads. "parameters" and "statistics" are of every network, by network and path; "draws",
                "carried" and "reports" by name; "masks" by network node and layer; "kept" has for each value of an earlier step
                what `kept` says; "fade" is the progress of the stage of growth.

        Returns: "values" of every node, "layers" by network node, "found": the statistics that each network node found,
            "statistics" afterwards, and "gradients" of each loss with respect to its own network.
        """
        gradients = {}
        for network, i in self.planned.losses.items():

            def loss(own: Any, network: str = network, i: int = i) -> Any:
                return self._evaluate(given, {network: own})["values"][i]

            # Of this network alone: all others are constants of the function.
            gradients[network] = jax.grad(loss)(given["parameters"][network])
        return {**self._evaluate(given, {}), "gradients": gradients}

    def kept(self, given: Given, computed: Mapping[str, Any], i: int) -> dict[str, Any]:
        """Returns: what a later step needs of network node `i`: its value, and what it takes to evaluate it again."""
        inputs = [computed["values"][j] for j in self.planned.nodes[i].inputs]
        return {
            "value": computed["values"][i],
            "inputs": inputs,
            "statistics": computed["found"][i],
            "masks": given["masks"][i],
        }

    def _evaluate(self, given: Given, trained: Mapping[str, Any]) -> dict[str, Any]:
        """Evaluate every node, with the parameters of some networks from `trained`."""
        values: list[Any] = []
        result = {"values": values, "layers": {}, "found": {}, "statistics": dict(given["statistics"])}
        parameters = {**given["parameters"], **trained}
        for i, node in enumerate(self.planned.nodes):
            match node.op:
                case "draw":
                    value = given["draws"][node.value]
                case "carried":
                    value = given["carried"][node.value]
                case "recall":
                    value = given["reports"][node.value]
                case "kept":
                    value = self._kept(given, node.value, trained)
                case "network":
                    result["found"][i] = result["statistics"][node.value]
                    layers, moved = self._network(given, parameters, result["found"][i], i, values)
                    result["statistics"][node.value] = moved
                    value = self._outputs(node.value, layers)
                    if self.keep_layers:
                        result["layers"][i] = {
                            layer.name: layers[layer.name] for layer in self.networks[node.value].layers
                        }
                case "grad":
                    value = self._gradient(given, parameters, result, i)
                case _:
                    value = evaluate_operation(node, [values[j] for j in node.inputs])
            values.append(value)
        return result

    def _network(
        self, given: Given, parameters: Mapping[str, Any], statistics: Mapping[str, Any], i: int, values: list[Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns: what each layer of a network node gives, and the network's statistics afterwards."""
        node = self.planned.nodes[i]
        mode = Mode(node.training, given["masks"][i], given["fade"], self.dtype)
        inputs = [values[j] for j in node.inputs]
        layers = evaluate_layers(self.networks[node.value], parameters[node.value], statistics, inputs, mode)
        return layers, {**statistics, **mode.moved}

    def _gradient(self, given: Given, parameters: Mapping[str, Any], result: Mapping[str, Any], i: int) -> Any:
        """The gradient of the sum of one node with respect to another: that of the evaluations between the two."""
        (of, to), values, nodes = self.planned.nodes[i].inputs, result["values"], self.planned.nodes
        graph = Graph(list(nodes))
        between = sorted(graph.dependants(to) & graph.sources({of}) - {to})

        def total(variable: Any) -> Any:
            there = {**dict(enumerate(values)), to: variable}
            for j in between:
                if nodes[j].op == "network":
                    layers, _ = self._network(given, parameters, result["found"][j], j, there)
                    there[j] = self._outputs(nodes[j].value, layers)
                elif nodes[j].op == "grad":
                    there[j] = self._gradient(given, parameters, {**result, "values": list(there.values())}, j)
                else:
                    there[j] = evaluate_operation(nodes[j], [there[k] for k in nodes[j].inputs])
            return there[of].sum()

        return jax.grad(total)(values[to])

    def _kept(self, given: Given, name: Any, trained: Mapping[str, Any]) -> Any:
        """A value of an earlier step. Where its network is trained here, the gradient flows through that evaluation."""
        kept = given["kept"][name]
        if name.network not in trained:
            return kept["value"]
        earlier = self.plan.steps[name.step - 1]
        training = earlier.nodes[earlier.keeps[name]].training
        mode = Mode(training, kept["masks"], given["fade"], self.dtype)
        own, architecture = trained[name.network], self.networks[name.network]
        layers = evaluate_layers(architecture, own, kept["statistics"], kept["inputs"], mode)
        return self._outputs(name.network, layers)

    def _outputs(self, network: str, layers: Mapping[str, Any]) -> Any:
        outputs = {output: layers[layer] for output, layer in self.networks[network].outputs.items()}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))
