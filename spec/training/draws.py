"""What training draws: where the numbers come from, and for how long one draw lives.

A source answers for a symbol, or for the mask of a dropout layer, at a position; it keeps no place of its own. `StreamDraws` is
the source of every run; `RecordedDraws` replays numbers that were recorded elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.parts.schedule import DATA
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.training.batches import NextBatch, check_batch
from ganspec.spec.training.inputs import Inputs
from ganspec.spec.training.streams import Position, Streams

Array = TypeVar("Array")


class DrawSource(Protocol):
    """Where noise and dropout masks come from: the public seam of both backends' trainers."""

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        """Returns: one draw of a noise symbol: (batch, *symbol.shape), or for a label (batch,), whole numbers."""

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        """Returns: which elements a dropout layer keeps, booleans; `at.occurrence` counts the network's evaluations."""


@dataclass(frozen=True)
class StreamDraws:
    """The numbers of the spec's own streams: the same for every backend.

    Args:
        system: the system.
        seed: seed of the streams.
        streams: function that makes the streams of a seed; another one than `Streams` gives other numbers.
    """

    system: System
    seed: int
    streams: Callable[[int], Streams] = Streams

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int, rows: slice | None = None) -> np.ndarray:
        """Returns: what `DrawSource.symbol` gives; with `rows` only these, as if the whole batch had been drawn."""
        distribution, streams = self.system.draws[name].distribution, self.streams(self.seed)
        if symbol.dtype == "label":
            return streams.labels(distribution, name, at, batch, rows)
        return streams.sample(distribution, name, at, (batch, *symbol.shape), rows)

    def mask(
        self, network: str, layer: Layer, at: Position, shape: tuple[int, ...], rows: slice | None = None
    ) -> np.ndarray:
        """Returns: what `DrawSource.mask` gives; with `rows` only these, as if the whole mask had been drawn."""
        return self.streams(self.seed).mask(layer.settings["rate"], mask_name(network, layer), at, shape, rows)


def mask_name(network: str, layer: Layer) -> str:
    """Returns: the name of the stream of a dropout layer's masks."""
    return f"mask/{network}/{layer.name}"


class DrawError(ValueError):
    """A recorded draw is missing or does not fit; the message names the draw and its position."""


@dataclass(frozen=True)
class RecordedDraws:
    """Draws that were recorded elsewhere, for instance from somebody's own training loop.

    Args:
        symbols: values by (symbol, position), (batch, ...) each; labels are whole numbers. A symbol that lives for a whole
            iteration has the position of the iteration's beginning, Position(iteration); one that lives for a step, that of the
            step's first repeat.
        masks: kept elements, booleans, by (network, layer, position). The position's occurrence counts the evaluations of the
            network within the step, from 0, in the order of the plan.
        otherwise: the source of what is not recorded; None where a missing draw is an error.
    """

    symbols: Mapping[tuple[str, Position], np.ndarray]
    masks: Mapping[tuple[str, str, Position], np.ndarray] = field(default_factory=dict)
    otherwise: DrawSource | None = None

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        if (name, at) not in self.symbols:
            if self.otherwise is not None:
                return self.otherwise.symbol(name, symbol, at, batch)
            raise DrawError(f"no draw of {name} is recorded at {format_position(at)}")
        values, what = self.symbols[name, at], f"the draw of {name} at {format_position(at)}"
        if not isinstance(values, np.ndarray):
            raise DrawError(f"{what} is a {type(values).__name__}, expected a NumPy array")
        wanted = (batch,) if symbol.dtype == "label" else (batch, *symbol.shape)
        if np.shape(values) != wanted:
            found = list(np.shape(values))
            raise DrawError(
                f"the draw of {name} at {format_position(at)} has the shape {found}, expected {list(wanted)}"
            )
        if symbol.dtype == "label" and np.asarray(values).dtype.kind not in "iu":
            raise DrawError(f"the draw of {name} at {format_position(at)} is of labels, expected whole numbers")
        return values

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        key = (network, layer.name, at)
        if key not in self.masks:
            if self.otherwise is not None:
                return self.otherwise.mask(network, layer, at, shape)
            raise DrawError(f"no mask of {network}'s layer {layer.name} is recorded at {format_position(at)}")
        if np.shape(self.masks[key]) != shape:
            found = list(np.shape(self.masks[key]))
            where = f"{network}'s layer {layer.name} at {format_position(at)}"
            raise DrawError(f"the mask of {where} has the shape {found}, expected {list(shape)}")
        return np.asarray(self.masks[key], dtype=bool)


def format_position(at: Position) -> str:
    """Returns: a position as it is written in Python; all counts begin with 0."""
    numbers = [f"iteration={at.iteration}", f"step={at.step}", f"repeat={at.repeat}"]
    numbers += [f"occurrence={at.occurrence}"] * bool(at.occurrence)
    return f"Position({', '.join(numbers)})"


@dataclass
class LiveDraws(Generic[Array]):
    """The draws that are alive. Each is made when it is first read, and lives for as long as the schedule says.

    Args:
        system: the system, whose schedule says how long data and noise live.
        noise: function that draws a noise symbol at a position.
        array: function that turns NumPy values into an array of the backend.
        processes: number of processes that share each batch.
        inputs: hands out what is asked of the host.
    """

    system: System
    noise: Callable[[str, Position], Array]
    array: Callable[[np.ndarray], Array]
    processes: int = 1
    inputs: Inputs[Array] = field(default_factory=Inputs)
    _alive: dict[str, Array] = field(default_factory=dict)
    _at: Position = field(default_factory=Position)
    _next_batch: NextBatch = field(default=dict)

    def start_iteration(self) -> None:
        """Drop the draws that live for one iteration."""
        self._drop("iteration")

    def start_repeat(self, at: Position, next_batch: NextBatch) -> None:
        """Drop the draws that end with the repeat before this one; further ones are drawn at `at`, data from `next_batch`."""
        self._drop("repeat")
        if at.repeat == 0:
            self._drop("step")
        self._at = at
        self.take_batches(next_batch)

    def take_batches(self, next_batch: NextBatch) -> None:
        """Take data from `next_batch` from now on."""
        self._next_batch = next_batch

    def __getitem__(self, name: str) -> Array:
        if name not in self._alive:
            if name in DATA:
                self._alive |= self.inputs.arrays(self._at, self._batch, self.array)
            else:
                self._alive[name] = self.noise(name, self._position(name))
        return self._alive[name]

    def _batch(self, _at: Position) -> Mapping[str, np.ndarray]:
        batch = self._next_batch()
        check_batch(self.system, batch, self.processes)
        return {key: batch[key] for key in DATA if key in batch}

    def _position(self, name: str) -> Position:
        """Returns: where a draw is made; one that lives longer than a repeat has the position in which its life begins."""
        lifetime = self.system.schedule.lifetime(name)
        step = 0 if lifetime == "iteration" else self._at.step
        return Position(self._at.iteration, step, self._at.repeat if lifetime == "repeat" else 0)

    def _drop(self, lifetime: str) -> None:
        for name in list(self._alive):
            if self.system.schedule.lifetime(name) == lifetime:
                del self._alive[name]
