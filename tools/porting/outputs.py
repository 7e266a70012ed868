"""What a model returns, taken apart: tuples, lists, dictionaries and distributions become leaves with a path.

The same code takes apart what Chainer and what PyTorch return, so it imports neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

MAX_DEPTH = 16  # of nested outputs
# Parameters of distributions, as Chainer and as PyTorch call them, and how they are called here.
_OF_DISTRIBUTIONS = {
    "loc": "loc", "scale": "scale", "scale_tril": "scale_tril", "logit": "logit", "logits": "logit",
    "low": "low", "high": "high", "concentration": "concentration", "rate": "rate", "lam": "rate",
}  # fmt: skip
_PLAIN = (int, float, str, bool, type(None), np.generic)


class OutputError(Exception):
    """An output that cannot be compared."""


def leaves(value: Any, path: str = "output", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Take a returned value apart.

    Args:
        value: what a model returned.
        path: how the whole is called.
        depth: how deep it lies.

    Yields: path, such as "output[0].loc", and leaf: an array, variable, tensor, number, text or None.

    Raises:
        OutputError: it holds an object of another kind.
    """
    if depth > MAX_DEPTH:
        raise OutputError(f"{path} is nested deeper than {MAX_DEPTH}")
    if isinstance(value, _PLAIN) or is_array(value):
        yield path, value
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from leaves(value[key], f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, (tuple, list)):
        for i, each in enumerate(value):
            yield from leaves(each, f"{path}[{i}]", depth + 1)
    elif type(value).__name__ == "Independent":  # in Chainer `distribution` is what it holds, in PyTorch `base_dist`
        inside = value.distribution if hasattr(value, "distribution") else value.base_dist
        yield from leaves(inside, path, depth + 1)
    elif any(base.__name__ == "Distribution" for base in type(value).__mro__):
        found = {ours: getattr(value, own, None) for own, ours in _OF_DISTRIBUTIONS.items() if _has(value, own)}
        if not found:
            raise OutputError(f"{path} is a distribution {type(value).__name__}, whose parameters are not known")
        for name, each in sorted(found.items()):
            yield from leaves(each, f"{path}.{name}", depth + 1)
    else:
        raise OutputError(
            f"{path} is an object of {type(value).__name__}; return arrays, tuples, lists or dictionaries of them"
        )


def is_array(value: Any) -> bool:
    """Returns: whether a value is an array of NumPy, a variable of Chainer or a tensor of PyTorch."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic | type | ModuleType)


def _has(value: Any, name: str) -> bool:
    try:
        return getattr(value, name, None) is not None
    except NotImplementedError:
        return False
