"""What training draws, as Chainer arrays: noise symbols and dropout masks.

From the host, numbers are those of `spec.streams`, the same for every backend. From the device they come from CuPy's (on the
CPU NumPy's) own generator, seeded anew for each draw by the same streams, so that they too depend on nothing but seed, name
and position.
"""

from __future__ import annotations

from typing import Any

from impl_chainer.arrays import Array, Place
from spec.architecture import Layer
from spec.builder import Symbol
from spec.streams import Position, Streams
from spec.system import System


class Draws:
    """Draws for one system. Args: source: "host" or "device"."""

    def __init__(self, system: System, seed: int, source: str, place: Place) -> None:
        self.system, self.streams, self.place = system, Streams(seed), place
        self.on_device = source == "device"

    def symbol(self, name: str, symbol: Symbol, position: Position, batch: int) -> Array:
        """Returns: one sample of a noise symbol for a batch."""
        distribution = self.system.draws[name].distribution
        if symbol.dtype == "label":
            return self.place.array(self.streams.labels(distribution, name, position, batch))
        shape = (batch, *symbol.shape)
        if not self.on_device:
            return self.place.array(self.streams.sample(distribution, name, position, shape))
        generator = self._seeded(name, position)
        if distribution.kind == "uniform":
            array = generator.uniform(distribution.a, distribution.b, shape)
        elif distribution.kind == "normal":
            array = generator.normal(distribution.a, distribution.b, shape)
        else:
            array = self.place.xp.full(shape, distribution.a)
        return Array(array.astype(self.place.dtype), requires_grad=False)

    def mask(self, network: str, layer: Layer, position: Position, shape: tuple[int, ...]) -> Array:
        """Returns: a dropout mask of zeros and 1 / (1 - rate)."""
        rate, name = layer.settings["rate"], f"mask/{network}/{layer.name}"
        xp = self.place.xp
        if not self.on_device:
            kept = xp.asarray(self.streams.mask(rate, name, position, shape))
        else:
            kept = self._seeded(name, position).random_sample(shape) >= rate
        return Array(xp.multiply(kept, 1.0 / (1.0 - rate), dtype=self.place.dtype), requires_grad=False)

    def _seeded(self, name: str, position: Position) -> Any:
        # Both libraries' seeds have 32 bits.
        return self.place.xp.random.RandomState(self.streams.device_seed(name, position) % 2**32)
