"""Steps of a plan evaluated in Chainer: the value of every node, with a graph where a gradient needs one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import chainer
import chainer.functions as F

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.draws import Draws
from ganspec.impl_chainer.mode import Mode
from ganspec.impl_chainer.network import evaluate_layers, outputs_of
from ganspec.impl_chainer.operations import evaluate as evaluate_operation
from ganspec.impl_chainer.ranks import Ranks
from ganspec.impl_chainer.trained import TrainedNetwork
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.system import Stage, System
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import LiveDraws
from ganspec.spec.training.lasting import LastingValues
from ganspec.spec.training.results import Layers
from ganspec.spec.training.streams import Position


class Evaluation:
    """Evaluates the steps of a system's plan.

    `carried` and `reports` are the carried numbers and those recorded last, by name; whoever trains changes them.

    Args:
        system: system whose plan it is.
        networks: networks by name.
        draws: noise and dropout masks.
        context: device and dtype.
        ranks: exchanges with the other processes that share each batch; None for one process.
    """

    def __init__(
        self,
        system: System,
        networks: Mapping[str, TrainedNetwork],
        draws: Draws,
        context: ArrayContext,
        ranks: Ranks | None,
    ) -> None:
        self.system, self.networks, self.draws, self.context, self.ranks = system, networks, draws, context, ranks
        self.carried: dict[str, Array] = {}
        self.reports: dict[str, Array] = {}
        self._inputs, processes = draws.inputs, ranks.size if ranks else 1
        self._alive: LiveDraws[Array] = LiveDraws(system, self._noise, context.array, processes, self._inputs)
        self._kept: dict[str, Any] = {}
        self._lasting = LastingValues()

    def start_iteration(self) -> None:
        """Forget what lives for one iteration."""
        self._alive.start_iteration()
        self._kept.clear()
        self.forget()

    def forget(self) -> None:
        """Forget what is taken over because nothing that it depends on has moved: something else moves it now."""
        self._lasting.forget()

    def start_repeat(self, at: Position, next_batch: NextBatch) -> None:
        """Forget what ends with the repeat before this one; batches come from `next_batch` from now on."""
        self._alive.start_repeat(at, next_batch)
        self._lasting.start_repeat(at)

    def take_batches(self, next_batch: NextBatch) -> None:
        """Take batches from `next_batch` from now on."""
        self._alive.take_batches(next_batch)

    def values(self, planned: StepPlan, at: Position, layers: Layers | None) -> list[Any]:
        """Evaluate a repeat of a step.

        Args:
            planned: plan of the step.
            at: position of the repeat.
            layers: where what every layer gives is put, by network node and name; None to forget it.

        Returns: the value of each node of the plan.
        """
        values: list[Any] = [None] * len(planned.nodes)

        def finish(i: int) -> Any:
            name = planned.lasting.get(i) if layers is None else None
            values[i] = self._lasting.get(name)
            if values[i] is None:
                values[i] = self._finished(i, planned, at, values, layers)
                if name is not None:
                    self._lasting.put(name, values[i])
            return values[i]

        if self.ranks is not None:
            self.ranks.fill(values, planned, finish)
            return values
        for nodes in planned.order:
            if len(nodes) == 1:
                finish(nodes[0])
            else:
                self._in_one_pass(nodes, planned, at, values, layers)
        return values

    def looked_at(self, name: str, inputs: list[Array], iteration: int) -> dict[str, Array]:
        """Evaluate a network, or its moving average where one is kept, in inference mode; all stays as it is.

        This is one process's own business: it exchanges nothing.

        Args:
            name: name of the network.
            inputs: its inputs, in their order.
            iteration: iteration whose stage of growth it has.

        Returns: what each layer gave, and each input, by name.
        """
        network, (_, fade) = self.networks[name], self.system.at(iteration)
        parameters, statistics = (network.averages or a for a in (network.frozen_parameters, network.statistics))
        # Copies: spectral norm moves statistics in inference, too.
        mode = Mode(False, _no_mask, (1.0 - fade, fade), self.context.floating, None)
        return evaluate_layers(self._stage(iteration).networks[name], parameters, _copies(statistics), inputs, mode)

    def _finished(self, i: int, planned: StepPlan, at: Position, values: list[Any], layers: Layers | None) -> Any:
        """The value of a node, evaluated."""
        with chainer.using_config("enable_backprop", i in planned.tracked or i in planned.trained_later):
            value = self._value(i, planned, at, values, layers)
        return self._settled(i, planned, value)

    def _settled(self, i: int, planned: StepPlan, value: Any) -> Any:
        """A node's value with the graph that its readers want, and kept where a later step reads it."""
        for name in (name for name, node in planned.keeps.items() if node == i):  # for a later step
            self._kept[name] = value if i in planned.trained_later else self.context.constant(value)
        # Without a graph a variable of Chainer still asks for gradients, and so would all that is made of it.
        if i not in planned.tracked and not isinstance(value, float):
            value = self.context.constant(value)
        # An output of a network, behind no layer with weights, has no graph though the network is trained.
        graphless = i in planned.tracked and isinstance(value, Array) and not value.requires_grad
        if i in planned.leaves or (graphless and planned.nodes[i].op in ("network", "output")):
            value = Array(value.array, requires_grad=True)
        return value

    def _value(self, i: int, planned: StepPlan, at: Position, values: list[Any], layers: Layers | None) -> Any:
        node, inputs = planned.nodes[i], [values[j] for j in planned.nodes[i].inputs]
        match node.op:
            case "draw":
                return self._alive[node.value]
            case "carried":
                return self.carried[node.value]
            case "recall":
                return self.reports[node.value]
            case "kept":
                return self._kept[node.value]
            case "network":
                where = Position(at.iteration, at.step, at.repeat, planned.occurrences[i])
                network = self._stage(at.iteration).networks[node.value]
                trained = node.value in planned.step.update or i in planned.trained_later
                echo, look = i in planned.echoes, (lambda _, value: value) if layers is not None else None
                inside = self._network(node.value, inputs, node.training, [where], trained, echo=echo, look=look)
                if layers is not None:
                    layers[i] = {layer.name: inside[layer.name] for layer in network.layers}
                outputs = outputs_of(network, inside)
                return outputs if node.shape is None else next(iter(outputs.values()))
        if self.ranks is not None:
            return self.ranks.evaluate(planned, i, inputs)
        return evaluate_operation(node, inputs, i in planned.tracked)

    def _in_one_pass(
        self, nodes: tuple[int, ...], planned: StepPlan, at: Position, values: list[Any], layers: Layers | None
    ) -> None:
        """Evaluate a network for several batches at once, the rows of one after those of the other."""
        node = planned.nodes[nodes[0]]
        places = [Position(at.iteration, at.step, at.repeat, planned.occurrences[i]) for i in nodes]

        def look(name: str, value: Array) -> Array:
            parts = F.split_axis(value, len(nodes), axis=0)
            for i, part in zip(nodes, parts, strict=True):
                layers.setdefault(i, {})[name] = part
            return F.concat(parts, axis=0)

        with chainer.using_config("enable_backprop", nodes[0] in planned.tracked):
            batches = zip(*(planned.nodes[i].inputs for i in nodes), strict=True)
            inputs = [F.concat([values[j] for j in same], axis=0) for same in batches]
            trained = node.value in planned.step.update
            seen = look if layers is not None else None
            inside = self._network(node.value, inputs, node.training, places, trained, look=seen)
            outputs = outputs_of(self._stage(at.iteration).networks[node.value], inside)
            parts = {name: F.split_axis(output, len(nodes), axis=0) for name, output in outputs.items()}
        for k, i in enumerate(nodes):
            own = {name: part[k] for name, part in parts.items()}
            values[i] = self._settled(i, planned, own if node.shape is None else next(iter(own.values())))

    def _noise(self, name: str, at: Position) -> Array:
        return self.draws.symbol(name, self._stage(at.iteration).symbols[name], at, self.system.run.batch)

    def _network(
        self,
        name: str,
        inputs: list[Array],
        training: bool,
        places: list[Position],
        trained: bool,
        *,
        echo: bool = False,
        look: Callable[[str, Array], Array] | None = None,
    ) -> dict[str, Array]:
        """What each layer gives, for as many batches in one as there are places, whose dropout masks each has."""
        network, architecture = self.networks[name], self._stage(places[0].iteration).networks[name]

        def mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
            rows = (shape[0] // len(places), *shape[1:])
            masks = [self.draws.mask(name, layer, at, rows) for at in places]
            return masks[0] if len(masks) == 1 else F.concat(masks, axis=0)

        parameters = network.parameters if trained else network.frozen_parameters
        statistics = _copies(network.statistics) if echo else network.statistics
        mode = Mode(training, mask, self._fade(architecture, places[0]), self.context.floating, self.ranks)
        unjoined = architecture.unjoined(len(inputs[0]) // len(places))
        return evaluate_layers(architecture, parameters, statistics, inputs, mode, look=look, unjoined=unjoined)

    def _fade(self, architecture: Architecture, at: Position) -> tuple[Any, Any]:
        """1 - a and a, where a is the progress of the stage."""

        def factors(at: Position) -> tuple[float, float]:
            _, progress = self.system.at(at.iteration)
            return 1.0 - progress, progress

        if all(layer.kind != "fade" for layer in architecture.layers):
            return factors(at)
        rest, progress = self._inputs.numbers(at, factors, self.context.array, self.context.split)
        return rest, progress

    def _stage(self, iteration: int) -> Stage:
        return self.system.stages[self.system.at(iteration)[0]]


def _no_mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
    raise AssertionError(f"{layer.name}: a dropout layer drops nothing in inference")


def _copies(statistics: Mapping[str, Array]) -> dict[str, Array]:
    return {path: Array(a.array.copy(), requires_grad=False) for path, a in statistics.items()}
