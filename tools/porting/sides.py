"""His model in Chainer and the port in PyTorch, each behind a small protocol; and what one call of each gave."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


class Model(Protocol):
    """His model, or the port.

    `make` gives a new instance, a `chainer.Link` or `torch.nn.Module`, all of whose numbers have a precision. `call` calls it
    with nested inputs (variables, arrays or tensors by the names of its arguments) and returns what it returns.
    """

    def make(self, dtype: str) -> Any: ...

    def call(self, instance: Any, inputs: Mapping[str, Any], training: bool, dtype: str) -> Any: ...


class NamedArray(Protocol):
    """An array that both have.

    Its path in Chainer ("l0/W"), its key in the state dict of the port ("l0.weight"; None for what a state dict cannot hold), and
    whether it is a parameter. `names.CarriedArray` is one.
    """

    @property
    def chainer_path(self) -> str: ...

    @property
    def torch_key(self) -> str | None: ...

    @property
    def trained(self) -> bool: ...


@dataclass
class Ran:
    """What one call gave.

    Args:
        outputs: leaves of what was returned, by path: arrays, or numbers, texts and None.
        gradients: gradient of a random projection of the outputs by each parameter (its path) and input ("input z"); None where
            the outputs do not depend on it; empty where none was asked for.
        second: likewise the gradient of the square of all these gradients; None where there is none.
        why_no_second: why `second` is None, if it was asked for.
        states: arrays that are not trained, after the call, by path; numbers in plain attributes, too.
        functions: names of the functions of Chainer that ran; of PyTorch none.
        inputs: what the inputs are after the call, by name.
        parameters: what the parameters are after the call, by path.
    """

    outputs: dict[str, Any]
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)
    second: dict[str, np.ndarray | None] | None = None
    why_no_second: str = ""
    states: dict[str, Any] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    parameters: dict[str, np.ndarray] = field(default_factory=dict)


def projection(path: str, shape: tuple[int, ...], seed: int, dtype: str) -> np.ndarray:
    """Returns: the random weights by which an output is multiplied; the sum is what gradients are taken of."""
    generator = np.random.Generator(np.random.Philox([seed, zlib.crc32(path.encode())]))
    return generator.standard_normal(shape).astype(np.float32).astype(dtype)


def paths(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields: dotted path and leaf of nested inputs."""
    if isinstance(values, Mapping):
        for name, each in values.items():
            yield from paths(each, f"{path}.{name}" if path else str(name))
    elif isinstance(values, (list, tuple)):
        for i, each in enumerate(values):
            yield from paths(each, f"{path}.{i}")
    else:
        yield path, values


def first_line(error: BaseException) -> str:
    """Returns: an exception as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
