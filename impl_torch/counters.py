"""Random numbers computed on PyTorch's device, bit for bit those of the spec's streams."""

from __future__ import annotations

import numpy as np
import torch
import torch.cuda.jiterator

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.spec.training.array_streams import ArrayStreams, Launch
from ganspec.spec.training.device_source import PARAMETERS, source


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
        if torch.device(context.device).type == "cuda":
            self.try_kernel(_compiled)


def _compiled() -> Launch:
    # The jiterator wants a template without a qualifier, and makes a kernel of it that goes through arrays.
    kernel = torch.cuda.jiterator._create_jit_fn(source(), **dict.fromkeys(PARAMETERS, 0))
    return lambda number, iteration, rest: kernel(number, iteration, **dict(zip(PARAMETERS, rest, strict=True)))


def _sqrt(x: Array) -> Array:
    """Square roots, rounded as IEEE 754 says: on the CPU PyTorch's own are those of MKL, which differ in the last place."""
    return torch.from_numpy(np.sqrt(x.numpy())) if x.device.type == "cpu" else torch.sqrt(x)
