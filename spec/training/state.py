"""The whole state of a training run, in neutral form: what either backend leaves and either resumes from.

Arrays are named by role and path: "parameters/G/l1/W", "statistics/G/bn1/mean", "moments/D/m/l1/W", "carried/k",
"averages/G/l1/W", "reports/L_real". Random numbers have no state: they are addressed by position (see `streams`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.layers import Shape
from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean
from ganspec.spec.training.streams import Streams

MAX_RATE = 10**15  # of learning: the bound of a number in a spec


class StateError(ValueError):
    """A state is not one of this system; the message names the array, or what else is wrong."""


@dataclass
class TrainingState:
    """Everything that the next iteration depends on, besides the system, the seed and the data.

    Args:
        iteration: number of iterations that are done.
        updates: number of updates that each network's optimiser has made.
        learning_rates: learning rate of each network, now, before `System.rate_factor` multiplies it.
        arrays: arrays by name, float32 or float64.
    """

    iteration: int
    updates: dict[str, int]
    learning_rates: dict[str, float]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def of(self, prefix: str) -> dict[str, np.ndarray]:
        """Returns: the arrays under a prefix such as "parameters/G", by the rest of their names."""
        start = prefix + "/"
        return {name.removeprefix(start): a for name, a in self.arrays.items() if name.startswith(start)}


def array_shapes(system: System) -> dict[str, Shape]:
    """Returns: the shape of every array that a state of this system has, by name."""
    shapes: dict[str, Shape] = {}
    for name, network in system.networks.items():
        parameters = network.parameter_paths()
        shapes |= {f"parameters/{name}/{path}": p.shape for path, p in parameters.items()}
        shapes |= {f"statistics/{name}/{path}": s.shape for path, s in network.statistic_paths().items()}
        for moment in system.optimizers[name].moments() if name in system.optimizers else ():
            shapes |= {f"moments/{name}/{moment}/{path}": p.shape for path, p in parameters.items()}
        if name in system.averages:
            shapes |= {f"averages/{name}/{path}": p.shape for path, p in parameters.items()}
            shapes |= {f"averages/{name}/{path}": s.shape for path, s in network.statistic_paths().items()}
    shapes |= {f"carried/{name}": () for name in system.loss.carried}
    shapes |= {f"reports/{name}": () for name in recalled_reports(system)}
    return shapes


def check_state(system: System, state: TrainingState, dtype: str = "float64") -> None:
    """Compare a state with what a system needs: names, shapes, dtypes, finite values, counts.

    Args:
        system: system that takes the state.
        state: state to check.
        dtype: dtype that its arrays will have.

    Raises:
        StateError: the first thing that differs.
    """
    wanted, found = array_shapes(system), state.arrays
    for name in wanted:
        if name not in found:
            raise StateError(f"the state has no array {name}, which {system.name} needs")
    for name, array in found.items():
        if name not in wanted:
            hint = did_you_mean(name, wanted)
            raise StateError(f"{system.name} has no array {name}" + (f"; {hint}" if hint else ""))
        shape, found_dtype = np.shape(array), getattr(array, "dtype", np.dtype(object))
        if shape != wanted[name]:
            raise StateError(f"{name} has the shape {list(shape)}, {system.name} needs {list(wanted[name])}")
        if not isinstance(array, (np.ndarray, np.generic)) or found_dtype.newbyteorder("=") not in (
            np.float32,
            np.float64,
        ):
            raise StateError(f"{name} has the dtype {found_dtype}, expected float32 or float64")
        if not np.isfinite(array).all():
            raise StateError(f"{name} has a value that is not finite")
        if array.size and np.abs(array).max() > np.finfo(dtype).max:
            raise StateError(f"{name} has a value that is too large for {dtype}")
        kind, _, path = name.partition("/")
        network, _, moment = path.partition("/")
        moment = moment.partition("/")[0]
        if (
            kind == "moments"
            and system.optimizers[network].moments()[moment].degree == 2
            and array.min(initial=0.0) < 0
        ):
            raise StateError(f"{name} is an average of squares, and has a negative value")
    if not _is_count(state.iteration):
        raise StateError(f"the iteration is {state.iteration!r}, expected a whole number of at least 0")
    for what, values in (("updates", state.updates), ("learning_rates", state.learning_rates)):
        if set(values) != set(system.optimizers):
            raise StateError(f"{what} are of {sorted(values)}, {system.name} trains {sorted(system.optimizers)}")
        for name, value in values.items():
            if what == "updates" and not _is_count(value):
                raise StateError(f"updates of {name} is {value!r}, expected a whole number of at least 0")
            if not isinstance(value, (int, float, np.number)) or not 0 <= value <= MAX_RATE:
                raise StateError(f"{what} of {name} is {value!r}, expected a number from 0 to {MAX_RATE:g}")


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def recalled_reports(system: System) -> list[str]:
    """Returns: the reports that a formula reads from an earlier step, so that their values belong to the state."""
    nodes = [node for stage in system.stages for step in stage.plan.steps for node in step.nodes]
    return sorted({node.value for node in nodes if node.op == "recall"})


def named_arrays(networks: Mapping[str, Any], carried: Mapping[str, Any], reports: Mapping[str, Any]) -> dict[str, Any]:
    """Name the arrays that a trainer holds as a `TrainingState` names them.

    Args:
        networks: a backend's networks in training. Each has `frozen_parameters`, `statistics` and `averages` (arrays by path) and
            `moments()` (for each moment, arrays by path).
        carried: carried numbers by name.
        reports: reports that belong to the state, by name.

    Returns: the trainer's own arrays, not copies.
    """
    arrays: dict[str, Any] = {}
    for name, network in networks.items():
        arrays |= _prefixed(f"parameters/{name}", network.frozen_parameters)
        arrays |= _prefixed(f"statistics/{name}", network.statistics)
        for moment, values in network.moments().items():
            arrays |= _prefixed(f"moments/{name}/{moment}", values)
        arrays |= _prefixed(f"averages/{name}", network.averages)
    return arrays | _prefixed("carried", carried) | _prefixed("reports", reports)


def initial_state(system: System, seed: int) -> TrainingState:
    """Returns: the state before the first iteration, float64; parameters are drawn from the seed's streams."""
    arrays = {name: np.zeros(shape) for name, shape in array_shapes(system).items()}
    streams = Streams(seed)
    for name, network in system.networks.items():
        parameters, statistics = streams.initial_parameters(name, network), streams.initial_statistics(name, network)
        arrays |= _prefixed(f"parameters/{name}", parameters) | _prefixed(f"statistics/{name}", statistics)
        if name in system.averages:
            arrays |= _prefixed(f"averages/{name}", parameters | statistics)
        for moment, kept in system.optimizers[name].moments().items() if name in system.optimizers else ():
            arrays |= {
                f"moments/{name}/{moment}/{path}": np.full(a.shape, kept.start) for path, a in parameters.items()
            }
    arrays |= {f"carried/{name}": np.array(number.start) for name, number in system.loss.carried.items()}
    rates = {name: optimizer.learning_rate for name, optimizer in system.optimizers.items()}
    return TrainingState(0, dict.fromkeys(rates, 0), rates, arrays)


def _prefixed(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}
