"""What training draws, as PyTorch arrays: noise symbols and dropout masks.

From the host, numbers are those of `spec.streams`, the same for every backend. From the device they come from PyTorch's own
generator, seeded anew for each draw by the same streams, so that they too depend on nothing but seed, name and position.
"""

from __future__ import annotations

import numpy as np
import torch

from impl_torch.arrays import Array, Place
from spec.architecture import Layer
from spec.builder import Symbol
from spec.streams import Position, Streams
from spec.system import System


class Draws:
    """Draws for one system. Args: source: "host" or "device"."""

    def __init__(self, system: System, seed: int, source: str, place: Place) -> None:
        self.system, self.streams, self.place = system, Streams(seed), place
        self.on_device = source == "device"
        self.generator = torch.Generator(place.device) if self.on_device else None

    def symbol(self, name: str, symbol: Symbol, position: Position, batch: int) -> Array:
        """Returns: one sample of a noise symbol for a batch."""
        distribution = self.system.draws[name].distribution
        if symbol.dtype == "label":
            return self.place.array(self.streams.labels(distribution, name, position, batch))
        shape = (batch, *symbol.shape)
        if not self.on_device:
            return self.place.array(self.streams.sample(distribution, name, position, shape))
        array = torch.empty(shape, dtype=getattr(torch, self.place.dtype), device=self.place.device)
        generator = self._seeded(name, position)
        if distribution.kind == "uniform":
            return array.uniform_(distribution.a, distribution.b, generator=generator)
        if distribution.kind == "normal":
            return array.normal_(distribution.a, distribution.b, generator=generator)
        return array.fill_(distribution.a)

    def mask(self, network: str, layer: Layer, position: Position, shape: tuple[int, ...]) -> Array:
        """Returns: a dropout mask of zeros and 1 / (1 - rate)."""
        rate, name = layer.settings["rate"], f"mask/{network}/{layer.name}"
        dtype = getattr(torch, self.place.dtype)
        if not self.on_device:
            kept = self.streams.mask(rate, name, position, shape)
            mask = np.multiply(kept, 1.0 / (1.0 - rate), dtype=self.place.dtype)  # several times faster than in PyTorch
            return torch.from_numpy(mask).to(self.place.device)
        array = torch.empty(shape, dtype=dtype, device=self.place.device)
        return array.bernoulli_(1.0 - rate, generator=self._seeded(name, position)).mul_(1.0 / (1.0 - rate))

    def _seeded(self, name: str, position: Position) -> torch.Generator:
        assert self.generator is not None
        return self.generator.manual_seed(self.streams.device_seed(name, position))
