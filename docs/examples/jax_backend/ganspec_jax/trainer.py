"""Training in JAX: keeps `ganspec.spec.training.protocol.Trainer`, by which ganspec's programs and comparisons know a backend.

The whole state is one dictionary of arrays with the neutral names of a `TrainingState`: "parameters/G/l1/W". What a step computes
is a pure function (`execution`), compiled once for each stage of growth; this module feeds it and keeps what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.settings import Decay
from ganspec.spec.system import Stage, System
from ganspec.spec.training.batches import NextBatch, check_inputs, in_native_order
from ganspec.spec.training.draws import DrawSource, LiveDraws, StreamDraws
from ganspec.spec.training.options import DRAWS, DTYPES, check_choice, check_device, check_seed, device_number
from ganspec.spec.training.results import StepResult
from ganspec.spec.training.state import TrainingState, array_shapes, check_state, initial_state
from ganspec.spec.training.streams import Position
from ganspec_jax import optimizers
from ganspec_jax.execution import Execution, Given
from ganspec_jax.layers import Mode, evaluate_layers


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what is."""


def to_numpy(array: Any) -> np.ndarray:
    """Returns: the values of an array, or of a plain number, on the host; a copy."""
    return np.array(array, order="C")


class Trainer:
    """Trains one system.

    Args:
        system: system to train.
        seed: seed of all random numbers.
        state: state to start from; None for the initial state of the seed.
        dtype: "float32" or "float64".
        device: "cpu", "cuda" or "cuda:N".
        draws: "host" for the streams of the spec, or a source of one's own. This example has no draws of the device.

    Raises:
        ValueError: an option has none of its values.
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
    ) -> None:
        check_choice("dtype", dtype, DTYPES)
        check_device(device)
        check_seed(seed)
        if isinstance(draws, str):
            check_choice("draws", draws, DRAWS)
            if draws != "host":
                raise ValueError(f"draws is {draws!r}, which the backend jax does not have; use 'host'")
        self.system, self.dtype = system, jnp.dtype(dtype)
        try:
            self.device = jax.devices(device.partition(":")[0])[device_number(device) or 0]
        except (RuntimeError, IndexError):
            raise DeviceError(
                f"JAX finds no {device} device; use --device cpu, or install a CUDA build of JAX"
            ) from None
        self.source = draws if not isinstance(draws, str) else StreamDraws(system, seed)
        self.iteration = 0
        self._draws: LiveDraws[jax.Array] = LiveDraws(system, self._noise, self._array)
        self._kept: dict[Any, Any] = {}  # of this iteration: what later steps reuse
        self._reports: dict[str, jax.Array] = {}
        self._compiled: dict[tuple[int, int, bool], tuple[Execution, Callable[[Given], dict[str, Any]]]] = {}
        self.load(state if state is not None else initial_state(system, seed))

    def iterate(
        self, next_batch: NextBatch, observe: Callable[[StepResult], None] | None = None, *, keep_layers: bool = False
    ) -> dict[str, jax.Array]:
        """Train one iteration. Returns: the recorded numbers; of several repeats the last."""
        recorded: dict[str, jax.Array] = {}
        for step, repeat in self.repeats():
            result = self.compute(step, repeat, next_batch, keep_layers=keep_layers)
            if observe is not None:
                observe(result)
            recorded |= self.update(result)
        self.end_iteration()
        return recorded

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat)."""
        self._draws.start_iteration()
        self._kept.clear()
        yield from self._stage.plan.repeats(self.iteration, lambda name: float(self._reports[name]))

    def compute(self, step: int, repeat: int, next_batch: NextBatch, *, keep_layers: bool = False) -> StepResult:
        """Compute one repeat of a step: values and gradients."""
        plan, at = self._stage.plan, Position(self.iteration, step, repeat)
        plan.check_place(step, repeat, self.iteration)
        planned = plan.steps[step]
        self._draws.start_repeat(at, next_batch)
        for network in planned.step.update:
            self._clip(network, "before")
        execution, function = self._function(step, keep_layers)
        given = {
            "parameters": {name: self._of(f"parameters/{name}") for name in self.system.networks},
            "statistics": {name: self._of(f"statistics/{name}") for name in self.system.networks},
            "carried": self._of("carried"),
            "reports": self._of("reports"),
            "draws": {name: self._draws[name] for name in planned.draws()},
            "masks": {i: self._masks(planned.nodes[i], at, count) for i, count in planned.occurrences.items()},
            "kept": {node.value: self._kept[node.value] for node in planned.nodes if node.op == "kept"},
            "fade": self._array(np.array(self._fade)),
        }
        computed = function(given)
        self._kept |= {name: execution.kept(given, computed, i) for name, i in planned.keeps.items()}
        for network, statistics in computed["statistics"].items():
            self._put(f"statistics/{network}", statistics)
        return StepResult(step, repeat, planned, computed["values"], computed["gradients"], computed["layers"])

    def update(self, result: StepResult) -> dict[str, jax.Array]:
        """Move the parameters and carried numbers as a result says. Returns: its recorded numbers."""
        recorded = {name: self._array(to_numpy(result.values[i])) for name, i in result.plan.reports.items()}
        self._reports |= recorded
        carried = {f"carried/{name}": recorded[name] for name in result.plan.carried}
        self.arrays |= carried | {f"reports/{n}": a for n, a in recorded.items() if f"reports/{n}" in self.arrays}
        for network, gradients in result.gradients.items():
            definition = self.system.optimizers[network]
            rate = self.learning_rates[network] * self.system.rate_factor(network, self.iteration)
            self.updates[network] += 1
            layers = self._stage.networks[network].layers  # parameters of other stages of growth take no part
            paths = [f"{layer.name}/{parameter.name}" for layer in layers for parameter in layer.parameters]
            parameters = {path: self.arrays[f"parameters/{network}/{path}"] for path in paths}
            names = {moment: f"moments/{network}/{moment}" for moment in definition.moments()}
            moments = {m: {path: self.arrays[f"{name}/{path}"] for path in paths} for m, name in names.items()}
            parameters, moments = optimizers.update(
                definition, parameters, gradients, moments, self.updates[network], rate
            )
            self._put(f"parameters/{network}", parameters)
            for m, name in names.items():
                self._put(name, moments[m])
            self._clip(network, "after")
        return recorded

    def end_iteration(self) -> None:
        """Move the moving averages, and go on to the next iteration."""
        for network, decay in self.system.averages.items():
            values = {**self._of(f"parameters/{network}"), **self._of(f"statistics/{network}")}
            self._put(f"averages/{network}", optimizers.average(self._of(f"averages/{network}"), values, decay))
        self.iteration += 1

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Evaluate the network G, or its moving average where one is kept, in inference mode."""
        architecture = self._stage.networks["G"]
        check_inputs(architecture, inputs)
        arrays = self._of("averages/G") or {**self._of("parameters/G"), **self._of("statistics/G")}
        mode = Mode(False, {}, self._fade, self.dtype)
        layers = evaluate_layers(architecture, arrays, arrays, [self._array(a) for a in inputs], mode)
        return to_numpy(layers[next(iter(architecture.outputs.values()))])

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state, on the host."""
        arrays = {name: to_numpy(self.arrays[name]) for name in array_shapes(self.system)}
        return TrainingState(self.iteration, dict(self.updates), dict(self.learning_rates), arrays)

    def load(self, state: TrainingState) -> None:
        """Take over a state; its arrays become this trainer's dtype."""
        check_state(self.system, state, self.dtype.name)
        self.arrays = {name: self._array(array) for name, array in state.arrays.items()}
        self.iteration, self.updates = state.iteration, dict(state.updates)
        self.learning_rates = dict(state.learning_rates)

    def scale_learning_rates(self, decay: Decay) -> None:
        """Shrink every learning rate as a decay says."""
        self.learning_rates = {name: decay.shrunk(rate) for name, rate in self.learning_rates.items()}

    @property
    def _stage(self) -> Stage:
        return self.system.stages[self.system.at(self.iteration)[0]]

    @property
    def _fade(self) -> float:
        return self.system.at(self.iteration)[1]

    def _function(self, step: int, keep_layers: bool) -> tuple[Execution, Callable[[Given], dict[str, Any]]]:
        """Returns: what a step of this stage computes, and the same compiled."""
        key = (self.system.at(self.iteration)[0], step, keep_layers)
        if key not in self._compiled:
            networks: dict[str, Architecture] = dict(self._stage.networks)
            execution = Execution(self._stage.plan, step, networks, self.dtype, keep_layers)
            self._compiled[key] = (execution, jax.jit(execution.compute))
        return self._compiled[key]

    def _of(self, prefix: str) -> dict[str, jax.Array]:
        """Returns: the arrays under a prefix such as "parameters/G", by the rest of their names."""
        start = prefix + "/"
        return {name.removeprefix(start): a for name, a in self.arrays.items() if name.startswith(start)}

    def _put(self, prefix: str, arrays: Mapping[str, jax.Array]) -> None:
        self.arrays |= {f"{prefix}/{name}": array for name, array in arrays.items()}

    def _array(self, values: np.ndarray) -> jax.Array:
        """Returns: a copy of NumPy values on the device; whole numbers stay whole, all others become the trainer's dtype."""
        dtype = np.int64 if values.dtype.kind in "iu" else self.dtype
        return jax.device_put(np.array(in_native_order(values), dtype), self.device)

    def _noise(self, name: str, at: Position) -> jax.Array:
        return self._array(self.source.symbol(name, self._stage.symbols[name], at, self.system.run.batch))

    def _masks(self, node: Any, at: Position, occurrence: int) -> dict[str, jax.Array]:
        """Returns: the masks of a network node's dropout layers, of zeros and 1 / (1 - rate)."""
        where = Position(at.iteration, at.step, at.repeat, occurrence)
        masks = {}
        for layer in self._stage.networks[node.value].layers if node.training else ():
            if layer.kind == "dropout":
                kept = self.source.mask(node.value, layer, where, (self.system.run.batch, *layer.shape))
                masks[layer.name] = self._array(kept / (1.0 - layer.settings["rate"]))
        return masks

    def _clip(self, network: str, when: str) -> None:
        clip = self.system.optimizers[network].clip
        if clip and clip.when == when:
            self._put(f"parameters/{network}", optimizers.clip(self._of(f"parameters/{network}"), clip.bound))
