"""What a comparison found, as data: every printed, written or drawn report is made of this."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Place:
    """Where in training a quantity is computed; counts begin with 0.

    Args:
        iteration: number of the iteration.
        step: number of the step in the schedule; None for what belongs to a whole iteration.
        repeat: number of the step's repeat; None likewise.
    """

    iteration: int
    step: int | None = None
    repeat: int | None = None

    def __str__(self) -> str:
        counts = [f"iteration {self.iteration}"]
        counts += [f"step {self.step}"] * (self.step is not None) + [f"repeat {self.repeat}"] * (
            self.repeat is not None
        )
        return ", ".join(counts)


@dataclass(frozen=True)
class Quantity:
    """One array that a witness computed.

    Args:
        kind: kind of quantity, a key of the table of bounds.
        name: its name, the same for every witness: "%3 D(%2): l1", "gradient of loss_D: D/l1/W". With the place it is unique.
        place: where in training it was computed.
        value: its value.
        source: file and line of what defines it, "architectures/mlp_generator.toml:14"; empty where there is none.
        network, layer: the network and layer that it belongs to; empty where there is none.
        node: its node in the plan of the step; None where there is none.
    """

    kind: str
    name: str
    place: Place
    value: np.ndarray
    source: str = ""
    network: str = ""
    layer: str = ""
    node: int | None = None


@dataclass(frozen=True)
class Difference:
    """How far two witnesses are from one another in one quantity.

    Args:
        kind, name, place, source, network, layer, node: those of the quantity.
        pair: names of the two witnesses.
        error: Euclidean norm of the difference; infinite where shapes or dtypes differ, where one witness lacks the quantity, or
            where a value is not finite.
        size: the larger of the two norms of the quantity.
        allowance: the largest error with which they agree.
        diverged: whether neither of the two is finite: then training diverged, and the two need not differ.
        reason: what is compared where it is no number: "shape (3, 4) and (4, 3)", "only torch has it"; else empty.
    """

    kind: str
    name: str
    place: Place
    source: str
    network: str
    layer: str
    node: int | None
    pair: tuple[str, str]
    error: float
    size: float
    allowance: float
    diverged: bool = False
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the error is within the allowance; False for NaN."""
        return math.isfinite(self.error) and self.error <= self.allowance

    @property
    def ratio(self) -> float:
        """The error as a share of what is allowed: 0 to 1 where they agree."""
        return self.error / self.allowance if self.allowance else (0.0 if self.error == 0 else math.inf)


@dataclass(frozen=True)
class Row:
    """All quantities of one kind, for one pair of witnesses.

    Args:
        kind: kind of quantity.
        pair: names of the two witnesses.
        compared: number of quantities that were compared.
        wrong: number of those that do not agree.
        worst: the difference with the largest ratio.
    """

    kind: str
    pair: tuple[str, str]
    compared: int
    wrong: int
    worst: Difference


@dataclass(frozen=True)
class Divergence:
    """The first quantity, in the order of evaluation, in which two witnesses disagree.

    Args:
        difference: which quantity, where, how far.
        odd: the witness that is alone, where the others agree with one another; empty where that cannot be said.
        values: the first few values at which they differ, as lines for people.
        guess: the probable cause, which was recomputed and gives what was found; empty where none is recognised.
    """

    difference: Difference
    odd: str
    values: tuple[str, ...]
    guess: str


@dataclass(frozen=True)
class Point:
    """One point of a divergence curve: how far a pair is apart in one recorded number at one iteration."""

    iteration: int
    error: float
    allowance: float


@dataclass(frozen=True)
class Comparison:
    """What was found on one system.

    Args:
        system: name of the system.
        witnesses: names of those that were compared, such as ("torch", "chainer", "reference").
        dtype, device, seed, iterations, batch: how they were run.
        reduced: whether the system was run at its reduced sizes.
        rows: for each kind and pair, the worst place.
        first: the first divergence; None where all agree.
        curves: for each recorded number and pair ("loss_D", ("torch", "chainer")) its distance over the iterations of the run.
        samples: for each witness a few images that its trained G makes, (N, channels, height, width), in `image_range`.
        image_range: least and largest value of an image.
        bundle: path of the folder that replays the divergence; empty where none was written.
        seconds: time that the comparison took.
    """

    system: str
    witnesses: tuple[str, ...]
    dtype: str
    device: str
    seed: int
    iterations: int
    batch: int
    reduced: bool
    rows: tuple[Row, ...]
    first: Divergence | None = None
    curves: Mapping[tuple[str, tuple[str, str]], tuple[Point, ...]] = field(default_factory=dict)
    samples: Mapping[str, np.ndarray] = field(default_factory=dict)
    image_range: tuple[float, float] = (-1.0, 1.0)
    bundle: str = ""
    seconds: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether every quantity agrees, and there is at least one."""
        return bool(self.rows) and all(row.wrong == 0 for row in self.rows)

    @property
    def diverged(self) -> bool:
        """Whether what does not agree is not finite in both of a pair, everywhere: training diverged in all."""
        wrong = [row for row in self.rows if row.wrong]
        return bool(wrong) and all(row.worst.diverged for row in wrong)


@dataclass(frozen=True)
class Report:
    """The comparisons of one run of a program.

    Args:
        comparisons: one for each system.
        versions: version of Python and of each library, by name.
    """

    comparisons: tuple[Comparison, ...]
    versions: Mapping[str, str]

    @property
    def agrees(self) -> bool:
        """Whether all systems agree, and there is at least one."""
        return bool(self.comparisons) and all(c.agrees for c in self.comparisons)
