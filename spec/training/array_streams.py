"""The numbers of `Streams`, bit for bit, drawn by operations on arrays where the arrays are: on a device, without its host.

The keys are made on the host, by name. All else is arithmetic on the device: nothing waits for it, no value decides what Python
does, and the only memory that is read is what `iteration` points to. So a CUDA graph can hold all of it and draw anew each time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ganspec.spec.layers import Shape
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training import device_source, elementary, philox
from ganspec.spec.training.streams import BLOCK_WORDS, Position, Streams, lowest_kept, pairs_of, part_of

# The function of `device_source`, of arrays of its first two parameters and of the other ones as numbers, in their order.
Launch = Callable[[Any, Any, Sequence[int]], Any]


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
    `launch` draws in one launch what else takes hundreds; `try_kernel` sets it.
    """

    seed: int
    xp: Any
    counted: Callable[[int, int], Any]
    sqrt: Callable[[Any], Any]
    iteration: Any = None
    launch: Launch | None = None

    def words(self, name: str, position: Position, count: int, start: int = 0) -> Any:
        """Returns: the bits of `Streams.words` as int64, (count,)."""
        if self.launch is not None:
            return self._launched(name, position, start, start + count, device_source.WORD)
        _, *place, _ = position.counter()
        blocks = start // BLOCK_WORDS + 1, -(-(start + count) // BLOCK_WORDS) + 1  # NumPy's generator counts from 1
        counter = (self.counted(*blocks), *(self.counted(n, n + 1) for n in place), self._number(position))
        lanes = philox.block(Streams(self.seed).key(name), counter)
        first = start % BLOCK_WORDS
        return self.xp.stack(lanes, 1).reshape(-1)[first : first + count]

    def uniform(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> Any:
        """Returns: what `Streams.uniform` gives."""
        start, end, shape = part_of(shape, rows)
        if self.launch is not None:
            bits = self._launched(name, position, start, end, device_source.UNIFORM)
            return bits.view(self.xp.float64).reshape(shape)
        return self._unit(self.words(name, position, end - start, start)).reshape(shape)

    def normal(self, name: str, position: Position, shape: Shape, rows: slice | None = None) -> Any:
        """Returns: what `Streams.normal` gives."""
        half = (math.prod(shape) + 1) // 2
        if 0 in part_of(shape, rows)[2]:
            return self.uniform(name, position, shape, rows)
        start, end, shape = part_of(shape, rows)
        if self.launch is not None:
            bits = self._launched(name, position, start, end, device_source.NORMAL, half)
            return bits.view(self.xp.float64).reshape(shape)
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
        size, lowest = lowest_kept(rate)
        if self.launch is not None:
            return (self._launched(name, position, start, end, size, lowest) > 0).reshape(shape)
        first = start * size // 64  # the word in which the first element is
        words = self.words(name, position, -(-end * size // 64) - first, first)
        if size == 1:  # the highest bit of a byte is its first element
            shifts = self.xp.asarray(7 - self.counted(0, 8), dtype=self.xp.uint8)
            kept = (words.view(self.xp.uint8)[:, None] >> shifts & 1) > 0
        elif size == 8:
            kept = words.view(self.xp.uint8) >= lowest
        else:  # PyTorch compares no unsigned numbers of 32 bits: both sides are moved down by 2^31
            kept = (words.view(self.xp.int32) ^ -(2**31)) >= lowest - 2**31
        start, end = start - first * 64 // size, end - first * 64 // size
        return kept.reshape(-1)[start:end].reshape(shape)

    def try_kernel(self, make: Callable[[], Launch]) -> None:
        """Draw by a kernel from now on, where it gives the bits that operations on arrays give; else say so, and go on without.

        Args:
            make: function that compiles `device_source`.
        """
        self.launch, right, reason = None, self._specimens(), "it gives other numbers"
        try:
            self.launch = make()
            if all(bool((a == b).all()) for a, b in zip(self._specimens(), right, strict=True)):
                return
        except Exception as error:  # a compiler that is not there, or a library that calls it otherwise
            reason = str(error)
        self.launch = None
        warnings.warn(f"draws on the device are slow, since their kernel cannot be used: {reason}", stacklevel=3)

    def _specimens(self) -> list[Any]:
        name, at, shape = "specimen", Position(7, 5, 3, 2), (3, 7)
        masks = [self.mask(rate, name, at, shape) for rate in (0.5, 0.25, 0.3)]
        return [self.words(name, at, 9, 3), self.uniform(name, at, shape), self.normal(name, at, shape), *masks]

    def _launched(self, name: str, position: Position, start: int, end: int, kind: int, parameter: int = 0) -> Any:
        """Returns: what the kernel draws for the elements from `start` to before `end`, int64."""
        assert self.launch is not None
        key, (_, occurrence, place, _) = Streams(self.seed).key(name), position.counter()
        keys = philox.signed(key & 2**64 - 1), philox.signed(key >> 64)
        return self.launch(
            self.counted(start, end), self._number(position), (*keys, occurrence, place, kind, parameter)
        )

    def _number(self, position: Position) -> Any:
        """Returns: the number of the iteration, (1,)."""
        number = position.iteration
        return self.iteration if self.iteration is not None else self.counted(number, number + 1)

    def _unit(self, words: Any) -> Any:
        upper = self.xp.asarray(words >> 11 & 2**53 - 1, dtype=self.xp.float64)
        return upper * 2.0**-53

    def _normals(self, first: Any, second: Any, places: tuple[elementary.Place, ...]) -> Any:
        """Returns: the normal numbers that pairs of uniform ones give, those of one place after those of the other."""
        turns = self.xp.stack([place(second, self.xp) for place in places])
        return (elementary.sine(turns) * self.sqrt(elementary.squared_radius(first, self.xp))).reshape(-1)
