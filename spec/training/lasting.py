"""Values that an iteration computes once: kept from the repeat that computes them for those that take them over."""

from __future__ import annotations

from typing import Any

from ganspec.spec.plan.sharing import Lasting
from ganspec.spec.training.streams import Position


class LastingValues:
    """The values that `spec.plan.sharing` lets a later repeat or step take over, for as long as its proof holds.

    The proof is about one iteration whose repeats follow one another. So everything is forgotten when a repeat does not come
    after the one before it in the same iteration, and when a state is loaded. Whoever changes parameters by hand between two
    repeats calls `forget`, too.
    """

    def __init__(self) -> None:
        self._values: dict[Lasting, Any] = {}
        self._at = (-1, 0, 0)

    def start_repeat(self, at: Position) -> None:
        """Forget the values, unless this repeat comes after the one before it in the same iteration."""
        new = at.iteration, at.step, at.repeat
        if new[0] != self._at[0] or new <= self._at:
            self.forget()
        self._at = new

    def forget(self) -> None:
        """Forget all values."""
        self._values.clear()

    def get(self, name: Lasting | None) -> Any:
        """Returns: a value by its name; None where there is none."""
        return self._values.get(name) if name is not None else None

    def put(self, name: Lasting, value: Any) -> None:
        """Keep a value."""
        self._values[name] = value
