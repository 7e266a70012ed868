"""What rounding costs: the measure of every allowance.

A witness whose parameters, images and noise are moved by one rounding, and the result of every operation, too, computes other
numbers, forwards and backwards. No implementation can be asked for more agreement than that: whoever sums in another order rounds
otherwise.

Rounding is no noise. A mean's gradient is the same number for each sample, and its sum rounds alike in every repeat of a step:
where it should be 0, as that of a critic's last bias, Adam takes a step in one direction each time, and a run drifts. So who is
moved through a whole run is moved in the directions of the first repeat in every later one, too: `restart`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}  # distance from 1 to the next number
STEP = 16.0  # so small that what it moves is proportional to it, so large that it is not lost where terms cancel
FEW = 64  # numbers that are moved by 0.5 to 1.5 steps each: by one step, two that cancel would move alike every other time


@dataclass
class Rounding:
    """Moves numbers by some `STEP` units in the last place, up or down at random, each time anew.

    Args:
        dtype: whose last place; "float32" or "float64".
        seed: seed of the directions.
    """

    dtype: str
    seed: int

    def __post_init__(self) -> None:
        self.restart()
        step, bits = STEP * EPSILON[self.dtype], np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        self._eight = np.array([1.0 - step, 1.0 + step])[bits]  # of each byte, eight directions

    def restart(self) -> None:
        """Take the directions of the beginning once more."""
        self._generator = np.random.default_rng(self.seed)

    def array(self, values: np.ndarray) -> np.ndarray:
        """Returns: floating-point values moved, float64; others as they are."""
        if values.dtype.kind != "f":
            return values
        return values.astype(np.float64) * self.factors(values.shape)

    def factors(self, shape: tuple[int, ...]) -> np.ndarray:
        """Returns: numbers beside 1, some `STEP` units in the last place away from it, float64."""
        size = math.prod(shape)
        if size <= FEW:
            away = self._generator.uniform(-1.0, 1.0, shape)
            return np.asarray(1.0 + STEP * EPSILON[self.dtype] * (away + np.copysign(0.5, away)))
        drawn = np.frombuffer(self._generator.bytes(size // 8 + 1), np.uint8)
        return self._eight.take(drawn, axis=0).ravel()[:size].reshape(shape)

    def arrays(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns: arrays by name, moved."""
        return {name: self.array(a) for name, a in arrays.items()}

    def state(self, state: TrainingState) -> TrainingState:
        """Returns: a state whose arrays are moved."""
        return replace(state, arrays=self.arrays(state.arrays))

    def batches(self, next_batch: NextBatch) -> NextBatch:
        """Returns: the same batches, their images moved."""
        return lambda: self.arrays(next_batch())

    def draws(self, source: DrawSource) -> DrawSource:
        """Returns: the same draws, noise moved."""
        return _MovedDraws(self, source)


@dataclass(frozen=True)
class _MovedDraws:
    rounding: Rounding
    source: DrawSource

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        return self.rounding.array(self.source.symbol(name, symbol, at, batch))

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        return self.source.mask(network, layer, at, shape)
