"""Every random number: counter-based streams, keyed by seed and name, addressed by position.

A number depends on the seed, the name of what is drawn and where in training it is drawn, and on nothing else: not on
what was drawn before, on which backend, or in which order. So both backends are fed the same numbers, sampling never
disturbs training, and a run resumes at any point without a saved generator.

Raw 64-bit words come from NumPy's Philox 4x64 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3");
what is made of them stands here, because NumPy may change the methods of its `Generator` between versions. It takes operations
alone that IEEE 754 defines to the last bit (`elementary`), so the numbers are the same with every NumPy on every processor, and
a device that draws them itself (`array_streams`) draws the same.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspec.spec.layers import Parameter, Shape, Statistic
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training import elementary

BLOCK_WORDS = 4  # words that the cipher gives for one value of its counter
_PAIRS = 8192  # of normal numbers that are made in one go, such that they stay in the cache
_LOWER = 2**64 - 1  # the lower word of a key


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

    def counter(self) -> tuple[int, int, int, int]:
        """Returns: the four words of the cipher's counter, lowest first; the lowest counts blocks from here on."""
        return 0, self.occurrence, self.step << 32 | self.repeat, self.iteration


@dataclass(frozen=True)
class Streams:
    """The streams of one seed, a whole number from 0."""

    seed: int

    def key(self, name: str) -> int:
        """Returns: the 128-bit key of a stream, for NumPy's generator or for one of ours on a device."""
        return int.from_bytes(hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=16).digest(), "little")

    def words(self, name: str, position: Position, count: int, start: int = 0) -> np.ndarray:
        """Returns: `count` independent uniform 64-bit words, from the word number `start` on."""
        generator, state, key = _OWN.generator, _OWN.state, self.key(name)
        state["state"]["counter"][:] = position.counter()
        state["state"]["key"][:] = key & _LOWER, key >> 64
        generator.state = state
        words: np.ndarray = _from(generator, start).random_raw(count)
        return words

    def uniform(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> np.ndarray:
        """Returns: float64 numbers, uniform on [0, 1), multiples of 2^-53; with `rows` only these of an array of that shape."""
        start, end, shape = part_of(shape, rows)
        return _unit(self.words(name, position, end - start, start)).reshape(shape)

    def normal(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> np.ndarray:
        """Returns: float64 numbers from the standard normal distribution (Box and Muller 1958); with `rows` only these."""
        half = (math.prod(shape) + 1) // 2  # cosines of all pairs, then sines
        start, end, shape = part_of(shape, rows)
        if end - start > half:
            numbers = self._pairs(name, position, half, (0, half), elementary.PLACES)
            return numbers.reshape(-1)[start:end].reshape(shape)
        parts = [
            self._pairs(name, position, half, pairs, (place,)).reshape(-1)
            for place, pairs in zip(elementary.PLACES, pairs_of(start, end, half), strict=True)
        ]
        return np.concatenate(parts).reshape(shape)

    def _pairs(
        self, name: str, position: Position, half: int, pairs: tuple[int, int], places: tuple[elementary.Place, ...]
    ) -> np.ndarray:
        """Returns: of each pair from the first to before the last, its cosine, its sine, or both: one row for each place."""
        first, last = pairs
        numbers = np.empty((len(places), last - first))
        radii, turns = (self._generator(name, position, first + i * half) for i in (0, 1))
        for start in range(0, last - first, _PAIRS):
            end = min(start + _PAIRS, last - first)
            radius = np.sqrt(elementary.squared_radius(_unit(radii.random_raw(end - start)), np))
            turn = _unit(turns.random_raw(end - start))
            for row, place in zip(numbers, places, strict=True):
                np.multiply(radius, elementary.sine(place(turn, np)), out=row[start:end])
        return numbers

    def _generator(self, name: str, position: Position, start: int) -> np.random.Philox:
        """Returns: a generator whose next word is the word number `start`."""
        return _from(np.random.Philox(key=self.key(name), counter=list(position.counter())), start)

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
        return np.full(part_of(shape, rows)[2], a)

    def labels(
        self, distribution: Distribution, name: str, position: Position, count: int, rows: slice | None = None
    ) -> np.ndarray:
        """Returns: int64 labels: the whole part of numbers of a distribution such as uniform(0, 10); with `rows` only these."""
        labels: np.ndarray = np.floor(self.sample(distribution, name, position, (count,), rows)).astype(np.int64)
        return labels

    def mask(self, rate: float, name: str, position: Position, shape: Shape, rows: slice | None = None) -> np.ndarray:
        """Draw what a dropout layer keeps.

        Each element takes one random bit where the rate is 1/2, one byte where it is a multiple of 1/256, else 32 bits;
        so the probability is exact, or within 2^-33; a rate above 1 - 2^-32 counts as this one.

        Args:
            rate: the probability that an element is dropped, in [0, 1).
            name, position, shape: stream, place in training, and shape of the whole array.
            rows: the rows that are wanted; None for all.

        Returns: booleans, true where the element is kept.
        """
        start, end, shape = part_of(shape, rows)
        size, lowest = lowest_kept(rate)
        kind = np.uint32 if size == 32 else np.uint8
        first = start * size // 64  # the word in which the first element is
        words = self.words(name, position, -(-end * size // 64) - first, first).view(kind)
        start, end = start - first * 64 // size, end - first * 64 // size
        if size == 1:
            return np.unpackbits(words.view(np.uint8), count=end)[start:].view(np.bool_).reshape(shape)
        return (words[start:end] >= kind(lowest)).reshape(shape)

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


def lowest_kept(rate: float) -> tuple[int, int]:
    """Returns: how many random bits an element of a dropout mask takes, and the lowest number in them that keeps it.

    Args:
        rate: the probability that an element is dropped, in [0, 1).
    """
    size = 1 if rate == 0.5 else 8 if float(rate * 256).is_integer() else 32
    return size, min(round(rate * 2.0**size), 2**32 - 1)


def part_of(shape: Shape, rows: slice | None) -> tuple[int, int, Shape]:
    """Returns: the first element of some rows of an array, the one after their last, and the shape of these rows."""
    if rows is None:
        return 0, math.prod(shape), shape
    each = math.prod(shape[1:])
    return rows.start * each, rows.stop * each, (rows.stop - rows.start, *shape[1:])


def pairs_of(start: int, end: int, half: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns: the pairs whose cosines, and those whose sines, are among the normal numbers from `start` to before `end`.

    Args:
        start, end: numbers of elements in the whole array.
        half: number of pairs. Their cosines come first in the array, then their sines.
    """
    return (min(start, half), min(end, half)), (max(start, half) - half, max(end, half) - half)


def _from(generator: np.random.Philox, start: int) -> np.random.Philox:
    """Returns: a generator at a position, moved on to its word number `start`."""
    if start:
        generator.advance(start // BLOCK_WORDS)
        generator.random_raw(start % BLOCK_WORDS)
    return generator


class _Own(threading.local):
    """A generator of each thread, which takes a third of the time to move to another place that it takes to make one."""

    def __init__(self) -> None:
        self.generator = np.random.Philox(key=0)
        self.state: Any = self.generator.state


_OWN = _Own()


def _unit(words: np.ndarray) -> np.ndarray:
    """Returns: numbers on [0, 1): the upper 53 bits of words."""
    numbers: np.ndarray = (words >> np.uint64(11)) * 2.0**-53
    return numbers
