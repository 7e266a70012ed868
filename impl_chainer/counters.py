"""Random numbers computed on Chainer's device, bit for bit those of the spec's streams."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganspec.impl_chainer.arrays import ArrayContext
from ganspec.spec.training.array_streams import ArrayStreams, Launch
from ganspec.spec.training.device_source import DRAW, PARAMETERS, source


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
        if context.device != "cpu":
            self.try_kernel(lambda: _compiled(xp))


def _compiled(cupy: Any) -> Launch:
    names = ("number", "iteration", *PARAMETERS)
    kernel = cupy.ElementwiseKernel(
        ", ".join(f"int64 {name}" for name in names), "int64 drawn",
        f"drawn = {DRAW}<long long>({', '.join(names)})", "ganspec_draws", preamble=source("__device__"),
    )  # fmt: skip
    return lambda number, iteration, rest: kernel(number, iteration, *map(np.int64, rest))
