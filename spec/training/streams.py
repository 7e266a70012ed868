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

    def words(self, name: str, position: Position, count: int) -> np.ndarray:
        """Returns: `count` independent uniform 64-bit words."""
        counter = [0, position.occurrence, position.step << 32 | position.repeat, position.iteration]
        words: np.ndarray = np.random.Philox(key=self.key(name), counter=counter).random_raw(count)
        return words

    def uniform(self, name: str, position: Position, shape: Shape) -> np.ndarray:
        """Returns: float64 numbers, uniform on [0, 1), multiples of 2^-53."""
        numbers: np.ndarray = (self.words(name, position, math.prod(shape)) >> np.uint64(11)) * 2.0**-53
        return numbers.reshape(shape)

    def normal(self, name: str, position: Position, shape: Shape) -> np.ndarray:
        """Returns: float64 numbers from the standard normal distribution (Box and Muller 1958)."""
        count = math.prod(shape)
        u = self.uniform(name, position, (2, (count + 1) // 2))
        radius = np.sqrt(-2.0 * np.log(1.0 - u[0]))
        angle = 2.0 * math.pi * u[1]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].reshape(shape)

    def sample(self, distribution: Distribution, name: str, position: Position, shape: Shape) -> np.ndarray:
        """Returns: float64 numbers of a distribution."""
        a, b = distribution.a, distribution.b
        match distribution.kind:
            case "uniform":
                return a + (b - a) * self.uniform(name, position, shape)
            case "normal":
                return a + b * self.normal(name, position, shape)
        return np.full(shape, a)

    def labels(self, distribution: Distribution, name: str, position: Position, count: int) -> np.ndarray:
        """Returns: int64 labels: the whole part of numbers of a distribution such as uniform(0, 10)."""
        labels: np.ndarray = np.floor(self.sample(distribution, name, position, (count,))).astype(np.int64)
        return labels

    def mask(self, rate: float, name: str, position: Position, shape: Shape) -> np.ndarray:
        """Draw what a dropout layer keeps.

        Each element takes one random bit where the rate is 1/2, one byte where it is a multiple of 1/256, else 32 bits;
        so the probability is exact, or within 2^-33.

        Args:
            rate: the probability that an element is dropped, in [0, 1).

        Returns: booleans, true where the element is kept.
        """
        count = math.prod(shape)
        if rate == 0.5:
            bits = self.words(name, position, -(-count // 64)).view(np.uint8)
            return np.unpackbits(bits, count=count).view(np.bool_).reshape(shape)
        kind, size = (np.uint8, 8) if (rate * 256).is_integer() else (np.uint32, 32)
        words = self.words(name, position, -(-count * size // 64)).view(kind)[:count]
        return (words >= kind(round(rate * 2.0**size))).reshape(shape)

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
