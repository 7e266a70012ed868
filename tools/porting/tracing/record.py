"""What an expression of his source was, whenever it ran."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

MOST_THINGS = 64  # different values of one expression that are kept
_PLAIN = {
    bool: "number", int: "number", float: "number", type(None): "none", str: "text", tuple: "tuple", list: "list",
    dict: "dictionary",
}  # fmt: skip
TENSORS = frozenset({"variable", "parameter", "array"})


@dataclass
class Seen:
    """What one expression was.

    Args:
        kinds: kinds of its values: "variable", "parameter", "array", "scalar" (of NumPy), "number", "text", "none", "tuple",
            "list", "dictionary", "link", "function", "class", "module" or "object".
        things: its different values, where they are no tensors, lists or dictionaries.
        ndims: numbers of axes, of tensors.
        dtypes: dtypes, of tensors and scalars, by their characters.
        elements: kinds of the elements, of lists and tuples.
        count: number of times that it ran.
    """

    kinds: set[str] = field(default_factory=set)
    things: list[Any] = field(default_factory=list)
    ndims: set[int] = field(default_factory=set)
    dtypes: set[str] = field(default_factory=set)
    elements: set[str] = field(default_factory=set)
    count: int = 0

    def add(self, value: Any) -> None:
        """Take a value in."""
        self.count += 1
        kind = kind_of(value)
        self.kinds.add(kind)
        if kind in TENSORS:
            if not isinstance(value, chainer.Variable) or value.array is not None:  # not yet initialised
                self.ndims.add(value.ndim)
                self.dtypes.add(value.dtype.char)
            if kind != "parameter":
                return
        elif kind == "scalar":
            self.dtypes.add(value.dtype.char)
        if kind in ("list", "tuple"):
            self.elements |= {kind_of(v) for v in value[:MOST_THINGS]}
        if kind not in ("list", "dictionary") and len(self.things) < MOST_THINGS and not _contains(self.things, value):
            self.things.append(value)

    @property
    def only(self) -> Any:
        """The one thing that it always was; None where it was several, or none that is kept."""
        return (
            self.things[0]
            if len(self.things) == 1 and self.kinds.isdisjoint({"list", "dictionary", "variable", "array"})
            else None
        )

    def is_all(self, *kinds: str) -> bool:
        """Returns: whether it ran, and was always of these kinds."""
        return bool(self.kinds) and self.kinds <= set(kinds)


def kind_of(value: Any) -> str:
    """Returns: the kind of a value, as `Seen.kinds` has it."""
    if plain := _PLAIN.get(type(value)):
        return plain
    match value:
        case chainer.Parameter():
            return "parameter"
        case chainer.Variable():
            return "variable"
        case np.generic():
            return "scalar"
        case chainer.Link():
            return "link"
        case types.ModuleType():
            return "module"
        case type():
            return "class"
        case bool() | int() | float():
            return "number"
        case str():
            return "text"
        case tuple():
            return "tuple"
        case list():
            return "list"
        case dict():
            return "dictionary"
        case types.FunctionType() | types.BuiltinFunctionType() | types.MethodType() | np.ufunc():
            return "function"
    if isinstance(value, np.ndarray) or type(value).__module__.startswith("cupy"):
        return "array"
    return (
        "function"
        if type(value).__name__
        in ("method-wrapper", "wrapper_descriptor", "method_descriptor", "_ArrayFunctionDispatcher")
        else "object"
    )


def _contains(things: Iterable[Any], value: Any) -> bool:
    for thing in things:
        if thing is value:
            return True
        if type(thing) is type(value) and isinstance(value, bool | int | float | str | type(None)) and thing == value:
            return True
        if type(value) is tuple and type(thing) is tuple and _plain(value) and _plain(thing) and value == thing:
            return True
    return False


def _plain(value: tuple) -> bool:
    return all(type(v) in _PLAIN and (type(v) is not tuple or _plain(v)) for v in value)


class Trace:
    """All that ran: what each expression was, which statements ran, and what each link was called with."""

    def __init__(self) -> None:
        self.seen: dict[int, Seen] = {}
        self.ran: dict[int, int] = {}
        self.ndims: dict[int, set[int]] = {}  # by the identity of a link: numbers of axes of its first input
        self.links: list[chainer.Link] = []  # kept, so that identities stay theirs
        self.wide = False  # whether float32 in his source means float64

    def saw(self, site: int, value: Any) -> Any:
        """Take in the value of an expression. Returns: the value."""
        if self.wide:
            value = widened(value)
        seen = self.seen.get(site)
        if seen is None:
            seen = self.seen[site] = Seen()
        seen.add(value)
        return value

    def passed(self, site: int) -> None:
        """Note that a statement is about to run."""
        self.ran[site] = self.ran.get(site, 0) + 1

    def called(self, link: chainer.Link, inputs: tuple) -> None:
        """Note what a link is called with."""
        if id(link) not in self.ndims:
            self.links.append(link)
            self.ndims[id(link)] = set()
        if inputs and hasattr(inputs[0], "ndim"):
            self.ndims[id(link)].add(inputs[0].ndim)


def widened(value: Any) -> Any:
    """Returns: float64 for the type float32 and its dtype, and any other value as it is."""
    if value is np.float32:
        return np.float64
    if isinstance(value, np.dtype) and value == np.float32:
        return np.dtype(np.float64)
    return value


def widened_name(value: Any) -> Any:
    """Returns: the dtype that stands where only a dtype can stand, widened: "f" and "float32" too."""
    return "float64" if isinstance(value, str) and value in ("f", "f4", "<f4", "float32", "single") else widened(value)
