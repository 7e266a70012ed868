"""Schedules of learning rates: by how much a learning rate is multiplied in an iteration.

    rate in iteration i = learning_rate * warmup(i) * curve(i),  i from 0

Both factors depend on the number of the iteration alone, not on the number of updates of a network. So a schedule has no state: a
run that is resumed goes on where it was. `learning_rate` is that of the training state, which a watched decay may have shrunk
(`settings.Decay`), so that both compose as a product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Protocol

from ganspec.spec.text.tables import MAX_SIZE, Table

MAX_MILESTONES = 100  # iterations in a list `at`


class Curve(Protocol):
    """How a learning rate goes on, without the warm-up."""

    kind: ClassVar[str]

    def factor(self, iteration: int) -> float:
        """Returns: what the learning rate is multiplied by in an iteration, counted from 0."""


@dataclass(frozen=True)
class Constant:
    """curve(i) = 1."""

    kind: ClassVar[str] = "constant"

    def factor(self, iteration: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Linear:
    """A straight line from 1 to `to`, which stays there.

        curve(i) = 1 + (to - 1) * p,  p = clip((i - after) / over, 0, 1)

    Args:
        after: iteration up to which the factor is 1.
        over: number of iterations from there to `to`.
        to: the factor at the end, and from then on.
    """

    after: int
    over: int
    to: float
    kind: ClassVar[str] = "linear"

    def factor(self, iteration: int) -> float:
        return 1.0 + (self.to - 1.0) * _part(iteration, self.after, self.over)


@dataclass(frozen=True)
class Cosine:
    """Half a wave of a cosine from 1 to `to`, which stays there (Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5).

        curve(i) = to + (1 - to) * (1 + cos(pi * p)) / 2,  p = clip((i - after) / over, 0, 1)

    The paper starts again after each such run ("warm restarts"); here there is one run.

    Args:
        after, over, to: as for `Linear`.
    """

    after: int
    over: int
    to: float
    kind: ClassVar[str] = "cosine"

    def factor(self, iteration: int) -> float:
        part = _part(iteration, self.after, self.over)
        return self.to + (1.0 - self.to) * (1.0 + math.cos(math.pi * part)) / 2.0


@dataclass(frozen=True)
class Step:
    """A factor at certain iterations, each on top of those before, without end.

        every:  curve(i) = factor ^ floor(i / every)
        at:     curve(i) = factor ^ (the number of entries of `at` that are at most i)

    Args:
        by: the factor, from 0 to 1.
        every: number of iterations between two steps; 0 where `at` lists them.
        at: the iterations of the steps, increasing; empty where `every` says them.
    """

    by: float
    every: int
    at: tuple[int, ...]
    kind: ClassVar[str] = "step"

    def factor(self, iteration: int) -> float:
        steps = iteration // self.every if self.every else sum(start <= iteration for start in self.at)
        return self.by**steps


@dataclass(frozen=True)
class Warmup:
    """Learning rates grow at the beginning, by equal amounts (Goyal et al. 2017, arXiv:1706.02677, section 2.2).

        warmup(i) = start + (1 - start) * min(i / iterations, 1)

    Args:
        iterations: number of iterations until the factor is 1.
        start: factor of the first iteration.
    """

    iterations: int
    start: float

    def factor(self, iteration: int) -> float:
        """Returns: what the learning rate is multiplied by in an iteration, counted from 0."""
        return self.start + (1.0 - self.start) * min(iteration / self.iterations, 1.0)


@dataclass(frozen=True)
class LearningRateSchedule:
    """By how much a network's learning rate is multiplied in each iteration.

    Args:
        curve: how the learning rate goes on.
        warmup: how it begins, on top of that; None where it begins at once.
    """

    curve: Curve
    warmup: Warmup | None

    def factor(self, iteration: int) -> float:
        """Returns: warmup(i) * curve(i) for an iteration i, counted from 0."""
        return (self.warmup.factor(iteration) if self.warmup else 1.0) * self.curve.factor(iteration)

    def as_data(self) -> dict[str, Any]:
        """Returns: the schedule as a dictionary of texts, numbers and lists, by the keys of the language."""
        match self.curve:
            case Step(by, every, at):
                curve: dict[str, Any] = {"factor": by} | ({"every": every} if every else {"at": list(at)})
            case _:
                curve = vars(self.curve)
        warmup = {"iterations": self.warmup.iterations, "from": self.warmup.start} if self.warmup else None
        return {"kind": self.curve.kind, **curve} | ({"warmup": warmup} if warmup else {})

    def __str__(self) -> str:
        match self.curve:
            case Linear(after, over, to) | Cosine(after, over, to):
                shape = "a straight line" if self.curve.kind == "linear" else "half a cosine"
                text = f"learning rate times {shape} from 1 to {to:g}, from iteration {after:,} to {after + over:,}"
            case Step(by, every, at):
                when = f"every {every:,} iterations" if every else f"at iterations {', '.join(f'{i:,}' for i in at)}"
                text = f"learning rate times {by:g} {when}"
            case _:
                text = "learning rate constant"
        if self.warmup:
            text += f", after a warm-up from {self.warmup.start:g} times it over {self.warmup.iterations:,} iterations"
        return text


def read_learning_rate_schedule(outer: Table) -> LearningRateSchedule | None:
    """Read the optional table `learning_rate_schedule` of an optimiser."""
    if (table := outer.optional("learning_rate_schedule", removable=True)) is None:
        return None
    kind = table.choice("kind", CURVES)
    if table.data.get("kind") != kind:
        return None  # which other keys there should be is not known
    curve, warmup = CURVES[kind](table), None
    if (own := table.optional("warmup", removable=True)) is not None:
        warmup = Warmup(own.size("iterations"), own.number("from", least=0))
        own.close()
    elif isinstance(curve, Constant) and set(table.data) <= table.read:  # or an unknown key was to be the warm-up
        table.note("", "a constant schedule without a warm-up changes nothing", "delete it, or add a table warmup")
    table.close()
    return LearningRateSchedule(curve, warmup)


def _part(iteration: int, after: int, over: int) -> float:
    return min(max(iteration - after, 0) / over, 1.0)


def _constant(table: Table) -> Curve:
    return Constant()


def _linear(table: Table) -> Curve:
    return Linear(table.size("after", 0, least=0), table.size("over"), table.number("to", least=0))


def _cosine(table: Table) -> Curve:
    return Cosine(table.size("after", 0, least=0), table.size("over"), table.number("to", least=0))


def _step(table: Table) -> Curve:
    by = table.number("factor", least=0, most=1)
    table.read |= {"every", "at"}
    if "every" in table and "at" in table:
        table.note("at", "steps come at listed iterations or every so many, not both", "delete one of 'at' and 'every'")
    if "every" not in table and "at" not in table:
        table.note("", "one of the keys 'every' and 'at' is missing")
        return Step(by, 1, ())
    if "at" not in table:
        return Step(by, table.size("every"), ())
    at = table.sizes("at", most=MAX_SIZE)
    if not at or len(at) > MAX_MILESTONES or any(a >= b for a, b in pairwise(at)):
        wanted = f"from 1 to {MAX_MILESTONES} iterations, each after the one before"
        table.note("at", f"expected {wanted}, found {list(at[:5])}{'...' * (len(at) > 5)}")
    return Step(by, 0, at)


CURVES: Mapping[str, Callable[[Table], Curve]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "step": _step,
}
