"""What the capture of whole iterations (`spec.training.capturing`) has Chainer do: a graph on a CUDA device, and copies.

CuPy refuses to call cuBLAS while a stream is captured (cupy/cupy#6290, open; version 14.2 does), and every network multiplies
matrices. As long as it does, the first capture ends with that reason, and iterations are done one operation after the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import chainer
import numpy as np

from ganspec.impl_chainer.arrays import Array, ArrayContext


class Graph:
    """What a device does in one call of a function, to be done again."""

    def __init__(self) -> None:
        self._cuda = chainer.backends.cuda.cupy.cuda
        # Arrays of the graph come from memory of its own, which nobody else is given while the graph lives.
        self._pool = self._cuda.MemoryPool(_allocate)
        self._graph: Any = None

    def record(self, function: Callable[[], None]) -> bool:
        """Record what a function does. Returns: whether it is done, too; a CUDA device only notes it.

        Raises:
            RuntimeError: the function does something that a graph cannot hold, such as waiting for the device.
        """
        stream = self._cuda.Stream(non_blocking=True)
        self._cuda.Device().synchronize()
        with self._cuda.using_allocator(self._pool.malloc), stream:
            stream.begin_capture()
            try:
                function()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # the capture is ended, whatever became of it
                    stream.end_capture()
                raise
            self._graph = stream.end_capture()
        return False

    def replay(self) -> None:
        """Do again what was recorded, on the same memory."""
        self._graph.launch()


class Copier:
    """How numbers come to memory that stays where it is, and away from it; the device is not waited for.

    Args:
        context: where arrays live.
    """

    def __init__(self, context: ArrayContext) -> None:
        self.context = context

    def stack(self, numbers: Sequence[Array]) -> Array:
        """Returns: a vector of arrays of one number each."""
        return Array(self.context.xp.stack([number.array.reshape(()) for number in numbers]), requires_grad=False)

    def unstack(self, vector: Array) -> Sequence[Array]:
        """Returns: copies of a vector's numbers, arrays without axes."""
        copy = Array(vector.array.copy(), requires_grad=False)
        return [Array(number, requires_grad=False) for number in self.context.split(copy)]

    def write(self, source: Array, target: Array) -> None:
        """Copy an array into another one on the same device."""
        target.array[...] = source.array

    def send(self, values: np.ndarray, target: Array, pinned: Any) -> Any:
        """Copy values of the host into an array. Returns: pinned memory, which is given back when it is copied into again."""
        if not self.context.on_cuda:
            target.array[...] = values
            return None
        if pinned is None:
            pinned = _pinned(target.shape, target.dtype)
        pinned[...] = values
        target.array.set(pinned)
        return pinned

    def event(self) -> Any:
        """Returns: the end of all work that the device was given so far; None where there is no such device."""
        if not self.context.on_cuda:
            return None
        event = chainer.backends.cuda.cupy.cuda.Event(block=False, disable_timing=True)
        event.record()
        return event


def _allocate(size: int) -> Any:
    # A pool whose memory is at an end frees what lies unused in it, and asks again. The graph reads and writes just that.
    cuda = chainer.backends.cuda.cupy.cuda
    try:
        return cuda.MemoryPointer(cuda.Memory(size), 0)
    except cuda.runtime.CUDARuntimeError as error:
        raise MemoryError(f"there is no memory for the arrays of a graph: {error}") from None


def _pinned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Returns: an array of NumPy in memory from which a device copies by itself."""
    size = int(np.prod(shape, dtype=np.int64))
    memory = chainer.backends.cuda.cupy.cuda.alloc_pinned_memory(size * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype, size).reshape(shape)
