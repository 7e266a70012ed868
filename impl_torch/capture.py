"""What the capture of whole iterations (`spec.training.capturing`) has PyTorch do: a graph on a CUDA device, and copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.spec.training.batches import in_native_order


class Graph:
    """What a device does in one call of a function, to be done again."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def record(self, function: Callable[[], None]) -> bool:
        """Record what a function does. Returns: whether it is done, too; a CUDA device only notes it.

        Raises:
            RuntimeError: the function does something that a graph cannot hold, such as waiting for the device.
        """
        # "thread_local": what other threads ask of the device, such as its free memory, does not spoil the capture.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            function()
        return False

    def replay(self) -> None:
        """Do again what was recorded, on the same memory."""
        self._graph.replay()


class Copier:
    """How numbers come to memory that stays where it is, and away from it; the device is not waited for.

    Args:
        context: where arrays live.
    """

    def __init__(self, context: ArrayContext) -> None:
        self.context = context

    def stack(self, numbers: Sequence[Array]) -> Array:
        """Returns: a vector of arrays of one number each."""
        return torch.stack([number.reshape(()) for number in numbers])

    def unstack(self, vector: Array) -> Sequence[Array]:
        """Returns: copies of a vector's numbers, arrays without axes."""
        return self.context.split(vector.clone())

    def write(self, source: Array, target: Array) -> None:
        """Copy an array into another one on the same device."""
        target.copy_(source)

    def send(self, values: np.ndarray, target: Array, pinned: Any) -> Any:
        """Copy values of the host into an array. Returns: pinned memory, which is given back when it is copied into again."""
        source = torch.from_numpy(in_native_order(values))
        if not self.context.on_cuda:
            target.copy_(source)
            return None
        if pinned is None:
            pinned = torch.empty(target.shape, dtype=target.dtype, pin_memory=True)
        target.copy_(pinned.copy_(source), non_blocking=True)
        return pinned

    def event(self) -> Any:
        """Returns: the end of all work that the device was given so far; None where there is no such device."""
        if not self.context.on_cuda:
            return None
        event = torch.cuda.Event()
        event.record()
        return event
