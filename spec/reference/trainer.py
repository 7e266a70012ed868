"""One iteration in plain NumPy, as far as it can be computed without automatic differentiation.

The reference computes every value on the way, every loss, report, carried number and running statistic, the derivative of each
loss along any direction of its network's parameters, and the update that given gradients make. It does not compute whole
gradients: a backend's gradient is right if its product with a few random directions is the derivative along them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.parts.schedule import DATA
from ganspec.spec.parts.settings import Decay
from ganspec.spec.reference.arrays import check_place, own_copy, to_numpy
from ganspec.spec.reference.formulas import Evaluator
from ganspec.spec.reference.jets import jet
from ganspec.spec.reference.layers import evaluate_layers
from ganspec.spec.reference.mode import Evaluation
from ganspec.spec.reference.optimizers import KINDS, clipped
from ganspec.spec.reference.planned import check_computable, evaluate_plan
from ganspec.spec.system import Stage, System
from ganspec.spec.training.batches import NextBatch, check_inputs
from ganspec.spec.training.draws import DrawSource, LiveDraws, StreamDraws
from ganspec.spec.training.options import DRAWS, check_choice, check_seed
from ganspec.spec.training.results import Layers, StepResult
from ganspec.spec.training.state import TrainingState, array_shapes, check_state, initial_state
from ganspec.spec.training.streams import Position

Direction = Mapping[str, np.ndarray]  # in the space of parameters, by name: "parameters/D/l1/W"


@dataclass(frozen=True, kw_only=True)
class ReferenceResult(StepResult):
    """What one repeat of a step computed, before any parameter moves.

    Of `StepResult`, `gradients` is empty. `values` holds the recorded numbers, and with `keep_layers` all others, too; None
    stands for what was not computed.

    Args:
        losses: loss of each network that the step updates.
        reports: reports and losses ("loss_D") by name, carried numbers' next values among them.
        slope: function of a network and of a direction in its parameters; it gives the derivative of the network's loss along the
            direction, d/ds loss(p + s direction) at s = 0.
        curvature: function of a network and of two directions; it gives the second derivative of its loss along both,
            d2/ds dt loss(p + s first + t second) at 0. It raises NotImplementedError for a loss with a gradient in it.
    """

    losses: Mapping[str, float]
    reports: Mapping[str, float]
    slope: Callable[[str, Direction], float]
    curvature: Callable[[str, Direction, Direction], float]


class Trainer:
    """Computes one system in float64. It has the methods of a backend's trainer, but for those that need gradients.

    Args:
        system: system to compute; its networks should be small.
        seed: seed of all random numbers.
        state: state to start from; None for the initial state of the seed.
        dtype: "float64".
        device: "cpu".
        draws: "host" for the streams of the spec, or a source of one's own.

    Raises:
        ValueError: an option has none of its values, or one that the reference cannot take; the message says why.
        DeviceError: the device is not the CPU.
        StateError: the state is not one of this system.
        NotImplementedError: the reference does not compute a formula of the system.
    """

    def __init__(
        self,
        system: System,
        seed: int,
        state: TrainingState | None = None,
        *,
        dtype: str = "float64",
        device: str = "cpu",
        draws: str | DrawSource = "host",
    ) -> None:
        check_place(device, dtype)
        check_seed(seed)
        check_computable(system)
        self.system = system
        self.draws = _source(system, seed, draws)
        self._data: LiveDraws[np.ndarray] = LiveDraws(system, self._no_noise, own_copy)
        self._earlier: dict[int, Evaluator] = {}  # of this iteration, by step: a later step may reuse their values
        self._reports: dict[str, float] = {}
        self.load(state if state is not None else initial_state(system, seed))

    @property
    def iteration(self) -> int:
        """The number of iterations that are done."""
        return self._state.iteration

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat); each must be done before the next."""
        self._data.start_iteration()
        self._earlier.clear()
        yield from self._stage.plan.repeats(self.iteration, lambda name: self._reports[name])

    def compute(self, step: int, repeat: int, next_batch: NextBatch, *, keep_layers: bool = False) -> ReferenceResult:
        """Compute one repeat of a step.

        Running statistics move; parameters do not, but for weight clipping that comes "before".

        Args:
            step, repeat: number of the step in the schedule and of its repeat, from 0, as `repeats` gives them.
            next_batch: function that gives the next batch; called where this repeat draws one.
            keep_layers: whether the result holds the value of every node of the plan, and what every layer gave.

        Raises:
            BatchError: the batch is not one of this system.
            ValueError: an iteration has no such step or repeat.
        """
        loss, plan, arrays = self.system.loss, self._stage.plan, self._state.arrays
        plan.check_place(step, repeat, self.iteration)
        planned, update = plan.steps[step], self.system.schedule.steps[step].update
        # What the formulas read: parameters, data, and what earlier steps of the iteration computed.
        for network in update:
            self._clip(network, "before")
        data = self._read_data(step, repeat, next_batch)
        before = replace(self._state, arrays=dict(arrays))
        earlier = [evaluator for number, evaluator in self._earlier.items() if number != step]
        at = Position(self.iteration, step, repeat)
        evaluator = Evaluator(self.system, before, self.draws, at, data, earlier)
        self._earlier[step] = evaluator
        # In the order of the plan: losses, reports, carried numbers.
        losses = {name: float(evaluator.value(loss.losses[name].tree).f[0]) for name in update}
        reports = {f"loss_{name}": value for name, value in losses.items()}
        for name, report in loss.reports.items():
            if not set(report.networks).isdisjoint(update):
                reports[name] = float(evaluator.value(report.value.tree).f[0])
        for name, carried in loss.carried.items():
            if carried.network in update:
                reports[name] = float(evaluator.value(carried.next.tree).f[0])
        for network, statistics in evaluator.statistics.items():
            arrays.update({f"statistics/{network}/{path}": values for path, values in statistics.items()})
        # Between the draws and these numbers.
        values: list[Any] = [None] * len(planned.nodes)
        layers: Layers = {}
        if keep_layers:
            found = evaluate_plan(evaluator)
            values, layers = [found.array(i) for i in range(len(values))], found.layers
        for name, i in planned.reports.items():
            values[i] = np.array(reports[name])

        def slope(network: str, direction: Direction) -> float:
            along = evaluator.along(direction).value(loss.losses[network].tree).b
            return 0.0 if along is None else float(along[0])

        def curvature(network: str, first: Direction, second: Direction) -> float:
            both = evaluator.along(first, second).value(loss.losses[network].tree).ab
            return 0.0 if both is None else float(both[0])

        return ReferenceResult(
            step=step, repeat=repeat, plan=planned, values=values, gradients={}, layers=layers,
            losses=losses, reports=reports, slope=slope, curvature=curvature,
        )  # fmt: skip

    def update(
        self, result: ReferenceResult, gradients: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Move the parameters, moments and carried numbers.

        Args:
            result: what the repeat computed; it stays as it is.
            gradients: gradient of each updated network's loss, by network and path, as a backend's `StepResult` has it.

        Returns: the recorded numbers.
        """
        state, stage = self._state, self._stage
        self._reports |= result.reports
        for name, value in result.reports.items():
            for kind in ("carried", "reports"):
                if f"{kind}/{name}" in state.arrays:
                    state.arrays[f"{kind}/{name}"] = np.array(value)
        for network in result.plan.step.update:
            optimizer = self.system.optimizers[network]
            rate = state.learning_rates[network] * self.system.rate_factor(network, state.iteration)
            state.updates[network] += 1
            there = {f"{layer.name}/{p.name}" for layer in stage.networks[network].layers for p in layer.parameters}
            for path in there:  # a parameter of another stage of growth takes no part
                name = f"parameters/{network}/{path}"
                moments = {m: state.arrays[f"moments/{network}/{m}/{path}"] for m in optimizer.moments()}
                p, gradient = state.arrays[name], np.asarray(gradients[network][path], np.float64)
                p, moments = KINDS[optimizer.kind](optimizer, p, gradient, moments, state.updates[network], rate)
                state.arrays[name] = p
                state.arrays.update({f"moments/{network}/{m}/{path}": a for m, a in moments.items()})
            self._clip(network, "after")
        return {name: np.array(value) for name, value in result.reports.items()}

    def end_iteration(self) -> None:
        """Move the moving averages, average <- decay average + (1 - decay) value, and go on to the next iteration."""
        arrays = self._state.arrays
        for network, decay in self.system.averages.items():
            for kind in ("parameters", "statistics"):
                for path, value in self._state.of(f"{kind}/{network}").items():
                    name = f"averages/{network}/{path}"
                    arrays[name] = decay * arrays[name] + (1 - decay) * value
        self._state.iteration += 1

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Evaluate the network G, or its moving average where one is kept, in inference mode; training is not disturbed.

        Args:
            inputs: values of each input of G, (N, ...), labels (N,).

        Returns: the first output, (N, ...).

        Raises:
            InputError: the inputs do not fit G.
        """
        architecture, state = self._stage.networks["G"], self._state
        check_inputs(architecture, inputs)
        arrays = state.of("averages/G") or {**state.of("parameters/G"), **state.of("statistics/G")}
        parameters = {path: jet(a) for path, a in arrays.items()}
        how = Evaluation(False, self.system.at(self.iteration)[1], _no_mask, arrays, dict(arrays))
        layers = evaluate_layers(architecture, parameters, [jet(own_copy(a)) for a in inputs], how)
        return to_numpy(layers[next(iter(architecture.outputs.values()))].f[0])

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state."""
        state = self._state
        arrays = {name: state.arrays[name].copy() for name in array_shapes(self.system)}
        return TrainingState(state.iteration, dict(state.updates), dict(state.learning_rates), arrays)

    def load(self, state: TrainingState) -> None:
        """Take over a state; it is not changed.

        A state that is loaded between the repeats of an iteration may differ from the trainer's own by rounding only: what an
        earlier step computed and a later one reuses stays as it is, and so does the report that a gate asks for.

        Raises:
            StateError: it is not a state of this system; then nothing is changed.
        """
        check_state(self.system, state)
        arrays = {name: np.array(array, np.float64) for name, array in state.arrays.items()}
        self._state = replace(
            state, arrays=arrays, updates=dict(state.updates), learning_rates=dict(state.learning_rates)
        )

    def scale_learning_rates(self, decay: Decay) -> None:
        """Shrink every learning rate as a decay says."""
        rates = self._state.learning_rates
        rates.update({name: decay.shrunk(rate) for name, rate in rates.items()})

    @property
    def _stage(self) -> Stage:
        return self.system.stages[self.system.at(self.iteration)[0]]

    def _read_data(self, step: int, repeat: int, next_batch: NextBatch) -> dict[str, np.ndarray]:
        """The data that a step reads; a batch is asked for only where it reads any."""
        self._data.start_repeat(Position(self.iteration, step, repeat), next_batch)
        reads_data = not set(DATA).isdisjoint(self._stage.plan.steps[step].draws())
        reads_data = reads_data or bool(
            self.system.schedule.steps[step].reuse
        )  # by which it finds the earlier evaluation
        return {name: self._data[name] for name in DATA if reads_data and name in self._stage.symbols}

    def _clip(self, network: str, when: str) -> None:
        """Move a network's parameters, also those of other stages of growth, into their bounds."""
        clip = self.system.optimizers[network].clip
        for path, p in self._state.of(f"parameters/{network}").items():
            self._state.arrays[f"parameters/{network}/{path}"] = clipped(p, clip, when)

    def _no_noise(self, name: str, at: Position) -> np.ndarray:
        raise AssertionError(f"'{name}' is drawn where it is needed")


def _source(system: System, seed: int, draws: str | DrawSource) -> DrawSource:
    if not isinstance(draws, str):
        return draws
    check_choice("draws", draws, DRAWS)
    if draws != "host":
        raise ValueError(
            f"draws is {draws!r}, but the reference has no device to draw on; use 'host', the same numbers"
        )
    return StreamDraws(system, seed)


def _no_mask(layer: Layer, shape: tuple[int, ...]) -> np.ndarray:
    raise AssertionError(f"'{layer.name}' has no mask in inference")
