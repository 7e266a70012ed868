"""What enters an iteration from the host: batches, draws, and numbers that change from one iteration to the next.

An iteration asks for each of them where it needs it. Mostly they are simply made then. But an iteration that was captured on a
device runs there without asking: what it reads must lie where it lay when it was captured. So each thing that is asked for can be
listed as a `Slot`: who gives its values, for any iteration, and the arrays that hold them. Before the device goes through an
iteration again, every slot is filled anew, in the same order (`values_of`). Nothing else of an iteration may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.streams import Position

Array = TypeVar("Array")
Give = Callable[[Position], Mapping[str, np.ndarray]]  # values by name, for a position
GiveNumbers = Callable[[Position], Sequence[float]]
_NUMBERS = "numbers"


@dataclass
class Slot(Generic[Array]):
    """One thing that an iteration asks the host for.

    Args:
        at: position at which it was asked for; only its iteration changes.
        give: function that gives its values.
        arrays: arrays of the backend that hold them, by name; their memory stays the same.
        parts: what was handed out, where it is numbers: one array without axes each.
        staged: what a backend keeps beside them, such as memory from which a device copies by itself.
    """

    at: Position
    give: Give
    arrays: dict[str, Array]
    parts: tuple[Any, ...] = ()
    staged: dict[Any, Any] = field(default_factory=dict)


class Inputs(Generic[Array]):
    """Hands an iteration what it asks the host for: made on the spot, made and listed, or from the slots of a list."""

    def __init__(self) -> None:
        self._list: list[Slot[Array]] | None = None
        self._filled: Iterator[Slot[Array]] | None = None

    @property
    def plain(self) -> bool:
        """Whether what is asked for is simply made."""
        return self._list is None and self._filled is None

    def arrays(self, at: Position, give: Give, make: Callable[[np.ndarray], Array]) -> dict[str, Array]:
        """Ask for arrays.

        Args:
            at: position of who asks.
            give: function of a position that gives values by name; it must read the iteration from the position alone.
            make: function that makes an array of the backend of values.

        Returns: arrays of the backend by name.
        """
        if self._filled is not None:
            return next(self._filled).arrays
        made = {name: make(values) for name, values in give(at).items()}
        if self._list is not None:
            self._list.append(Slot(at, give, made))
        return made

    def array(self, at: Position, give: Callable[[Position], np.ndarray], make: Callable[[np.ndarray], Array]) -> Array:
        """Ask for one array; as `arrays`."""
        return self.arrays(at, lambda where: {"": give(where)}, make)[""]

    def numbers(
        self,
        at: Position,
        give: GiveNumbers,
        make: Callable[[np.ndarray], Array],
        split: Callable[[Array], Sequence[Any]],
    ) -> Sequence[Any]:
        """Ask for numbers: plain ones, unless they are listed; then arrays without axes, of the dtype that `make` gives.

        Args:
            at: position of who asks.
            give: function of a position that gives the numbers; it is called once for each iteration.
            make: function that makes an array of the backend of a vector.
            split: function that gives a vector's numbers as arrays that share its memory.
        """
        if self._filled is not None:
            return next(self._filled).parts
        if self._list is None:
            return give(at)
        vector = make(np.array(give(at), dtype=np.float64))
        parts = tuple(split(vector))
        self._list.append(Slot(at, lambda where: {_NUMBERS: np.array(give(where))}, {_NUMBERS: vector}, parts))
        return parts

    @contextmanager
    def listing(self, slots: list[Slot[Array]]) -> Iterator[None]:
        """While in force, what is asked for is made, and added to a list."""
        self._list = slots
        try:
            yield
        finally:
            self._list = None

    @contextmanager
    def filled(self, slots: Sequence[Slot[Array]]) -> Iterator[None]:
        """While in force, what is asked for is what the slots hold, one after the other; nobody is asked to give it.

        Raises:
            RuntimeError: an iteration asks for less than there are slots.
        """
        self._filled = iter(slots)
        try:
            yield
            if next(self._filled, None) is not None:
                raise RuntimeError("an iteration asks the host for less than the one that was listed")
        finally:
            self._filled = None


def values_of(slots: Sequence[Slot[Array]], iteration: int) -> list[Mapping[str, np.ndarray]]:
    """Returns: the values of each slot for an iteration, asked for in their order."""
    return [slot.give(replace(slot.at, iteration=iteration)) for slot in slots]


def repeats_of(system: System, iteration: int) -> tuple[int, ...]:
    """Returns: what decides which work an iteration is: the stage of growth, then how often each step repeats."""
    stage, _ = system.at(iteration)
    return (stage, *(planned.step.repeats(iteration) for planned in system.stages[stage].plan.steps))


def why_host_decides(system: System) -> str:
    """Returns: why the host must read a number before an iteration of a system can go on; empty where it need not."""
    for stage in system.stages:
        for planned in stage.plan.steps:
            if until := planned.step.until:
                name = planned.step.name
                return f"the step {name} repeats until {until.report} is {until.side} {until.value:g}, which the host reads"
    return ""
