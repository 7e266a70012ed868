"""Random numbers computed on Chainer's device, bit for bit those of the spec's streams."""

from __future__ import annotations

from typing import Any

from ganspec.impl_chainer.arrays import ArrayContext
from ganspec.spec.training.array_streams import ArrayStreams


class Counters(ArrayStreams):
    """The streams of one seed on a device.

    Args:
        seed: seed of the streams.
        context: device on which the numbers are computed, by NumPy or CuPy.
    """

    def __init__(self, seed: int, context: ArrayContext) -> None:
        xp = context.xp

        def counted(start: int, end: int) -> Any:
            return xp.arange(start, end, dtype=xp.int64)

        super().__init__(seed, xp, counted, xp.sqrt)
