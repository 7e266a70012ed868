"""The rows of a proof: one for each quantity of each case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Case:
    """How both are run.

    Args:
        dtype: "float64" or "float32".
        training: whether in training mode.
        parameters: "given", those of the snapshot or of his constructor; or "random", all drawn afresh.
        batch: number of samples.
        scale: factor of the sizes of images, 1 for those that were traced.
        more: rows and columns that images have beyond that.
        seed: seed of inputs and draws.
        call: which call of one instance, from 1.
    """

    dtype: str
    training: bool
    parameters: str
    batch: int
    scale: Fraction = Fraction(1)
    more: int = 0
    seed: int = 0
    call: int = 1

    @property
    def mode(self) -> str:
        return "training" if self.training else "inference"

    def __str__(self) -> str:
        size = "" if self.scale == 1 else f", images {float(self.scale):g} times as large"
        size += f", images larger by {self.more}" if self.more else ""
        call = "" if self.call == 1 else f", call {self.call}"
        return f"{self.dtype}, {self.mode}, {self.parameters} parameters, batch of {self.batch}{size}, seed {self.seed}{call}"


@dataclass(frozen=True)
class Row:
    """One quantity of one case.

    Args:
        case: how both were run.
        kind: "output", "parameter gradient", "input gradient", "second order", "statistic", "state"; "draws", "arrays" or "run"
            where the port could not be run.
        name: path of the output or array.
        difference: largest difference of a number.
        largest: largest number, by its absolute value.
        allowed: largest difference with which both agree.
        agrees: whether it is within that.
        note: what else is to be said: why they cannot agree, or how the allowance came about.
    """

    case: Case
    kind: str
    name: str
    difference: float
    largest: float
    allowed: float
    agrees: bool
    note: str = ""

    @property
    def ratio(self) -> float:
        """Difference as a share of what is allowed."""
        if self.difference == 0.0 and self.agrees:
            return 0.0
        return self.difference / self.allowed if self.allowed > 0 else math.inf

    @property
    def relative(self) -> float:
        """Difference as a share of the largest number."""
        if self.difference == 0.0:
            return 0.0
        return self.difference / self.largest if self.largest > 0 else math.inf


@dataclass
class Compared:
    """What a case found.

    Args:
        rows: a row for each quantity.
        unjudged: (kind, name, why) of what says nothing here.
    """

    rows: list[Row] = field(default_factory=list)
    unjudged: list[tuple[str, str, str]] = field(default_factory=list)


def failures(rows: Sequence[Row]) -> Iterator[Row]:
    """Yields: the rows that do not agree, the worst first."""
    yield from sorted((row for row in rows if not row.agrees), key=lambda row: -row.ratio)
