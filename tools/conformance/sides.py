"""Which framework somebody's code is written in, and the adapter that watches it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.mapping import Held, Match
from ganspec.tools.conformance.observer import Observer


class Side(Protocol):
    """Somebody's networks and optimisers in one framework."""

    backend: str
    blind: bool
    modules: dict[str, Any]
    optimizers: dict[str, Any]
    matches: dict[str, dict[str, Match]]
    notes: list[str]

    @property
    def device_name(self) -> str: ...

    def held(self, network: str) -> list[Held]: ...

    def check(self, matches: Mapping[str, Mapping[str, Match]]) -> None: ...

    def adopt(self, values: Iterable[Any]) -> None: ...

    def borrowed(self) -> contextlib.AbstractContextManager[None]: ...

    def start(self, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None: ...

    def batch(self, values: np.ndarray) -> Any: ...

    def to_numpy(self, value: Any) -> np.ndarray:
        """Returns: the values of one of the framework's arrays or of a number; who keeps them copies them."""

    def arrays(self, network: str, *, trained: bool) -> dict[str, np.ndarray]: ...

    def watched(self, observer: Observer, ended: Any) -> contextlib.AbstractContextManager[None]: ...


def make_side(system: System, networks: Mapping[str, Any], optimizers: Mapping[str, Any], dtype: str) -> Side:
    """Make the adapter of somebody's networks.

    Raises:
        ConformanceError: a network is missing, too many, or of no framework that is known; or they are of several.
    """
    for name in networks:
        if name not in system.networks:
            hint = did_you_mean(name, system.networks)
            message = f"{system.name} has no network '{name}': {expected_one_of(system.networks)}"
            raise ConformanceError(message + (f"; {hint}" if hint else ""))
    missing = [n for n in system.networks if n not in networks]
    if missing:
        raise ConformanceError(
            f"{system.name} has the networks {', '.join(system.networks)}; give {missing[0]}=your network, too"
        )
    for name in optimizers:
        if name not in system.optimizers:
            hint = did_you_mean(name, system.optimizers)
            message = f"optimizers: {system.name} trains no '{name}': {expected_one_of(system.optimizers)}"
            raise ConformanceError(message + (f"; {hint}" if hint else ""))
    frameworks = {name: framework_of(network) for name, network in networks.items()}
    for name, framework in frameworks.items():
        if not framework:
            found = type(networks[name]).__name__
            raise ConformanceError(
                f"{name} is of the type {found}, expected a torch.nn.Module, a chainer.Link, or a dictionary of NumPy arrays"
            )
    if len(set(frameworks.values())) > 1:
        said = ", ".join(f"{name} is of {framework}" for name, framework in frameworks.items())
        raise ConformanceError(f"all networks must be of one framework: {said}")
    match next(iter(frameworks.values())):
        case "torch":
            from ganspec.tools.conformance.torch_side import TorchSide

            return TorchSide(networks, optimizers, dtype)
        case "chainer":
            from ganspec.tools.conformance.chainer_side import ChainerSide

            return ChainerSide(networks, optimizers, dtype)
    from ganspec.tools.conformance.numpy_side import NumpySide

    return NumpySide(networks, optimizers, dtype)


def framework_of(network: Any) -> str:
    """Returns: "torch", "chainer" or "numpy"; "" for anything else. No framework is imported to tell."""
    torch, chainer = sys.modules.get("torch"), sys.modules.get("chainer")
    if torch is not None and isinstance(network, torch.nn.Module):
        return "torch"
    if chainer is not None and isinstance(network, chainer.Link):
        return "chainer"
    if isinstance(network, dict) and all(isinstance(a, np.ndarray) for a in network.values()):
        return "numpy"
    return ""
