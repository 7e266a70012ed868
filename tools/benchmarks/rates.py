"""How fast the machine multiplies matrices, in the backend's own library: at a large size, and at given sizes.

A rate is 2 m k n operations over the shortest time of several tries, float32. A convolution is timed as the product of its
patches with its kernels, as if the patches were there already: what it takes beyond that is the backend's own.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ganspec.spec.training.options import device_number
from ganspec.tools.backends import load
from ganspec.tools.benchmarks.sides import synchroniser
from ganspec.tools.benchmarks.tape import Product

LARGE = {"cpu": 2048, "cuda": 8192}  # rows and columns
_TRIES = 5
_SECONDS = 0.05  # how long a size is tried at least, and
_MOST_SECONDS = 0.5  # after which no further try is begun
_MAX_NUMBERS = 2**24  # of one matrix; longer ones are cut, since the rate no longer depends on their length


class Multiplier:
    """Times products of matrices.

    Args:
        backend: "torch" for PyTorch's product, "chainer" for NumPy's or CuPy's.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        UserError: the framework is not there.
    """

    def __init__(self, backend: str, device: str) -> None:
        load(backend)
        self.backend, self.device = backend, device
        self._wait = synchroniser(backend, device)
        self._known: dict[tuple[int, ...], float] = {}

    def large(self) -> float:
        """Returns: operations per second of a product of two large square matrices."""
        size = LARGE["cpu" if self.device == "cpu" else "cuda"]
        return self.rate(size, size, size)

    def rate(self, m: int, k: int, n: int, groups: int = 1) -> float:
        """Returns: operations per second of a product (m, k) times (k, n), `groups` of them at once."""
        m, k, n = (_shortened(*sizes) for sizes in ((m, k, n), (k, m, n), (n, m, k)))
        groups = min(groups, max(1, _MAX_NUMBERS // max(m * k, k * n, m * n)))
        key = m, k, n, groups
        if key not in self._known:
            shape = (groups,) if groups > 1 else ()
            a, b = self._matrix(*shape, m, k), self._matrix(*shape, k, n)
            self._known[key] = 2 * m * k * n * groups / self._shortest(lambda: a @ b)
        return self._known[key]

    def seconds(self, product: Product) -> float:
        """Returns: how long a product takes at the rate of its own size."""
        return product.operations / self.rate(product.m, product.k, product.n, product.groups)

    def _matrix(self, *shape: int) -> Any:
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        if self.backend == "torch":
            return importlib.import_module("torch").from_numpy(values).to(self.device)
        if self.device == "cpu":
            return values
        cupy = importlib.import_module("cupy")
        with cupy.cuda.Device(device_number(self.device) or 0):
            return cupy.asarray(values)

    def _shortest(self, multiply: Callable[[], object]) -> float:
        """Returns: seconds of one product: the shortest of several tries of about 1 ms or one product each."""
        once = self._time(multiply, 1)
        times = max(1, min(1000, round(1e-3 / max(once, 1e-9))))
        start, shortest, tries = time.perf_counter(), once, 0
        while tries < _TRIES or time.perf_counter() - start < _SECONDS:
            shortest = min(shortest, self._time(multiply, times))
            tries += 1
            if time.perf_counter() - start > _MOST_SECONDS:
                break
        return shortest

    def _time(self, multiply: Callable[[], object], times: int) -> float:
        self._wait()
        start = time.perf_counter()
        for _ in range(times):
            multiply()
        self._wait()
        return (time.perf_counter() - start) / times


def _shortened(size: int, *others: int) -> int:
    """Returns: an axis, cut such that no matrix with it has too many numbers."""
    return max(1, min(size, max(1024, _MAX_NUMBERS // max(others))))
