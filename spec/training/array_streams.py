"""The numbers of `Streams`, bit for bit, drawn by operations on arrays where the arrays are: on a device, without its host.

The keys are made on the host, by name. All else is arithmetic on the device: nothing waits for it, no value decides what Python
does, and the only memory that is read is what `iteration` points to. So a CUDA graph can hold all of it and draw anew each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganspec.spec.layers import Shape
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training import elementary, philox
from ganspec.spec.training.streams import BLOCK_WORDS, Position, Streams, pairs_of, part_of


@dataclass
class ArrayStreams:
    """The streams of one seed, drawn where arrays of a library are.

    Args:
        seed: seed of the streams, a whole number from 0.
        xp: library of the arrays: the module `numpy`, `cupy` or `torch`.
        counted: function of two numbers that gives the whole numbers from the first to before the second, int64, on the device.
        sqrt: function that gives square roots of float64 arrays, rounded as IEEE 754 says.

    `iteration` is where the number of the iteration enters while a graph is captured: an int64 array (1,) on the device, which
    is read anew each time that the graph runs, instead of the position's own number. None: the position says it.
    """

    seed: int
    xp: Any
    counted: Callable[[int, int], Any]
    sqrt: Callable[[Any], Any]
    iteration: Any = None

    def words(self, name: str, position: Position, count: int, start: int = 0) -> Any:
        """Returns: the bits of `Streams.words` as int64, (count,)."""
        _, *place = position.counter()
        iteration = self.iteration if self.iteration is not None else self.counted(place[2], place[2] + 1)
        blocks = start // BLOCK_WORDS + 1, -(-(start + count) // BLOCK_WORDS) + 1  # NumPy's generator counts from 1
        counter = (self.counted(*blocks), *(self.counted(n, n + 1) for n in place[:2]), iteration)
        lanes = philox.block(Streams(self.seed).key(name), counter)
        first = start % BLOCK_WORDS
        return self.xp.stack(lanes, 1).reshape(-1)[first : first + count]

    def uniform(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> Any:
        """Returns: what `Streams.uniform` gives."""
        start, end, shape = part_of(shape, rows)
        return self._unit(self.words(name, position, end - start, start)).reshape(shape)

    def normal(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> Any:
        """Returns: what `Streams.normal` gives."""
        half = (math.prod(shape) + 1) // 2
        start, end, shape = part_of(shape, rows)
        if end - start > half:
            unit = self._unit(self.words(name, position, 2 * half))
            return self._normals(unit[:half], unit[half:], elementary.PLACES)[start:end].reshape(shape)
        parts = []
        for place, (first, last) in zip(elementary.PLACES, pairs_of(start, end, half), strict=True):
            if first < last:
                radii, turns = (self.words(name, position, last - first, first + i * half) for i in (0, 1))
                parts.append(self._normals(self._unit(radii), self._unit(turns), (place,)))
        return self.xp.concatenate(parts).reshape(shape)

    def sample(
        self, distribution: Distribution, name: str, position: Position, shape: Shape, rows: slice | None = None
    ) -> Any:
        """Returns: what `Streams.sample` gives."""
        a, b = distribution.a, distribution.b
        match distribution.kind:
            case "uniform":
                return self.uniform(name, position, shape, rows) * (b - a) + a
            case "normal":
                return self.normal(name, position, shape, rows) * b + a
        start, end, shape = part_of(shape, rows)
        zeros = self.xp.asarray(self.counted(0, end - start) * 0, dtype=self.xp.float64)
        return (zeros + a).reshape(shape)

    def labels(
        self, distribution: Distribution, name: str, position: Position, count: int, rows: slice | None = None
    ) -> Any:
        """Returns: what `Streams.labels` gives."""
        numbers = self.xp.floor(self.sample(distribution, name, position, (count,), rows))
        return self.xp.asarray(numbers, dtype=self.xp.int64)

    def mask(self, rate: float, name: str, position: Position, shape: Shape, rows: slice | None = None) -> Any:
        """Returns: what `Streams.mask` gives: true where an element is kept."""
        start, end, shape = part_of(shape, rows)
        size = 1 if rate == 0.5 else 8 if (rate * 256).is_integer() else 32
        first = start * size // 64  # the word in which the first element is
        words = self.words(name, position, -(-end * size // 64) - first, first)
        if size == 1:  # the highest bit of a byte is its first element
            shifts = self.xp.asarray(7 - self.counted(0, 8), dtype=self.xp.uint8)
            kept = (words.view(self.xp.uint8)[:, None] >> shifts & 1) > 0
        elif size == 8:
            kept = words.view(self.xp.uint8) >= round(rate * 2**8)
        else:  # PyTorch compares no unsigned numbers of 32 bits: both sides are moved down by 2^31
            kept = (words.view(self.xp.int32) ^ -(2**31)) >= round(rate * 2**32) - 2**31
        start, end = start - first * 64 // size, end - first * 64 // size
        return kept.reshape(-1)[start:end].reshape(shape)

    def _unit(self, words: Any) -> Any:
        upper = self.xp.asarray(words >> 11 & 2**53 - 1, dtype=self.xp.float64)
        return upper * 2.0**-53

    def _normals(self, first: Any, second: Any, places: tuple[elementary.Place, ...]) -> Any:
        """Returns: the normal numbers that pairs of uniform ones give, those of one place after those of the other."""
        turns = self.xp.stack([place(second, self.xp) for place in places])
        return (elementary.sine(turns) * self.sqrt(elementary.squared_radius(first, self.xp))).reshape(-1)
