"""What training draws, as PyTorch arrays: noise symbols and dropout masks.

Numbers are those of a `spec.training.draws.DrawSource`, the same for every backend. They are computed on the host, or on the
device (`counters`), which gives the same bits, and neither waits for the host nor copies anything from there.
"""

from __future__ import annotations

import numpy as np

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.impl_torch.counters import Counters
from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.training.draws import DrawSource, StreamDraws, mask_name
from ganspec.spec.training.inputs import Inputs
from ganspec.spec.training.options import DRAWS, check_choice, check_seed
from ganspec.spec.training.ranks import Share
from ganspec.spec.training.streams import Position


class Draws:
    """Draws for one system.

    Args:
        system: system whose distributions and layers apply.
        seed: seed of all draws, from 0 to 2^63 - 1.
        source: "host" for the spec's streams, "device" for the same computed on the device, or a source of one's own.
        context: device and dtype.
        share: what this process has of each batch, where several share it.

    Raises:
        ValueError: there is no such seed or source.
    """

    def __init__(
        self, system: System, seed: int, source: str | DrawSource, context: ArrayContext, share: Share | None = None
    ) -> None:
        check_seed(seed)
        if isinstance(source, str):
            check_choice("draws", source, DRAWS)
        self.system, self.context = system, context
        self.inputs: Inputs[Array] = Inputs()
        self.counters = Counters(seed, context) if source == "device" else None
        whole = StreamDraws(system, seed) if isinstance(source, str) else source
        self.share, self.source = share, whole if share is None else share.draws(whole)

    def follow(self, iteration: Array | None) -> None:
        """Read the number of the iteration on the device from now on, so that a captured graph draws anew whenever it runs.

        Args:
            iteration: int64 array (1,) on the device: whoever runs the graph writes the number there, and all else of a
                position is fixed in the graph. None: numbers are drawn at the iteration of their position.

        Raises:
            ValueError: these draws are not computed on the device.
        """
        if self.counters is None:
            raise ValueError("draws of the host do not follow a number on the device; use draws='device'")
        self.counters.iteration = iteration

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> Array:
        """Returns: one draw of a noise symbol for a batch, or this process's rows of it."""
        if self.counters is None:
            return self.inputs.array(at, lambda at: self.source.symbol(name, symbol, at, batch), self.context.array)
        distribution = self.system.draws[name].distribution
        if symbol.dtype == "label":
            return self.counters.labels(distribution, name, at, batch, self._rows(batch))
        drawn = self.counters.sample(distribution, name, at, (batch, *symbol.shape), self._rows(batch))
        return drawn.to(self.context.floating)

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> Array:
        """Returns: a dropout mask of zeros and 1 / (1 - rate), for this process's rows."""
        shape = (shape[0] * (self.share.size if self.share else 1), *shape[1:])
        rate = layer.settings["rate"]
        if self.counters is None:

            def mask(at: Position) -> np.ndarray:  # several times faster than PyTorch
                return np.multiply(
                    self.source.mask(network, layer, at, shape), 1.0 / (1.0 - rate), dtype=self.context.dtype
                )

            return self.inputs.array(at, mask, self.context.adopted)
        kept = self.counters.mask(rate, mask_name(network, layer), at, shape, self._rows(shape[0]))
        return kept.to(self.context.floating).mul_(1.0 / (1.0 - rate))

    def _rows(self, batch: int) -> slice | None:
        return self.share.rows(batch) if self.share else None
