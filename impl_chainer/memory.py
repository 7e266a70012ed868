"""Memory on the CPU that is used again. The first touch of fresh memory costs more than most operations on it."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np

KEPT_BYTES = 1 << 26  # of a buffer; a larger one is given back when the operation that made it ends


class Buffers(threading.local):
    """Memory that one operation leaves to the next, for each thread its own."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Returns: an array of any content, which is good until the same name is asked for again."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._held or self._held[name].size < size:
            self._held[name] = np.empty(size, np.uint8)
        return self._held[name][:size].view(dtype).reshape(shape)

    def give_back(self) -> None:
        """Let go of every buffer that is larger than `KEPT_BYTES`; arrays in it stay good as long as somebody holds them."""
        if any(memory.size > KEPT_BYTES for memory in self._held.values()):
            self._held = {name: memory for name, memory in self._held.items() if memory.size <= KEPT_BYTES}


class Recycled:
    """Vectors of one size in the same memory, as long as nobody keeps the one before; else in fresh memory.

    Args:
        size: size of a vector.
        dtype: its dtype.
    """

    def __init__(self, size: int, dtype: Any) -> None:
        self._size, self._dtype = size, np.dtype(dtype)
        self._memory: np.ndarray | None = None
        self._given: weakref.ref[np.ndarray] | None = None

    def vector(self) -> np.ndarray:
        """Returns: a vector of any content."""
        if self._given is not None and self._given() is not None:
            return np.empty(self._size, self._dtype)
        if self._memory is None:
            self._memory = np.empty(self._size, self._dtype)
        # Every view of this array keeps this very array alive, since what it stands on is no array itself.
        vector = np.frombuffer(memoryview(self._memory), self._dtype)
        self._given = weakref.ref(vector)
        return vector


BUFFERS = Buffers()
