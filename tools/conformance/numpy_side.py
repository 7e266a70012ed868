"""Somebody's plain NumPy code under observation: networks are dictionaries of arrays, which the step changes.

Nothing tells when a network is evaluated or updated, so what is compared is what can be seen from outside: reports, and after
each iteration the parameters and statistics. Draws are given in the order of the plan.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.mapping import Held, Match
from ganspec.tools.conformance.numpy_random import replaying
from ganspec.tools.conformance.observer import Observer


class NumpySide:
    """Dictionaries of NumPy arrays.

    Args:
        modules: network's arrays by name: {"l1/W": ..., "l1/b": ...}.
        optimizers: there are none.
        dtype: "float32" or "float64", to which the arrays are turned while they are checked.

    Raises:
        ConformanceError: optimisers are given, or there is no framework beside which the code could be run.
    """

    blind = True
    device_name = "cpu"

    def __init__(self, modules: Mapping[str, Any], optimizers: Mapping[str, Any], dtype: str) -> None:
        if optimizers:
            raise ConformanceError(
                "optimizers: networks that are dictionaries of arrays are moved by the step itself; leave them out"
            )
        there = [name for name in ("torch", "chainer") if find_spec(name) is not None]
        if not there:
            raise ConformanceError(
                "the code is run beside PyTorch or Chainer, and neither is installed; pip install 'ganspec[torch]'"
            )
        self.backend, self.modules, self.dtype = there[0], dict(modules), np.dtype(dtype)
        self.optimizers: dict[str, Any] = {}
        self.matches: dict[str, dict[str, Match]] = {}
        self.notes = [
            "of NumPy code only reports, parameters and statistics are compared; `ganspec vectors --check` compares layers"
        ]

    def held(self, network: str) -> list[Held]:
        """Returns: the arrays of a dictionary; statistics are told by their names."""
        return [Held(str(name), np.shape(a), True) for name, a in self.modules[network].items()]

    def check(self, matches: Mapping[str, Mapping[str, Match]]) -> None:
        """Take over which array is which."""
        self.matches = {network: dict(found) for network, found in matches.items()}

    def adopt(self, values: Iterable[Any]) -> None:
        """Take over optimisers: there are none."""

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """Change the dictionaries' arrays; afterwards they are as they were."""
        before = [
            (network, dict(network), {name: a.copy() for name, a in network.items()})
            for network in self.modules.values()
        ]
        try:
            yield
        finally:
            for network, arrays, values in before:
                for name, array in arrays.items():
                    array[...] = values[name]
                network.clear()
                network.update(arrays)

    def start(self, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Give networks their first values, by network and path."""
        for network, values in arrays.items():
            for path, match in self.matches[network].items():
                self.modules[network][match.name] = match.theirs(values[path]).astype(self.dtype)

    def batch(self, values: np.ndarray) -> Any:
        """Returns: an array of a batch as the step takes it."""
        return np.array(values, dtype=self.dtype if values.dtype.kind == "f" else np.int64)

    def to_numpy(self, value: Any) -> np.ndarray:
        """Returns: the values of an array or a number; the very memory of an array."""
        return np.asarray(value)

    def arrays(self, network: str, *, trained: bool) -> dict[str, np.ndarray]:
        """Returns: all arrays of a network by path, as the spec holds them."""
        return {path: m.ours(self.to_numpy(self.modules[network][m.name])) for path, m in self.matches[network].items()}

    @contextlib.contextmanager
    def watched(self, observer: Observer, ended: Any) -> Iterator[None]:
        """Answer the draws."""
        with replaying(observer.draw):
            yield
