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
from ganspec.spec.parts.schedule import DATA, Schedule
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.training.streams import Position, Streams

Array = TypeVar("Array")

# Gives the next batch: "x", images in the system's range, and "y", labels, where there are labels.
NextBatch = Callable[[], Mapping[str, np.ndarray]]


class DrawSource(Protocol):
    """Where noise and dropout masks come from: the public seam of both backends' trainers."""

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        """Returns: one draw of a noise symbol: (batch, *symbol.shape), or for a label (batch,), whole numbers."""

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        """Returns: which elements a dropout layer keeps, booleans; `at.occurrence` counts the network's evaluations."""


@dataclass(frozen=True)
class StreamDraws:
    """The numbers of the spec's own streams: the same for every backend."""

    system: System
    seed: int

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        distribution, streams = self.system.draws[name].distribution, Streams(self.seed)
        if symbol.dtype == "label":
            return streams.labels(distribution, name, at, batch)
        return streams.sample(distribution, name, at, (batch, *symbol.shape))

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        return Streams(self.seed).mask(layer.settings["rate"], mask_name(network, layer), at, shape)


def mask_name(network: str, layer: Layer) -> str:
    """Returns: the name of the stream of a dropout layer's masks."""
    return f"mask/{network}/{layer.name}"


@dataclass
class LiveDraws(Generic[Array]):
    """The draws that are alive. Each is made when it is first read, and lives for as long as the schedule says.

    Args:
        schedule: how long data and noise live.
        noise: draws a noise symbol at a position.
        array: turns NumPy values into an array of the backend.
    """

    schedule: Schedule
    noise: Callable[[str, Position], Array]
    array: Callable[[np.ndarray], Array]
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
        self._at, self._next_batch = at, next_batch

    def __getitem__(self, name: str) -> Array:
        if name not in self._alive:
            if name in DATA:
                self._alive |= {key: self.array(values) for key, values in self._next_batch().items()}
            else:
                self._alive[name] = self.noise(name, self._position(name))
        return self._alive[name]

    def _position(self, name: str) -> Position:
        """Returns: where a draw is made; one that lives longer than a repeat has the position in which its life begins."""
        lifetime = self.schedule.lifetime(name)
        step = 0 if lifetime == "iteration" else self._at.step
        return Position(self._at.iteration, step, self._at.repeat if lifetime == "repeat" else 0)

    def _drop(self, lifetime: str) -> None:
        for name in list(self._alive):
            if self.schedule.lifetime(name) == lifetime:
                del self._alive[name]
