"""Training in Chainer: executes the plan of a system, one iteration at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import chainer
import numpy as np

from impl_chainer.arrays import Array, Place, to_numpy
from impl_chainer.draws import Draws
from impl_chainer.layers import Mode
from impl_chainer.network import evaluate
from impl_chainer.operations import evaluate as evaluate_operation
from impl_chainer.trained import Trained
from spec.architecture import Layer
from spec.graph import Node
from spec.plan import StepPlan
from spec.state import TrainingState, array_shapes, initial_state, recalled_reports
from spec.streams import Position
from spec.system import Stage, System

Feed = Callable[
    [], Mapping[str, np.ndarray]
]  # the next batch: "x" in the system's range, and "y" where there are labels


@dataclass(frozen=True)
class Moment:
    """What one repeat of a step computed, before any parameter moves: every node's value, every network's flat gradient."""

    step: int
    repeat: int
    plan: StepPlan
    values: list[Any]
    gradients: dict[str, Array]


class Trainer:
    """Trains one system.

    Args:
        system: what to train.
        seed: of all random numbers.
        state: where to start; the initial state of the seed if None.
        dtype: "float32" or "float64".
        device: "cpu" or "cuda".
        draws: "host" for the streams of the spec, the same in every backend; "device" for the device's own generator.

    Raises:
        DeviceError: the device is not there.
    """

    def __init__(
        self,
        system: System,
        seed: int,
        state: TrainingState | None = None,
        *,
        dtype: str = "float32",
        device: str = "cpu",
        draws: str = "host",
    ) -> None:
        self.system = system
        self.place = Place(device, dtype)
        self.draws = Draws(system, seed, draws, self.place)
        self.networks = {
            name: Trained(architecture, system.optimizers.get(name), name in system.averages, self.place)
            for name, architecture in system.networks.items()
        }
        self._parts = [
            {name: self.networks[name].parts(architecture) for name, architecture in stage.networks.items()}
            for stage in system.stages
        ]
        self.states: dict[str, Array] = {}
        self.reports: dict[str, Array] = {}
        self.iteration = 0
        self._drawn: dict[str, Array] = {}
        self._kept: dict[str, Any] = {}
        self.load(state if state is not None else initial_state(system, seed))

    def iterate(self, feed: Feed) -> dict[str, Array]:
        """Train one iteration.

        Args:
            feed: called for each batch that the schedule draws.

        Returns: the recorded numbers, on the device; of several repeats the last.
        """
        recorded: dict[str, Array] = {}
        for step, repeat in self.repeats():
            recorded |= self.update(self.compute(step, repeat, feed))
        for name, decay in self.system.averages.items():
            self.networks[name].average(decay)
        self.iteration += 1
        return recorded

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat); each must be done before the next."""
        self._forget("iteration")
        for number, planned in enumerate(self._stage.plan.steps):
            until = planned.step.until
            for repeat in range(planned.step.repeats(self.iteration)):
                yield number, repeat
                if until and until.reached(float(to_numpy(self.reports[until.report]))):
                    break

    def compute(self, step: int, repeat: int, feed: Feed) -> Moment:
        """Compute one repeat of a step: values and gradients.

        Running statistics move; parameters do not, but for weight clipping that comes "before".
        """
        self._forget("repeat")
        if repeat == 0:
            self._forget("step")
        planned = self._stage.plan.steps[step]
        for name in planned.step.update:
            self.networks[name].clip(self.system.optimizers[name].clip, "before")
        with chainer.using_config("type_check", False):  # shapes were checked when the plan was made
            values = self._evaluate(planned, Position(self.iteration, step, repeat), feed)
            self._kept |= {name: _constant(values[i], self.place) for name, i in planned.keeps.items()}
            return Moment(step, repeat, planned, values, self._gradients(planned, values))

    def update(self, moment: Moment) -> dict[str, Array]:
        """Move the parameters and states as a moment says. Returns: its recorded numbers."""
        recorded = {name: _constant(moment.values[i], self.place) for name, i in moment.plan.reports.items()}
        self.reports |= recorded
        self.states |= {name: _constant(moment.values[i], self.place) for name, i in moment.plan.states.items()}
        for name, gradient in moment.gradients.items():
            network = self.networks[name]
            network.optimizer.update(network.flat, gradient, self._parts[self.system.at(self.iteration)[0]][name])
            network.clip(self.system.optimizers[name].clip, "after")
        return recorded

    def gradients_by_path(self, moment: Moment) -> dict[str, dict[str, Array]]:
        """Returns: each updated network's gradient as named arrays."""
        return {name: self.networks[name].views(flat) for name, flat in moment.gradients.items()}

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Returns: what the network G, or its moving average, makes of its inputs in inference; training is not disturbed."""
        with chainer.no_backprop_mode():
            outputs = self._network("G", [self.place.array(a) for a in inputs], False, None, averaged=True)
        return to_numpy(next(iter(outputs.values())))

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state, on the host."""
        arrays: dict[str, Any] = {}
        for name, network in self.networks.items():
            arrays |= {f"parameters/{name}/{path}": a for path, a in network.constants.items()}
            arrays |= {f"statistics/{name}/{path}": a for path, a in network.statistics.items()}
            for moment, flat in network.optimizer.moments.items() if network.optimizer else ():
                arrays |= {f"moments/{name}/{moment}/{path}": a for path, a in network.views(flat).items()}
            arrays |= {f"averages/{name}/{path}": a for path, a in network.averages.items()}
        arrays |= {f"states/{name}": a for name, a in self.states.items()}
        arrays |= {f"reports/{name}": self.reports[name] for name in recalled_reports(self.system)}
        return TrainingState(
            self.iteration,
            {name: self.networks[name].optimizer.updates for name in self.system.optimizers},
            {name: self.networks[name].optimizer.learning_rate for name in self.system.optimizers},
            {name: to_numpy(arrays[name]) for name in array_shapes(self.system)},
        )

    def load(self, state: TrainingState) -> None:
        """Take over a state; its arrays become this trainer's dtype."""
        self.iteration = state.iteration
        for name, network in self.networks.items():
            _copy(state.of(f"parameters/{name}"), network.constants)
            _copy(state.of(f"statistics/{name}"), network.statistics)
            _copy(state.of(f"averages/{name}"), network.averages)
            if network.optimizer:
                for moment, flat in network.optimizer.moments.items():
                    _copy(state.of(f"moments/{name}/{moment}"), network.views(flat))
                network.optimizer.updates = state.updates[name]
                network.optimizer.learning_rate = state.learning_rates[name]
        self.states = {name: self.place.array(a) for name, a in state.of("states").items()}
        self.reports = {name: self.place.array(a) for name, a in state.of("reports").items()}

    def scale_learning_rates(self, factor: float, minimum: float) -> None:
        """Multiply every learning rate by `factor`, down to `minimum`."""
        for name in self.system.optimizers:
            optimizer = self.networks[name].optimizer
            optimizer.learning_rate = max(optimizer.learning_rate * factor, min(optimizer.learning_rate, minimum))

    @property
    def _stage(self) -> Stage:
        return self.system.stages[self.system.at(self.iteration)[0]]

    def _forget(self, lifetime: str) -> None:
        """Drop the draws that live for one "iteration", "step" or "repeat", so that they are drawn anew."""
        for name in list(self._drawn):
            if self.system.schedule.lifetime(name) == lifetime:
                del self._drawn[name]

    def _evaluate(self, planned: StepPlan, at: Position, feed: Feed) -> list[Any]:
        values: list[Any] = []
        for i, node in enumerate(planned.nodes):
            with chainer.using_config("enable_backprop", i in planned.tracked):
                value = self._value(i, node, planned, at, feed, values)
            if i in planned.leaves:
                value = Array(value.array, requires_grad=True)
            values.append(value)
        return values

    def _value(self, i: int, node: Node, planned: StepPlan, at: Position, feed: Feed, values: list[Any]) -> Any:
        inputs = [values[j] for j in node.inputs]
        match node.op:
            case "draw":
                return self._draw(node.value, at, feed)
            case "state":
                return self.states[node.value]
            case "recall":
                return self.reports[node.value]
            case "kept":
                return self._kept[node.value]
            case "network":
                where = Position(at.iteration, at.step, at.repeat, planned.occurrences[i])
                outputs = self._network(node.value, inputs, node.training, where, node.value in planned.step.update)
                return outputs if node.shape is None else next(iter(outputs.values()))
        return evaluate_operation(node, inputs, i in planned.tracked)

    def _draw(self, name: str, at: Position, feed: Feed) -> Array:
        if name not in self._drawn:
            if name in ("x", "y"):
                self._drawn |= {key: self.place.array(a) for key, a in feed().items()}
            else:
                lifetime = self.system.schedule.lifetime(name)
                step = 0 if lifetime == "iteration" else at.step
                position = Position(at.iteration, step, at.repeat if lifetime == "repeat" else 0)
                symbol = self._stage.symbols[name]
                self._drawn[name] = self.draws.symbol(name, symbol, position, self.system.run.batch)
        return self._drawn[name]

    def _network(
        self,
        name: str,
        inputs: list[Array],
        training: bool,
        at: Position | None,
        updated: bool = False,
        averaged: bool = False,
    ) -> dict[str, Array]:
        network = self.networks[name]
        fade = self.system.at(self.iteration)[1]

        def mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
            assert at is not None
            return self.draws.mask(name, layer, at, shape)

        parameters, statistics = network.variables if updated else network.constants, network.statistics
        if averaged:  # for looking, which leaves all as it is: spectral norm moves statistics in inference, too
            parameters, statistics = (network.averages or a for a in (parameters, statistics))
            statistics = {path: Array(a.array.copy(), requires_grad=False) for path, a in statistics.items()}
        mode = Mode(training, mask, fade, self.place.floating)
        return evaluate(self._stage.networks[name], parameters, statistics, inputs, mode)

    def _gradients(self, planned: StepPlan, values: list[Any]) -> dict[str, Array]:
        """Returns: the flat gradient of each loss with respect to its own network, and no other."""
        gradients = {}
        for name, i in planned.losses.items():
            variables = list(self.networks[name].variables.values())
            found = chainer.grad([values[i]], variables)
            xp = self.place.xp
            parts = [xp.zeros_like(v.array) if g is None else g.array for v, g in zip(variables, found, strict=True)]
            gradients[name] = self.networks[name].flattened(parts)
        return gradients


def _copy(source: Mapping[str, np.ndarray], target: Mapping[str, Array]) -> None:
    for path, array in target.items():
        array.array[...] = array.xp.asarray(source[path])


def _constant(value: Any, place: Place) -> Any:
    if isinstance(value, dict):
        return {name: _constant(v, place) for name, v in value.items()}
    if isinstance(value, float):  # of a formula without any tensor
        return place.array(np.array(value))
    return Array(value.array, requires_grad=False)
