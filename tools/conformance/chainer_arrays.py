"""Arrays that a Chainer link keeps, and attributes replaced for a while."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute another value for a while."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def persistent(link: Any) -> dict[str, Any]:
    """Returns: the persistent values of a link and of those inside, by path."""
    found = {}
    for path, inner in link.namedlinks():
        for name in sorted(inner._persistent):
            found[f"{path}/{name}".strip("/")] = getattr(inner, name)
    return found


def place_of(link: Any, path: str) -> list[int]:
    """Returns: where an array is among those of a link, by the order in which links and arrays were given to one another."""
    places = []
    for name in path.split("/"):
        if isinstance(link, chainer.ChainList) and name.isdigit():
            places.append(int(name))
            link = link[int(name)]
        else:
            places.append(list(vars(link)).index(name))
            link = getattr(link, name)
    return places


def put_persistent(link: Any, values: Mapping[str, Any]) -> None:
    """Give a link copies of persistent values, by path."""
    for path, inner in link.namedlinks():
        for name in inner._persistent:
            key = f"{path}/{name}".strip("/")
            if key in values:
                setattr(inner, name, copy.copy(values[key]))


def switches(links: Iterable[Any]) -> Callable[[], None]:
    """Note how links stand, and Chainer's mode.

    Returns: a function that puts back whether each parameter is updated, training or inference, and whether gradients are
        recorded.
    """
    rules = [(p.update_rule, p.update_rule.enabled) for link in links for p in link.params() if p.update_rule]
    train, backprop = chainer.config.train, chainer.config.enable_backprop

    def put_back() -> None:
        for rule, enabled in rules:
            rule.enabled = enabled
        chainer.config.train, chainer.config.enable_backprop = train, backprop

    return put_back


def targets(optimizer: Any) -> list[Any]:
    """Returns: the parameters that an optimiser updates."""
    target = getattr(optimizer, "target", None)
    return [] if target is None else list(target.params())


def floating(value: Any) -> bool:
    """Returns: whether a value is an array of floating-point numbers."""
    return hasattr(value, "dtype") and value.dtype.kind == "f" and bool(np.ndim(value))
