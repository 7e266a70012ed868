"""Training in PyTorch: executes the plan of a system, one iteration at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ganspec.impl_torch.arrays import Array, ArrayContext, to_numpy
from ganspec.impl_torch.capture import Copier, Graph
from ganspec.impl_torch.draws import Draws
from ganspec.impl_torch.evaluation import Evaluation
from ganspec.impl_torch.gradients import gradients_of
from ganspec.impl_torch.moving import Moving
from ganspec.impl_torch.network import outputs_of
from ganspec.impl_torch.ranks import EXCHANGED, Ranks
from ganspec.impl_torch.trained import TrainedNetwork
from ganspec.spec.parts.settings import Decay
from ganspec.spec.system import Stage, System
from ganspec.spec.training.batches import NextBatch, check_inputs, in_native_order
from ganspec.spec.training.capturing import Capture
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.ranks import Group, check_share
from ganspec.spec.training.results import Layers, StepResult, check_gradients
from ganspec.spec.training.state import (
    TrainingState,
    array_shapes,
    check_state,
    initial_state,
    named_arrays,
    recalled_reports,
)
from ganspec.spec.training.streams import Position


class Trainer:
    """Trains one system.

    Args:
        system: system to train.
        seed: seed of all random numbers.
        state: state to start from; None for the initial state of the seed.
        dtype: "float32" or "float64".
        device: "cpu", "cuda" or "cuda:N".
        draws: "host" for the streams of the spec, the same in every backend; "device" for the same numbers, computed on the
            device; or a source of one's own, such as `spec.training.draws.RecordedDraws`.
        factors: function of a shape that gives factors by which every operation's result is multiplied, forwards and backwards:
            near 1, they show what rounding costs. None where nothing is multiplied.
        precision: "full", or for products of matrices and convolutions "bf16", bfloat16, or on CUDA "tf32", TensorFloat-32:
            both are outside of what is proved.
        cuda: choices for a CUDA device: "tune" lets libraries measure their algorithms and choose, "channels_last" lets images
            lie with their channels last, "eager" captures no iteration.
        ranks: the processes that share each batch. Then `next_batch` gives this process's rows alone; None for one process.

    Raises:
        ValueError: an option has none of its values, or the batch cannot be split (`RanksError`).
        DeviceError: the device is not there.
        StateError: the state is not one of this system.
    """

    def __init__(
        self,
        system: System,
        seed: int,
        state: TrainingState | None = None,
        *,
        dtype: str = "float32",
        device: str = "cpu",
        draws: str | DrawSource = "host",
        factors: Callable[[tuple[int, ...]], np.ndarray] | None = None,
        precision: str = "full",
        cuda: Sequence[str] = (),
        ranks: Group | None = None,
    ) -> None:
        self.system = system
        self.context = ArrayContext(device, dtype, precision, cuda)
        self.ranks = Ranks(ranks) if ranks is not None else None
        share = self.ranks.share if self.ranks is not None else None
        if share is not None:
            check_share(system, share, EXCHANGED)
        self.draws = Draws(system, seed, draws, self.context, share)
        self._factors = factors
        self.networks = {
            name: TrainedNetwork(architecture, system.optimizers.get(name), name in system.averages, self.context)
            for name, architecture in system.networks.items()
        }
        self._evaluated = [
            {name: architecture.evaluated_parameters() for name, architecture in stage.networks.items()}
            for stage in system.stages
        ]
        self._evaluation = Evaluation(system, self.networks, self.draws, self.context, self.ranks)
        self.carried, self.reports = self._evaluation.carried, self._evaluation.reports
        self.iteration = 0
        captured = self.context.on_cuda and "eager" not in cuda and factors is None
        self.capture = Capture(self, Graph, Copier(self.context)) if captured else None
        self.load(state if state is not None else initial_state(system, seed))

    def iterate(
        self, next_batch: NextBatch, observe: Callable[[StepResult], None] | None = None, *, keep_layers: bool = False
    ) -> dict[str, Array]:
        """Train one iteration.

        If it ends in an error, such as one of `next_batch`, what was trained of it stays trained: load a state before going on,
        or the next call trains those repeats again.

        Args:
            next_batch: function that gives the next batch; called for each batch that the schedule draws.
            observe: function that is shown the result of every repeat of every step, before its parameters move.
            keep_layers: whether these results hold what every layer gave.

        Returns: the recorded numbers, on the device; of several repeats the last.

        Raises:
            BatchError: a batch is not one of this system.
        """
        if self.capture is not None and observe is None and not keep_layers:
            return self.capture.iterate(next_batch)
        return self.iterate_eagerly(next_batch, observe, keep_layers=keep_layers)

    def iterate_eagerly(
        self, next_batch: NextBatch, observe: Callable[[StepResult], None] | None = None, *, keep_layers: bool = False
    ) -> dict[str, Array]:
        """Train one iteration, one operation after the other; as `iterate`, which may do captured ones instead."""
        recorded: dict[str, Array] = {}
        for step, repeat in self.repeats():
            result = self.compute(step, repeat, next_batch, keep_layers=keep_layers)
            if observe is not None:
                observe(result)
            recorded |= self.update(result)
        self.end_iteration()
        return recorded

    def take_batches(self, next_batch: NextBatch) -> None:
        """Take batches from `next_batch` from now on."""
        self._evaluation.take_batches(next_batch)

    @property
    def eager_reason(self) -> str:
        """Why iterations of this system are not captured on the device; empty where they are, and where that was not wanted."""
        return self.capture.reason if self.capture else ""

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat); each must be done before the next."""
        self._evaluation.start_iteration()
        yield from self._stage.plan.repeats(self.iteration, self._report)

    def compute(self, step: int, repeat: int, next_batch: NextBatch, *, keep_layers: bool = False) -> StepResult:
        """Compute one repeat of a step: values and gradients.

        Running statistics move; parameters do not, but for weight clipping that comes "before".

        Args:
            step, repeat: number of the step in the schedule and of its repeat, from 0, as `repeats` gives them.
            next_batch: function that gives the next batch; called where this repeat draws one.
            keep_layers: whether the result holds what every layer of every evaluation gave, and the losses' gradients there.

        Raises:
            BatchError: the batch is not one of this system.
            ValueError: an iteration has no such step or repeat; or layers are wanted of one of several processes.
        """
        if keep_layers and self.ranks is not None:
            raise ValueError("keep_layers is for one process: each of several has some samples of a layer only")
        layers: Layers | None = {} if keep_layers else None
        self._stage.plan.check_place(step, repeat, self.iteration)
        planned, at = self._stage.plan.steps[step], Position(self.iteration, step, repeat)
        self._evaluation.start_repeat(at, next_batch)
        for name in planned.step.update:
            self.networks[name].clip(self.system.optimizers[name].clip, "before")
        with self._moving(), self.context.exactly():
            values = self._evaluation.values(planned, at, layers)
            gradients, *others = gradients_of(planned, values, self.networks, layers)
        if self.ranks is not None:
            gradients = self.ranks.average(gradients)
        return StepResult(step, repeat, planned, values, gradients, *others)

    def update(self, result: StepResult) -> dict[str, Array]:
        """Move the parameters and carried numbers as a result says, which stays as it is. Returns: its recorded numbers.

        Raises:
            ValueError: its gradients are not those of the networks and parameters that the step updates; nothing has moved.
        """
        check_gradients(result, self.networks, Array)
        recorded = {name: self.context.constant(result.values[i]) for name, i in result.plan.reports.items()}
        self.reports |= recorded
        self.carried |= {name: self.context.constant(result.values[i]) for name, i in result.plan.carried.items()}
        for name, gradient in result.gradients.items():
            network, at = self.networks[name], Position(self.iteration, result.step, result.repeat)
            evaluated = self._evaluated[self.system.at(self.iteration)[0]][name]

            def factor(at: Position, name: str = name) -> float:
                return self.system.rate_factor(name, at.iteration)

            with self._moving():
                network.update(gradient, evaluated, factor, self.draws.inputs, at)
            network.clip(self.system.optimizers[name].clip, "after")
        return recorded

    def end_iteration(self) -> None:
        """Move the moving averages, and go on to the next iteration."""
        for name, decay in self.system.averages.items():
            self.networks[name].average(decay)
        self.iteration += 1

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Evaluate the network G, or its moving average where one is kept, in inference mode; training is not disturbed.

        Args:
            inputs: values of each input of G, (N, ...), labels (N,).

        Returns: the first output, (N, ...).

        Raises:
            InputError: the inputs do not fit G.
        """
        check_inputs(self._stage.networks["G"], inputs)
        with torch.no_grad():
            taken = [self.context.array(a) for a in inputs]
            with self.context.exactly():
                inside = self._evaluation.looked_at("G", taken, self.iteration)
        return to_numpy(next(iter(outputs_of(self._stage.networks["G"], inside).values())))

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state, on the host."""
        reports = {name: self.reports[name] for name in recalled_reports(self.system)}
        arrays = named_arrays(self.networks, self.carried, reports)
        return TrainingState(
            self.iteration,
            {name: self.networks[name].optimizer.updates for name in self.system.optimizers},
            self.learning_rates,
            {name: to_numpy(arrays[name]) for name in array_shapes(self.system)},
        )

    def load(self, state: TrainingState) -> None:
        """Take over a state; its arrays become this trainer's dtype.

        A state that is loaded between the repeats of an iteration may differ from the trainer's own by rounding only: what an
        earlier step computed and a later one is told to reuse stays as it is, and so does the report that a gate asks for.

        Raises:
            StateError: it is not a state of this system; then nothing is changed.
        """
        check_state(self.system, state, self.context.dtype)
        self.iteration = state.iteration
        self._evaluation.forget()
        for name, array in named_arrays(self.networks, {}, {}).items():
            _copy(state.arrays[name], array)
        for name in self.system.optimizers:
            optimizer = self.networks[name].optimizer
            optimizer.updates, optimizer.learning_rate = state.updates[name], state.learning_rates[name]
        # A report that the state does not hold is read by the gate of its own step alone, after which it may be loaded: it stays.
        for kind, numbers in (("carried", self.carried), ("reports", self.reports)):
            numbers.update({name: self.context.array(a) for name, a in state.of(kind).items()})

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each trained network, now, before a schedule multiplies it."""
        return {name: self.networks[name].optimizer.learning_rate for name in self.system.optimizers}

    def scale_learning_rates(self, decay: Decay) -> None:
        """Shrink every learning rate as a decay says."""
        for name in self.system.optimizers:
            optimizer = self.networks[name].optimizer
            optimizer.learning_rate = decay.shrunk(optimizer.learning_rate)

    @property
    def _stage(self) -> Stage:
        return self.system.stages[self.system.at(self.iteration)[0]]

    def _report(self, name: str) -> float:
        value = self.reports[name]
        return float(to_numpy(value if self.ranks is None else self.ranks.first(value)))

    def _moving(self) -> contextlib.AbstractContextManager[Any]:
        return Moving(self._factors) if self._factors else contextlib.nullcontext()


def _copy(source: np.ndarray, target: Array) -> None:
    # `data`: a graph that is kept for a later step stays valid.
    target.data.copy_(torch.from_numpy(in_native_order(source)))
