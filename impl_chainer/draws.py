"""What training draws, as Chainer arrays: noise symbols and dropout masks.

From the host, numbers are those of a `spec.training.draws.DrawSource`, the same for every backend. From the device they come
from CuPy's (on the CPU NumPy's) own generator, seeded anew for each draw by the spec's streams, so that they too depend on
nothing but seed, name and position.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.training.draws import DrawSource, StreamDraws, mask_name
from ganspec.spec.training.inputs import Inputs
from ganspec.spec.training.options import DRAWS, check_choice, check_seed
from ganspec.spec.training.ranks import Share
from ganspec.spec.training.streams import Position, Streams


class Draws:
    """Draws for one system.

    Args:
        system: system whose distributions and layers apply.
        seed: seed of all draws, from 0 to 2^63 - 1.
        source: "host" for the spec's streams, "device" for the device's generator, or a source of one's own.
        context: device and dtype.
        share: what this process has of each batch, where several share it; the device draws all of it, too.

    Raises:
        ValueError: there is no such seed or source.
    """

    def __init__(
        self, system: System, seed: int, source: str | DrawSource, context: ArrayContext, share: Share | None = None
    ) -> None:
        check_seed(seed)
        if isinstance(source, str):
            check_choice("draws", source, DRAWS)
        self.system, self.streams, self.context = system, Streams(seed), context
        self.inputs: Inputs[Array] = Inputs()
        self.on_device = source == "device"
        whole = StreamDraws(system, seed) if isinstance(source, str) else source
        self.share, self.source = share, whole if share is None else share.draws(whole)

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> Array:
        """Returns: one draw of a noise symbol for a batch, or this process's rows of it."""
        if not self.on_device or symbol.dtype == "label":
            return self.inputs.array(at, lambda at: self.source.symbol(name, symbol, at, batch), self.context.array)
        distribution, shape = self.system.draws[name].distribution, (batch, *symbol.shape)
        generator = self._seeded(name, at)
        if distribution.kind == "uniform":
            array = generator.uniform(distribution.a, distribution.b, shape)
        elif distribution.kind == "normal":
            array = generator.normal(distribution.a, distribution.b, shape)
        else:
            array = self.context.xp.full(shape, distribution.a)
        return Array(self._own(array).astype(self.context.dtype), requires_grad=False)

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> Array:
        """Returns: a dropout mask of zeros and 1 / (1 - rate), for this process's rows."""
        shape = (shape[0] * (self.share.size if self.share else 1), *shape[1:])
        rate, xp = layer.settings["rate"], self.context.xp
        if not self.on_device:

            def mask(at: Position) -> np.ndarray:
                return np.multiply(
                    self.source.mask(network, layer, at, shape), 1.0 / (1.0 - rate), dtype=self.context.dtype
                )

            return self.inputs.array(at, mask, self.context.adopted)
        kept = self._own(self._seeded(mask_name(network, layer), at).random_sample(shape)) >= rate
        return Array(xp.multiply(kept, 1.0 / (1.0 - rate), dtype=self.context.dtype), requires_grad=False)

    def _own(self, array: Any) -> Any:
        return array[self.share.rows(len(array))] if self.share else array

    def _seeded(self, name: str, at: Position) -> Any:
        # Both libraries' seeds have 32 bits.
        return self.context.xp.random.RandomState(self.streams.device_seed(name, at) % 2**32)
