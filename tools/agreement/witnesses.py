"""Witnesses: whatever computes a system and can be asked for every number on the way.

`Trained` is a backend that trains; `Defined` is the reference, which computes values and derivatives along directions, and moves
parameters by gradients that it is given. Both name their quantities alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from ganspec.spec.reference.formulas import unit_direction
from ganspec.spec.system import System
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.protocol import REFERENCE
from ganspec.spec.training.results import StepResult
from ganspec.spec.training.state import StateError, TrainingState
from ganspec.tools import backends
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Place, Quantity

Gradients = Mapping[str, Mapping[str, np.ndarray]]  # of each updated network's loss, by network and path


class Witness(Protocol):
    """One that computes a system, a repeat at a time."""

    name: str
    system: System
    gradients: Gradients  # of the newest repeat; empty where the witness computes none

    @staticmethod
    def computes(kind: str) -> bool:
        """Returns: whether this witness computes quantities of a kind; what it then lacks is a disagreement."""

    def load(self, state: TrainingState) -> None:
        """Take over a state; one that is not finite is left, and the witness goes on with its own."""

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state."""

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat)."""

    def compute(self, place: Place, next_batch: NextBatch) -> list[Quantity]:
        """Returns: what one repeat computes, forwards and then backwards, in the order of evaluation."""

    def update(self, gradients: Gradients) -> None:
        """Move the parameters by the witness's own gradients, or by these where it has none."""

    def end_iteration(self) -> None:
        """Move the averages, and go on to the next iteration."""


class Trained:
    """A backend that trains.

    Args:
        backend: name of the backend.
        system: system to train.
        seed: seed of parameters and draws.
        name: name of the witness; None for the backend's.
        options: dtype, device and draws, as the backend's trainer takes them.

    Raises:
        UserError: the framework or the device is not there.
    """

    def __init__(self, backend: str, system: System, seed: int, *, name: str | None = None, **options: Any) -> None:
        self.name, self.system = name or backend, system
        self.gradients: Gradients = {}
        self.trainer = backends.make_trainer(backend, system, seed, **options)
        self._to_numpy: Callable[[Any], np.ndarray] = backends.load(backend).to_numpy
        self._result: Any = None

    @staticmethod
    def computes(kind: str) -> bool:
        return True

    def load(self, state: TrainingState) -> None:
        with suppress(StateError):
            self.trainer.load(state)

    def state(self) -> TrainingState:
        found: TrainingState = self.trainer.state()
        return found

    def repeats(self) -> Iterator[tuple[int, int]]:
        yield from self.trainer.repeats()

    def compute(self, place: Place, next_batch: NextBatch) -> list[Quantity]:
        result = self._result = self.trainer.compute(place.step, place.repeat, next_batch, keep_layers=True)
        self.gradients = self._numpy(result.gradients)
        moved = self.trainer.state()
        named, slopes = Names(self.system, place), {}
        for network, gradients in self.gradients.items():
            direction = unit_direction(moved, network, place.iteration)
            along = [direction[f"parameters/{network}/{path}"] * g for path, g in gradients.items()]
            slopes[network] = sum(float(a.sum(dtype=np.float64)) for a in along)
        layers = self._numpy(result.layers)
        return [
            *named.forward(self._numpy(dict(enumerate(result.values))), layers),
            *named.state(moved, ("statistics",)),
            *named.backward(behind_layers(result, layers, self._numpy(result.layer_gradients)), self.gradients, slopes),
        ]

    def update(self, gradients: Gradients) -> None:
        self.trainer.update(self._result)

    def end_iteration(self) -> None:
        self.trainer.end_iteration()

    def iterate(
        self, iteration: int, next_batch: NextBatch, observe: Callable[[StepResult], None] | None = None
    ) -> list[Quantity]:
        """Train one iteration, as a run does, and show `observe` each repeat. Returns: what it records."""
        recorded = self._numpy(self.trainer.iterate(next_batch, observe))
        place = Place(iteration)
        return [Quantity("report, all iterations", f"report {n}", place, np.asarray(v)) for n, v in recorded.items()]

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Returns: what the trained G makes, (N, ...)."""
        images: np.ndarray = self.trainer.generate(*inputs)
        return images

    def _numpy(self, value: Any) -> Any:
        """Returns: the arrays of nested dictionaries as NumPy's."""
        if isinstance(value, dict):
            return {name: self._numpy(v) for name, v in value.items()}
        return self._to_numpy(value)


class Defined:
    """The reference: plain NumPy in float64, without automatic differentiation of its own.

    Args:
        system: system to compute.
        seed: seed of parameters and draws.
        draws: "host" for the streams of the seed, or a source of noise and masks.

    Raises:
        UserError: the reference does not compute a formula of the system.
    """

    name = REFERENCE

    def __init__(self, system: System, seed: int, draws: str | DrawSource = "host") -> None:
        self.system = system
        self.gradients: Gradients = {}
        self.reference = backends.make_trainer(REFERENCE, system, seed, draws=draws)
        self._result: Any = None

    @staticmethod
    def computes(kind: str) -> bool:
        return kind not in ("layer gradient", "parameter gradient") and not kind.endswith("all iterations")

    def load(self, state: TrainingState) -> None:
        with suppress(StateError):
            self.reference.load(state)

    def state(self) -> TrainingState:
        found: TrainingState = self.reference.state()
        return found

    def repeats(self) -> Iterator[tuple[int, int]]:
        yield from self.reference.repeats()

    def compute(self, place: Place, next_batch: NextBatch) -> list[Quantity]:
        assert place.step is not None
        assert place.repeat is not None
        result = self._result = self.reference.compute(place.step, place.repeat, next_batch, keep_layers=True)
        moved = self.reference.state()
        named = Names(self.system, place)
        slopes = {n: result.slope(n, unit_direction(moved, n, place.iteration)) for n in named.plan.losses}
        return [
            *named.forward(result.values, result.layers),
            *named.state(moved, ("statistics",)),
            *named.backward({}, {}, slopes),
        ]

    def update(self, gradients: Gradients) -> None:
        self.reference.update(self._result, gradients)

    def end_iteration(self) -> None:
        self.reference.end_iteration()


def behind_layers(result: StepResult, layers: Mapping[int, Mapping[str, np.ndarray]], found: Any) -> Any:
    """Gather the gradients by what layers gave.

    Args:
        result: what a repeat computed.
        layers: what each layer gave, by network node and layer, as NumPy's arrays.
        found: `result.layer_gradients` as NumPy's arrays.

    Returns: gradient by loss, network node and layer; one that a backend leaves out, for it is 0 everywhere, is one of zeros.
    """
    return {
        loss: {
            i: {name: found[loss].get(i, {}).get(name, np.zeros_like(value)) for name, value in layers[i].items()}
            for i in sorted(result.plan.tracked & layers.keys())
        }
        for loss in found
    }
