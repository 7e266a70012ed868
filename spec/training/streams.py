"""Every random number: counter-based streams, keyed by seed and name, addressed by position.

A number depends on the seed, the name of what is drawn and where in training it is drawn, and on nothing else: not on
what was drawn before, on which backend, or in which order. So both backends are fed the same numbers, sampling never
disturbs training, and a run resumes at any point without a saved generator.

Raw 64-bit words come from NumPy's Philox 4x64 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3");
what is made of them stands here, because NumPy may change the methods of its `Generator` between versions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ganspec.spec.layers import Parameter, Shape, Statistic
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.text.distributions import Distribution


@dataclass(frozen=True)
class Position:
    """The place in training at which a number is drawn; all counts begin with 0.

    Args:
        iteration: number of the iteration.
        step: number of the step in the schedule.
        repeat: number of the step's repeat.
        occurrence: number of the evaluation of the same network within the step, for dropout masks.
    """

    iteration: int = 0
    step: int = 0
    repeat: int = 0
    occurrence: int = 0


@dataclass(frozen=True)
class Streams:
    """The streams of one seed, a whole number from 0."""

    seed: int

    def key(self, name: str) -> int:
        """Returns: the 128-bit key of a stream, for NumPy's generator or for one on a device."""
        return int.from_bytes(hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=16).digest(), "little")

    def device_seed(self, name: str, position: Position) -> int:
        """Returns: a 63-bit seed for a generator that draws on a device."""
        text = f"{self.key(name)}:{position.iteration}:{position.step}:{position.repeat}:{position.occurrence}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1

    def words(self, name: str, position: Position, count: int, start: int = 0) -> np.ndarray:
        """Returns: `count` independent uniform 64-bit words, from the word number `start` on."""
        counter = [0, position.occurrence, position.step << 32 | position.repeat, position.iteration]
        generator = np.random.Philox(key=self.key(name), counter=counter)
        if start:  # a block of the cipher has four words
            generator.advance(start // 4)
            generator.random_raw(start % 4)
        words: np.ndarray = generator.random_raw(count)
        return words

    def uniform(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> np.ndarray:
        """Returns: float64 numbers, uniform on [0, 1), multiples of 2^-53; with `rows` only these of an array of that shape."""
        start, end, shape = _part(shape, rows)
        numbers: np.ndarray = (self.words(name, position, end - start, start) >> np.uint64(11)) * 2.0**-53
        return numbers.reshape(shape)

    def normal(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> np.ndarray:
        """Returns: float64 numbers from the standard normal distribution (Box and Muller 1958); with `rows` only these."""
        half = (math.prod(shape) + 1) // 2  # cosines of all pairs, then sines
        start, end, part = _part(shape, rows)
        if rows is None or end - start > half:
            radius, angle = _polar(self.uniform(name, position, (2, half)))
            return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[start:end].reshape(part)
        parts = []
        for function, first, last in ((np.cos, start, min(end, half)), (np.sin, max(start, half) - half, end - half)):
            if first < last:
                words = np.stack([self.words(name, position, last - first, first + i * half) for i in (0, 1)])
                radius, angle = _polar((words >> np.uint64(11)) * 2.0**-53)
                parts.append(radius * function(angle))
        return np.concatenate(parts).reshape(part)

    def sample(
        self, distribution: Distribution, name: str, position: Position, shape: Shape, rows: slice | None = None
    ) -> np.ndarray:
        """Returns: float64 numbers of a distribution; with `rows` only these of an array of that shape."""
        a, b = distribution.a, distribution.b
        own = {} if rows is None else {"rows": rows}
        match distribution.kind:
            case "uniform":
                return a + (b - a) * self.uniform(name, position, shape, **own)
            case "normal":
                return a + b * self.normal(name, position, shape, **own)
        return np.full(_part(shape, rows)[2], a)

    def labels(
        self, distribution: Distribution, name: str, position: Position, count: int, rows: slice | None = None
    ) -> np.ndarray:
        """Returns: int64 labels: the whole part of numbers of a distribution such as uniform(0, 10); with `rows` only these."""
        labels: np.ndarray = np.floor(self.sample(distribution, name, position, (count,), rows)).astype(np.int64)
        return labels

    def mask(self, rate: float, name: str, position: Position, shape: Shape, rows: slice | None = None) -> np.ndarray:
        """Draw what a dropout layer keeps.

        Each element takes one random bit where the rate is 1/2, one byte where it is a multiple of 1/256, else 32 bits;
        so the probability is exact, or within 2^-33.

        Args:
            rate: the probability that an element is dropped, in [0, 1).
            name, position, shape: stream, place in training, and shape of the whole array.
            rows: the rows that are wanted; None for all.

        Returns: booleans, true where the element is kept.
        """
        start, end, shape = _part(shape, rows)
        kind, size = (np.uint8, 1) if rate == 0.5 else (np.uint8, 8) if (rate * 256).is_integer() else (np.uint32, 32)
        first = start * size // 64  # the word in which the first element is
        words = self.words(name, position, -(-end * size // 64) - first, first).view(kind)
        start, end = start - first * 64 // size, end - first * 64 // size
        if rate == 0.5:
            return np.unpackbits(words.view(np.uint8), count=end)[start:].view(np.bool_).reshape(shape)
        return (words[start:end] >= kind(round(rate * 2.0**size))).reshape(shape)

    def permutation(self, name: str, position: Position, count: int) -> np.ndarray:
        """Returns: the numbers from 0 to count - 1 in random order (int64)."""
        return np.argsort(self.words(name, position, count), kind="stable")

    def initial_parameters(self, network: str, architecture: Architecture) -> dict[str, np.ndarray]:
        """Returns: the initial value of each parameter by its path in the network, float64."""
        return self._initial(network, architecture.parameter_paths())

    def initial_statistics(self, network: str, architecture: Architecture) -> dict[str, np.ndarray]:
        """Returns: the initial value of each running statistic by its path in the network, float64."""
        return self._initial(network, architecture.statistic_paths())

    def _initial(self, network: str, arrays: Mapping[str, Parameter | Statistic]) -> dict[str, np.ndarray]:
        return {
            path: self.sample(array.initial, f"initial/{network}/{path}", Position(), array.shape)
            for path, array in arrays.items()
        }


def _part(shape: Shape, rows: slice | None) -> tuple[int, int, Shape]:
    """Returns: the first element of some rows of an array, the one after their last, and the shape of these rows."""
    if rows is None:
        return 0, math.prod(shape), shape
    each = math.prod(shape[1:])
    return rows.start * each, rows.stop * each, (rows.stop - rows.start, *shape[1:])


def _polar(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns: radius and angle of points of the plane whose coordinates have the standard normal distribution."""
    return np.sqrt(-2.0 * np.log(1.0 - u[0])), 2.0 * math.pi * u[1]
