"""Changing code for a while: what is changed is put back, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any


class Patch:
    """Remembers what was there before each change.

    Args:
        reached: number of times that wrong code was run, as far as it says so with `reach`.
    """

    def __init__(self) -> None:
        self.reached = 0
        self._undo: list[Callable[[], None]] = []

    def setattr(self, owner: Any, name: str, value: Any) -> None:
        """Give a class or a module another attribute in place of the one that it has."""
        own = vars(owner)
        before = own.get(name)
        inherited = name not in own
        getattr(owner, name)  # an attribute that is not there cannot be replaced: then the mutant is out of date
        self._undo.append(lambda: delattr(owner, name) if inherited else setattr(owner, name, before))
        setattr(owner, name, value)

    def setitem(self, table: MutableMapping[str, Any], key: str, value: Any) -> None:
        """Give a table another entry in place of the one that it has."""
        before = table[key]
        self._undo.append(lambda: table.__setitem__(key, before))
        table[key] = value

    def reach(self) -> None:
        """Say that wrong code runs."""
        self.reached += 1

    def undo(self) -> None:
        """Put back everything, the last change first."""
        while self._undo:
            self._undo.pop()()


@contextmanager
def patched() -> Iterator[Patch]:
    """A patch that is undone at the end of the block, also where the block ends with an exception."""
    patch = Patch()
    try:
        yield patch
    finally:
        patch.undo()
