"""One iteration in plain NumPy, as far as it can be computed without automatic differentiation.

The reference computes every loss, report, carried number and running statistic, the derivative of each loss along any direction
of its network's parameters, and the update that given gradients make. It does not compute whole gradients: a backend's gradient
is right if its product with a few random directions is the derivative along them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ganspec.spec.parts.schedule import DATA
from ganspec.spec.reference.formulas import Evaluator
from ganspec.spec.reference.optimizers import KINDS, clipped
from ganspec.spec.system import Stage, System
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import DrawSource, LiveDraws, StreamDraws
from ganspec.spec.training.state import TrainingState, array_shapes, check_state, initial_state
from ganspec.spec.training.streams import Position


@dataclass(frozen=True)
class ReferenceResult:
    """What one repeat of a step computed, before any parameter moves.

    Args:
        step, repeat: number of the step in the schedule and of its repeat, from 0.
        losses: loss of each network that the step updates.
        reports: reports and losses ("loss_D") by name, carried numbers' next values among them.
        outputs: outputs of each network's evaluations, in their order, by network.
        slope: function of a network and of a direction in its parameters ("parameters/D/l1/W"); it gives the derivative of the
            network's loss along the direction.
    """

    step: int
    repeat: int
    losses: Mapping[str, float]
    reports: Mapping[str, float]
    outputs: Mapping[str, list[dict[str, np.ndarray]]]
    slope: Callable[[str, Mapping[str, np.ndarray]], float]


class Reference:
    """Computes one system in float64.

    Args:
        system: system to compute; its networks should be small.
        seed: seed of all random numbers.
        state: state to start from; None for the initial state of the seed.
        draws: source of noise and dropout masks; None for the streams of the seed.

    Raises:
        StateError: the state is not one of this system.
    """

    def __init__(
        self, system: System, seed: int, state: TrainingState | None = None, *, draws: DrawSource | None = None
    ) -> None:
        self.system = system
        self.draws = draws if draws is not None else StreamDraws(system, seed)
        self._data: LiveDraws[np.ndarray] = LiveDraws(system, self._no_noise, np.asarray)
        self._earlier: dict[int, Evaluator] = {}
        self._reports: dict[str, float] = {}
        self.load(state if state is not None else initial_state(system, seed))

    def load(self, state: TrainingState) -> None:
        """Take over a state; it is not changed.

        Raises:
            StateError: it is not a state of this system.
        """
        check_state(self.system, state)
        arrays = {name: np.asarray(array, np.float64) for name, array in state.arrays.items()}
        self._state = replace(
            state, arrays=arrays, updates=dict(state.updates), learning_rates=dict(state.learning_rates)
        )

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state."""
        state = self._state
        arrays = {name: state.arrays[name].copy() for name in array_shapes(self.system)}
        return TrainingState(state.iteration, dict(state.updates), dict(state.learning_rates), arrays)

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat); each must be done before the next."""
        self._data.start_iteration()
        self._earlier.clear()
        yield from self._stage.plan.repeats(self._state.iteration, lambda name: self._reports[name])

    def compute(self, step: int, repeat: int, next_batch: NextBatch) -> ReferenceResult:
        """Compute one repeat of a step. Running statistics move; parameters do not, but for clipping that comes "before".

        Raises:
            BatchError: the batch is not one of this system.
        """
        loss, schedule = self.system.loss, self.system.schedule
        at = Position(self._state.iteration, step, repeat)
        self._data.start_repeat(at, next_batch)
        update, reuse = schedule.steps[step].update, schedule.steps[step].reuse
        reads_data = bool(reuse) or not set(DATA).isdisjoint(self._stage.plan.steps[step].draws())
        data = {name: self._data[name] for name in DATA if reads_data and name in self._stage.symbols}
        before = replace(self._state, arrays=dict(self._state.arrays))
        earlier = [evaluator for number, evaluator in self._earlier.items() if number != step]
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
            self._state.arrays.update({f"statistics/{network}/{path}": values for path, values in statistics.items()})
        outputs = {
            network: [evaluated.outputs for evaluated in sorted(made.values(), key=lambda e: e.occurrence)]
            for network, made in evaluator.made.items()
        }

        def slope(network: str, direction: Mapping[str, np.ndarray]) -> float:
            along = evaluator.along(direction).value(loss.losses[network].tree).b
            return 0.0 if along is None else float(along[0])

        return ReferenceResult(step, repeat, losses, reports, outputs, slope)

    def update(self, result: ReferenceResult, gradients: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Move the parameters, moments and carried numbers.

        Args:
            result: what the repeat computed.
            gradients: gradient of each updated network's loss, by network and path, such as a backend computed it.
        """
        state, stage = self._state, self._stage
        self._reports |= result.reports
        for name, value in result.reports.items():
            for kind in ("carried", "reports"):
                if f"{kind}/{name}" in state.arrays:
                    state.arrays[f"{kind}/{name}"] = np.array(value)
        for network in self.system.schedule.steps[result.step].update:
            optimizer = self.system.optimizers[network]
            state.updates[network] += 1
            there = {f"{layer.name}/{p.name}" for layer in stage.networks[network].layers for p in layer.parameters}
            for path, gradient in gradients[network].items():
                name = f"parameters/{network}/{path}"
                p = clipped(state.arrays[name], optimizer.clip, "before")
                if path in there:  # a parameter of another stage of growth takes no part
                    moments = {m: state.arrays[f"moments/{network}/{m}/{path}"] for m in optimizer.moments()}
                    rate, count = state.learning_rates[network], state.updates[network]
                    p, moments = KINDS[optimizer.kind](optimizer, p, gradient, moments, count, rate)
                    state.arrays.update({f"moments/{network}/{m}/{path}": a for m, a in moments.items()})
                state.arrays[name] = clipped(p, optimizer.clip, "after")

    def end_iteration(self) -> None:
        """Move the averages, and go on to the next iteration."""
        arrays = self._state.arrays
        for network, decay in self.system.averages.items():
            for kind in ("parameters", "statistics"):
                for path, value in self._state.of(f"{kind}/{network}").items():
                    name = f"averages/{network}/{path}"
                    arrays[name] = decay * arrays[name] + (1 - decay) * value
        self._state.iteration += 1

    @property
    def _stage(self) -> Stage:
        return self.system.stages[self.system.at(self._state.iteration)[0]]

    def _no_noise(self, name: str, at: Position) -> np.ndarray:
        raise AssertionError(f"'{name}' is drawn where it is needed")
