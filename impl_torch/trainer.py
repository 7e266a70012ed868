"""Training in PyTorch: executes the plan of a system, one iteration at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from impl_torch.arrays import Array, Place, to_numpy
from impl_torch.draws import Draws
from impl_torch.layers import Mode
from impl_torch.network import evaluate
from impl_torch.operations import evaluate as evaluate_operation
from impl_torch.optimizers import Adam
from spec.architecture import Architecture, Layer
from spec.graph import Node
from spec.plan import StepPlan
from spec.state import TrainingState, array_shapes, initial_state, recalled_reports
from spec.streams import Position
from spec.system import System

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


class Trained:
    """One network in training: parameters as one flat vector with named views, statistics, and the optimiser."""

    def __init__(self, architecture: Architecture, optimizer: Any, place: Place) -> None:
        self.architecture = architecture
        shapes = {path: p.shape for path, p in architecture.parameter_paths().items()}
        self.flat = place.zeros(sum(math.prod(shape) for shape in shapes.values()))
        self.shapes = shapes
        self.constants = self.views(self.flat)
        # Leaves that share the flat vector's memory: an update of the vector moves them.
        self.variables = {path: view.detach().requires_grad_() for path, view in self.constants.items()}
        self.statistics = {path: place.array(np.zeros(s.shape)) for path, s in architecture.statistic_paths().items()}
        self.optimizer = Adam(optimizer, self.flat.numel(), place)

    def views(self, flat: Array) -> dict[str, Array]:
        """Returns: the part of a flat vector that belongs to each parameter, in its shape."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {path: part.view(shape) for (path, shape), part in zip(self.shapes.items(), parts, strict=True)}


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
            name: Trained(architecture, system.optimizers[name], self.place)
            for name, architecture in system.networks.items()
        }
        self.states: dict[str, Array] = {}
        self.reports: dict[str, Array] = {}
        self.iteration = 0
        self._drawn: dict[str, Array] = {}
        self.load(state if state is not None else initial_state(system, seed))

    def iterate(self, feed: Feed) -> dict[str, Array]:
        """Train one iteration.

        Args:
            feed: called for each batch that the schedule draws.

        Returns: the recorded numbers, on the device; of several repeats the last.
        """
        recorded: dict[str, Array] = {}
        for number, planned in enumerate(self.system.plan.steps):
            for repeat in range(planned.step.repeat):
                recorded |= self.update(self.compute(number, repeat, feed))
        self.iteration += 1
        return recorded

    def compute(self, step: int, repeat: int, feed: Feed) -> Moment:
        """Compute one repeat of a step: values and gradients. Running statistics move, parameters do not."""
        self._forget(step, repeat)
        planned = self.system.plan.steps[step]
        values = self._evaluate(planned, Position(self.iteration, step, repeat), feed)
        return Moment(step, repeat, planned, values, self._gradients(planned, values))

    def update(self, moment: Moment) -> dict[str, Array]:
        """Move the parameters and states as a moment says. Returns: its recorded numbers."""
        recorded = {name: moment.values[i].detach() for name, i in moment.plan.reports.items()}
        self.reports |= recorded
        self.states |= {name: moment.values[i].detach() for name, i in moment.plan.states.items()}
        for name, gradient in moment.gradients.items():
            self.networks[name].optimizer.update(self.networks[name].flat, gradient)
        return recorded

    def gradients_by_path(self, moment: Moment) -> dict[str, dict[str, Array]]:
        """Returns: each updated network's gradient as named arrays."""
        return {name: self.networks[name].views(flat) for name, flat in moment.gradients.items()}

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Returns: what the network G makes of its inputs in inference; training is not disturbed."""
        with torch.no_grad():
            outputs = self._network("G", [self.place.array(a) for a in inputs], False, None)
        return to_numpy(next(iter(outputs.values())))

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state, on the host."""
        arrays: dict[str, Any] = {}
        for name, network in self.networks.items():
            arrays |= {f"parameters/{name}/{path}": a for path, a in network.constants.items()}
            arrays |= {f"statistics/{name}/{path}": a for path, a in network.statistics.items()}
            for moment, flat in network.optimizer.moments.items():
                arrays |= {f"moments/{name}/{moment}/{path}": a for path, a in network.views(flat).items()}
        arrays |= {f"states/{name}": a for name, a in self.states.items()}
        arrays |= {f"reports/{name}": self.reports[name] for name in recalled_reports(self.system)}
        return TrainingState(
            self.iteration,
            {name: network.optimizer.updates for name, network in self.networks.items()},
            {name: network.optimizer.learning_rate for name, network in self.networks.items()},
            {name: to_numpy(arrays[name]) for name in array_shapes(self.system)},
        )

    def load(self, state: TrainingState) -> None:
        """Take over a state; its arrays become this trainer's dtype."""
        self.iteration = state.iteration
        for name, network in self.networks.items():
            _copy(state.of(f"parameters/{name}"), network.constants)
            _copy(state.of(f"statistics/{name}"), network.statistics)
            for moment, flat in network.optimizer.moments.items():
                _copy(state.of(f"moments/{name}/{moment}"), network.views(flat))
            network.optimizer.updates = state.updates[name]
            network.optimizer.learning_rate = state.learning_rates[name]
        self.states = {name: self.place.array(a) for name, a in state.of("states").items()}
        self.reports = {name: self.place.array(a) for name, a in state.of("reports").items()}

    def scale_learning_rates(self, factor: float, minimum: float) -> None:
        """Multiply every learning rate by `factor`, down to `minimum`."""
        for network in self.networks.values():
            rate = network.optimizer.learning_rate
            network.optimizer.learning_rate = max(rate * factor, min(rate, minimum))

    def _forget(self, step: int, repeat: int) -> None:
        """Drop the draws whose life is over, so that they are drawn anew."""
        for name in list(self._drawn):
            lifetime = self.system.schedule.lifetime(name in ("x", "y"))
            if lifetime == "repeat" or (repeat == 0 and (lifetime == "step" or step == 0)):
                del self._drawn[name]

    def _evaluate(self, planned: StepPlan, at: Position, feed: Feed) -> list[Any]:
        values: list[Any] = []
        for i, node in enumerate(planned.nodes):
            with torch.set_grad_enabled(i in planned.tracked):
                value = self._value(i, node, planned, at, feed, values)
            if i in planned.leaves:
                value = value.detach().requires_grad_()
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
            case "network":
                name = node.value
                where = Position(at.iteration, at.step, at.repeat, planned.occurrences[i])
                training = name not in planned.step.inference
                outputs = self._network(name, inputs, training, where, name in planned.step.update)
                return outputs if node.shape is None else next(iter(outputs.values()))
        return evaluate_operation(node, inputs, i in planned.tracked)

    def _draw(self, name: str, at: Position, feed: Feed) -> Array:
        if name not in self._drawn:
            if name in ("x", "y"):
                self._drawn |= {key: self.place.array(a) for key, a in feed().items()}
            else:
                lifetime = self.system.schedule.lifetime(False)
                step = 0 if lifetime == "iteration" else at.step
                position = Position(at.iteration, step, at.repeat if lifetime == "repeat" else 0)
                self._drawn[name] = self.draws.symbol(name, position, self.system.run.batch)
        return self._drawn[name]

    def _network(
        self, name: str, inputs: list[Array], training: bool, at: Position | None, updated: bool = False
    ) -> dict[str, Array]:
        network = self.networks[name]

        def mask(layer: Layer, shape: tuple[int, ...], like: Array) -> Array:
            assert at is not None
            return self.draws.mask(name, layer, at, shape)

        parameters = network.variables if updated else network.constants
        return evaluate(network.architecture, parameters, network.statistics, inputs, Mode(training, mask))

    def _gradients(self, planned: StepPlan, values: list[Any]) -> dict[str, Array]:
        """Returns: the flat gradient of each loss with respect to its own network, and no other."""
        gradients = {}
        left = len(planned.losses)
        for name, i in planned.losses.items():
            left -= 1
            variables = list(self.networks[name].variables.values())
            found = torch.autograd.grad(values[i], variables, retain_graph=left > 0, allow_unused=True)
            parts = [torch.zeros_like(v) if g is None else g for v, g in zip(variables, found, strict=True)]
            gradients[name] = torch.cat([part.reshape(-1) for part in parts])
        return gradients


def _copy(source: Mapping[str, np.ndarray], target: Mapping[str, Array]) -> None:
    for path, array in target.items():
        array.copy_(torch.as_tensor(source[path]))
