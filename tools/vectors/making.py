"""Making golden vectors: every case, what PyTorch answers in float64, and whether Chainer and the reference say the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from ganspec.tools.errors import UserError
from ganspec.tools.vectors import functions, layers, optimizers, systems
from ganspec.tools.vectors.case import (
    LEAST_SLOPE,
    PERTURBATIONS,
    Arrays,
    Case,
    Expected,
    Witness,
    allowances,
    folded,
    rounded_once,
)

SOURCE_BACKEND, SECOND_BACKEND = "torch", "chainer"
CLOSER = 10.0  # the witnesses agree so many times closer than an answer must


@dataclass(frozen=True)
class Kind:
    """A kind of case.

    Args:
        cases: makes its cases.
        compute: function of a backend's name, a case and its arrays (or others of their names) that gives the answers.
        refer: function of a case and its answers that asks the reference.
    """

    cases: Callable[[], list[Case]]
    compute: Callable[[str, Case, Mapping[str, np.ndarray]], Arrays]
    refer: Callable[[Case, Mapping[str, np.ndarray]], Witness]


KINDS = {
    layers.KIND: Kind(layers.cases, layers.compute, layers.refer),
    functions.KIND: Kind(functions.cases, functions.compute, functions.refer),
    optimizers.KIND: Kind(optimizers.cases, optimizers.compute, optimizers.refer),
    systems.LOSS: Kind(systems.losses, systems.compute, systems.refer),
    systems.SYSTEM: Kind(systems.systems, systems.compute, systems.refer),
}


@dataclass(frozen=True)
class Vector:
    """A golden vector: a case, and its answers by name in the order in which they are computed."""

    case: Case
    expected: Mapping[str, Expected]


def all_cases() -> list[Case]:
    """Returns: every case there should be."""
    return [case for kind in KINDS.values() for case in kind.cases()]


def answers(backend: str, case: Case, given: Mapping[str, np.ndarray] | None = None) -> Arrays:
    """Returns: what a backend computes of a case, or of other arrays of the same names."""
    if backend == SOURCE_BACKEND and given is None and case.answers is not None:
        return case.answers
    with np.errstate(all="ignore"):  # points far out overflow on the way to a right answer
        return KINDS[case.kind].compute(backend, case, case.given if given is None else given)


def make(case: Case) -> tuple[Vector, Arrays]:
    """Returns: a vector, and its answers unfolded."""
    exact = answers(SOURCE_BACKEND, case)
    kept = {name: folded(array) for name, array in exact.items()}
    moved = []
    for seed in range(PERTURBATIONS):
        other = answers(SOURCE_BACKEND, case, rounded_once(case, seed))
        moved.append({name: folded(array) for name, array in other.items()})
    within = allowances(kept, moved)
    expected = {name: Expected(exact[name].shape, kept[name], within[name]) for name in kept}
    return Vector(case, expected), exact


def confirm(vector: Vector, exact: Mapping[str, np.ndarray]) -> list[str]:
    """Ask the second backend and the reference.

    Args:
        vector: the vector.
        exact: its answers, unfolded.

    Returns: a line for each answer on which they do not agree closely; none where all do.
    """
    case = vector.case
    found = list(disagreements(vector, answers(SECOND_BACKEND, case), SECOND_BACKEND))
    with np.errstate(all="ignore"):
        witness = KINDS[case.kind].refer(case, exact)
    found += disagreements(vector, witness.arrays, "reference")
    for name, slope in witness.slopes.items():
        rounding = sum(e.within for own, e in vector.expected.items() if own.startswith(f"{name}/"))
        bound = slope.direction * (LEAST_SLOPE * slope.gradient + rounding)
        if not abs(slope.said - slope.expected) <= bound:  # also where one is not finite
            found.append(f"{case.id}: {name}: the slope is {slope.expected!r}, the reference says {slope.said!r}")
    return found


def disagreements(vector: Vector, found: Mapping[str, np.ndarray], who: str) -> Iterator[str]:
    """Yields: a line for each array that is farther from the expected one than `CLOSER` than allowed."""
    for name, array in found.items():
        expected = vector.expected[name]
        if array.shape != expected.shape:
            yield f"{vector.case.id}: {name}: {who} gives the shape {list(array.shape)}, not {list(expected.shape)}"
        elif not expected.distance(array) <= expected.within / CLOSER:
            distance, bound = expected.distance(array), expected.within / CLOSER
            yield f"{vector.case.id}: {name}: {who} is {distance:.1e} away, at most {bound:.0e} is allowed"


def make_all(chosen: str = "*", progress: Callable[[str], None] = lambda text: None) -> list[Vector]:
    """Make every vector, and have each confirmed.

    Args:
        chosen: pattern of ids, such as "layer/*".
        progress: function that is told the id of each case before it is made.

    Returns: the vectors.

    Raises:
        UserError: the backends and the reference do not agree; the message lists where.
    """
    made, wrong = [], []
    for case in select(all_cases(), chosen):
        progress(case.id)
        vector, exact = make(case)
        wrong += confirm(vector, exact)
        not_finite = [name for name, e in vector.expected.items() if not math.isfinite(float(abs(e.values).sum()))]
        wrong += [f"{case.id}: {name}: is not finite" for name in not_finite]
        made.append(vector)
    if wrong:
        raise UserError("nothing is written, because the witnesses do not agree:\n  " + "\n  ".join(wrong[:20]))
    return made


def select(cases: Iterable[Case], chosen: str) -> list[Case]:
    """Returns: the cases whose id fits a pattern."""
    return [case for case in cases if fnmatchcase(case.id, chosen)]
