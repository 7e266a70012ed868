"""How quantities are named, the same for every witness, in the order in which they are evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.plan import StepPlan, describe_node
from ganspec.spec.system import Stage, System
from ganspec.spec.training.state import TrainingState, array_shapes
from ganspec.tools.agreement.report import Place, Quantity

_BOOKKEEPING = ("constant", "output", "expand")  # nodes whose value another node or layer has already


@dataclass(frozen=True)
class Names:
    """Names what one repeat of a step computes.

    Args:
        system: the system.
        place: the repeat.
    """

    system: System
    place: Place

    @property
    def stage(self) -> Stage:
        """The stage of growth that the iteration belongs to."""
        return self.system.stages[self.system.at(self.place.iteration)[0]]

    @property
    def plan(self) -> StepPlan:
        """The plan of the step."""
        assert self.place.step is not None
        return self.stage.plan.steps[self.place.step]

    def forward(self, values: Sequence[Any], layers: Mapping[int, Mapping[str, np.ndarray]]) -> Iterator[Quantity]:
        """Name the values of a plan's nodes.

        Args:
            values: value of each node; None where the witness has none.
            layers: what each layer gave, by network node and layer.

        Yields: draws, layers and formula nodes, in the order of the plan.
        """
        plan = self.plan
        roles: dict[int, str] = dict.fromkeys((*plan.reports.values(), *plan.carried.values()), "report")
        roles |= dict.fromkeys(plan.losses.values(), "loss")
        names: dict[int, list[str]] = {}
        for name, i in [*plan.named.items(), *plan.reports.items(), *plan.carried.items()]:
            names.setdefault(i, []).extend([name] if name not in names.get(i, []) else [])
        for i, node in enumerate(plan.nodes):
            if node.op == "network":
                sources = {layer.name: layer.source for layer in self.stage.networks[node.value].layers}
                for layer, value in layers.get(i, {}).items():
                    yield self._made("layer", self.layer_name(i, layer), value, sources[layer], node.value, layer, i)
            elif (node.op in _BOOKKEEPING and i not in roles) or values[i] is None or isinstance(values[i], dict):
                continue
            else:
                kind = roles.get(i) or {"draw": "draw", "grad": "input gradient"}.get(node.op, "value")
                what = " = ".join([*names.get(i, []), describe_node(i, plan)])
                yield self._made(kind, f"%{i} {what}", values[i], plan.sources[i], node=i)

    def backward(
        self,
        behind: Mapping[str, Mapping[int, Mapping[str, np.ndarray]]],
        gradients: Mapping[str, Mapping[str, np.ndarray]],
        slopes: Mapping[str, float],
    ) -> Iterator[Quantity]:
        """Name the gradients of each loss.

        Args:
            behind: gradient by what each layer gave, by the network whose loss it is, network node and layer.
            gradients: gradient of each network's loss by its parameters, by network and path.
            slopes: derivative of each network's loss along one direction in its parameters.

        Yields: from the last layer to the first.
        """
        for loss in self.plan.losses:
            for i in sorted(behind.get(loss, {}), reverse=True):
                network = self.plan.nodes[i].value
                architecture = self.stage.networks[network]
                for layer in reversed(architecture.layers):
                    if layer.name in behind[loss][i]:
                        through = _reader(architecture, layer.name)
                        name = f"gradient of loss_{loss} by {self.layer_name(i, layer.name)}"
                        source = through.source if through else layer.source
                        yield self._made(
                            "layer gradient", name, behind[loss][i][layer.name], source,
                            network, through.name if through else layer.name, i,
                        )  # fmt: skip
            sources = {layer.name: layer.source for layer in self.system.networks[loss].holds}
            for path in reversed(gradients.get(loss, {})):
                layer_name = path.rpartition("/")[0]
                name = f"gradient of loss_{loss} by {loss}/{path}"
                yield self._made(
                    "parameter gradient", name, gradients[loss][path], sources[layer_name], loss, layer_name
                )
            if loss in slopes:
                yield self._made("slope", f"slope of loss_{loss}", np.array(slopes[loss]), network=loss)

    def known(self) -> set[str]:
        """Returns: the names of all that a repeat computes, forwards, backwards, and in the state after it."""
        nothing, nodes = np.zeros(()), self.plan.nodes
        evaluated = {i: self.stage.networks[n.value].layers for i, n in enumerate(nodes) if n.op == "network"}
        layers = {i: {layer.name: nothing for layer in each} for i, each in evaluated.items()}
        gradients = {
            name: dict.fromkeys(self.system.networks[name].parameter_paths(), nothing) for name in self.plan.losses
        }
        named = [
            *self.forward([nothing] * len(nodes), layers),
            *self.backward(dict.fromkeys(self.plan.losses, layers), gradients, dict.fromkeys(self.plan.losses, 0.0)),
        ]
        arrays = (name.partition("/") for name in array_shapes(self.system))
        return {q.name for q in named} | {f"{role.removesuffix('s')} {path}" for role, _, path in arrays}

    def state(self, state: TrainingState, roles: Sequence[str], kind: str = "") -> Iterator[Quantity]:
        """Yields: the arrays of a state that have one of these roles; their kind is the role's, or the one given."""
        sources = {
            (name, layer.name): layer.source
            for name, network in self.system.networks.items()
            for layer in network.holds
        }
        for name, array in state.arrays.items():
            role, _, path = name.partition("/")
            if role in roles:
                network, _, rest = path.partition("/")
                rest = rest.partition("/")[2] if role == "moments" else rest
                layer = rest.rpartition("/")[0]
                source = sources.get((network, layer), "")
                if (network, layer) not in sources:
                    network = layer = ""
                one = role.removesuffix("s")
                yield self._made(kind or one, f"{one} {path}", array, source, network, layer)

    def layer_name(self, node: int, layer: str) -> str:
        """Returns: the name of what a layer gives in one evaluation of its network."""
        return f"%{node} {describe_node(node, self.plan)}: {layer}"

    def _made(
        self,
        kind: str,
        name: str,
        value: np.ndarray,
        source: str = "",
        network: str = "",
        layer: str = "",
        node: int | None = None,
    ) -> Quantity:
        return Quantity(kind, name, self.place, np.asarray(value), source, network, layer, node)


def _reader(architecture: Architecture, name: str) -> Any:
    """Returns: the only layer that reads what a layer gives; None where there are several, or it is an output, too."""
    readers = [layer for layer in architecture.layers if name in layer.inputs]
    return readers[0] if len(readers) == 1 and name not in architecture.outputs.values() else None
