"""Random numbers computed on PyTorch's device, bit for bit those of the spec's streams."""

from __future__ import annotations

import numpy as np
import torch

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.spec.training.array_streams import ArrayStreams


class Counters(ArrayStreams):
    """The streams of one seed on a device.

    Args:
        seed: seed of the streams.
        context: device on which the numbers are computed.
    """

    def __init__(self, seed: int, context: ArrayContext) -> None:
        def counted(start: int, end: int) -> Array:
            return torch.arange(start, end, dtype=torch.int64, device=context.device)

        super().__init__(seed, torch, counted, _sqrt)


def _sqrt(x: Array) -> Array:
    """Square roots, rounded as IEEE 754 says: on the CPU PyTorch's own are those of MKL, which differ in the last place."""
    return torch.from_numpy(np.sqrt(x.numpy())) if x.device.type == "cpu" else torch.sqrt(x)
