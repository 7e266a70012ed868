"""Memory on the CPU that is used again. The first touch of fresh memory costs more than most operations on it."""

from __future__ import annotations

import math
import threading
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


BUFFERS = Buffers()
