"""Steps of a plan evaluated in Chainer: the value of every node, with a graph where a gradient needs one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chainer

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

    def start_iteration(self) -> None:
        """Forget what lives for one iteration."""
        self._alive.start_iteration()
        self._kept.clear()

    def start_repeat(self, at: Position, next_batch: NextBatch) -> None:
        """Forget what ends with the repeat before this one; batches come from `next_batch` from now on."""
        self._alive.start_repeat(at, next_batch)

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
            values[i] = self._finished(i, planned, at, values, layers)
            return values[i]

        if self.ranks is not None:
            self.ranks.fill(values, planned, finish)
        else:
            for i in range(len(values)):
                finish(i)
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
        statistics = {path: Array(a.array.copy(), requires_grad=False) for path, a in statistics.items()}
        mode = Mode(False, _no_mask, (1.0 - fade, fade), self.context.floating, None)
        return evaluate_layers(self._stage(iteration).networks[name], parameters, statistics, inputs, mode)

    def _finished(self, i: int, planned: StepPlan, at: Position, values: list[Any], layers: Layers | None) -> Any:
        """The value of a node: with a graph where a gradient needs one, kept where a later step reads it."""
        with chainer.using_config("enable_backprop", i in planned.tracked or i in planned.trained_later):
            value = self._value(i, planned, at, values, layers)
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
        node, stage = planned.nodes[i], self._stage(at.iteration)
        inputs = [values[j] for j in node.inputs]
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
                trained = node.value in planned.step.update or i in planned.trained_later
                inside = self._network(node.value, inputs, node.training, where, trained, layers is not None)
                if layers is not None:
                    layers[i] = {layer.name: inside[layer.name] for layer in stage.networks[node.value].layers}
                outputs = outputs_of(stage.networks[node.value], inside)
                return outputs if node.shape is None else next(iter(outputs.values()))
        if self.ranks is not None:
            return self.ranks.evaluate(planned, i, inputs)
        return evaluate_operation(node, inputs, i in planned.tracked)

    def _noise(self, name: str, at: Position) -> Array:
        return self.draws.symbol(name, self._stage(at.iteration).symbols[name], at, self.system.run.batch)

    def _network(
        self, name: str, inputs: list[Array], training: bool, at: Position, updated: bool, apart: bool
    ) -> dict[str, Array]:
        network, stage = self.networks[name], self._stage(at.iteration)

        def mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
            return self.draws.mask(name, layer, at, shape)

        parameters = network.parameters if updated else network.frozen_parameters
        mode = Mode(training, mask, self._fade(stage.networks[name], at), self.context.floating, self.ranks)
        return evaluate_layers(stage.networks[name], parameters, network.statistics, inputs, mode, apart=apart)

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
