"""One golden vector: what an implementation is given, what it must answer, and how far it may be from that.

Expected arrays of more than `2 * FOLD` numbers are kept folded: number i, in the array's order, is added to sum i mod `FOLD`.
A difference in any number moves a sum, and the files stay small. What an implementation is given is never folded.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.streams import Position, Streams

CASES = Path(__file__).resolve().parent / "cases"
FORMAT = "ganspec vectors 1"
SEED = 1
FOLD = 13  # prime, so that numbers that change places, in images of any usual size, change sums too
# An answer may be a thousand times as far away as one rounding of all that is given moves it: other orders of summation and
# other algorithms for a convolution cost tens of roundings, a mistake costs millions.
ROUNDINGS = 1000.0
# And at least this share of the array's own norm, where rounding what is given moves it less than computing it does.
LEAST = 1e-12
# And this share of the norm of all arrays of its group, such as the whole gradient of a network: a number that is nothing but
# rounding, such as the gradient of a bias before a batch norm, has the size of the roundings of its neighbours.
LEAST_OF_GROUP = 1e-13
PERTURBATIONS = 3  # roundings of what is given that are tried
LEAST_SLOPE = 1e-11  # of the norm of a gradient along which the reference differentiates

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A golden vector without its answers.

    Args:
        id: name that is never given to another case: "layer/conv/asymmetric_padding".
        title: what it is a vector of, in one line.
        source: where the definition comes from.
        facts: what is known besides arrays: a layer's settings, an optimiser's numbers, the description of a system.
        given: arrays by name.
        fixed: those that are not rounded to see what that moves: at a kink, a tie or a bound any rounding changes the answer.
        answers: what PyTorch computed when the case was made, where making it takes that; None elsewhere, and of what was read.
    """

    id: str
    title: str
    source: str
    facts: Mapping[str, Any]
    given: Mapping[str, np.ndarray]
    fixed: frozenset[str] = frozenset()
    answers: Arrays | None = None

    @property
    def kind(self) -> str:
        """The kind of case, which is also the name of the function that answers it."""
        return self.id.partition("/")[0]


@dataclass(frozen=True)
class Slope:
    """The derivative of a number along a direction, twice.

    Args:
        said: as the reference says it.
        expected: as the expected gradients make it.
        gradient: norm of these gradients.
        direction: norm of the direction.
    """

    said: float
    expected: float
    gradient: float
    direction: float


@dataclass(frozen=True)
class Witness:
    """What the reference says of a case: some arrays, and instead of gradients, slopes along a direction.

    Args:
        arrays: arrays by the names of expected ones.
        slopes: slopes by the part of a name that the gradients share, such as "0.0.0/gradients/D".
    """

    arrays: Arrays
    slopes: Mapping[str, Slope]


@dataclass(frozen=True)
class Expected:
    """An expected array as it is kept.

    Args:
        shape: shape of the array.
        values: the array itself, or its `FOLD` sums.
        within: largest norm of a difference from `values`.
    """

    shape: tuple[int, ...]
    values: np.ndarray
    within: float

    @property
    def is_folded(self) -> bool:
        return is_folded(self.shape)

    def distance(self, found: np.ndarray) -> float:
        """Returns: the norm of the difference of an array of this shape; infinite where a value is not finite."""
        with np.errstate(all="ignore"):
            distance = float(np.linalg.norm((folded(found) - self.values).ravel()))
        return distance if math.isfinite(distance) else math.inf


def case_table(name: str) -> list[dict[str, Any]]:
    """Returns: the entries of a file of cases, `cases/NAME.toml`."""
    entries: list[dict[str, Any]] = tomllib.loads((CASES / f"{name}.toml").read_text("utf-8"))["cases"]
    return entries


def is_folded(shape: Sequence[int]) -> bool:
    """Returns: whether an array of this shape is kept folded."""
    return math.prod(shape) > 2 * FOLD


def folded_size(shape: Sequence[int]) -> int:
    """Returns: how many numbers are kept of an array."""
    return FOLD if is_folded(shape) else math.prod(shape)


def folded(array: np.ndarray) -> np.ndarray:
    """Returns: the array as it is kept, float64: itself, or where it has more than `2 * FOLD` numbers, its `FOLD` sums."""
    array = np.asarray(array, np.float64)
    if not is_folded(array.shape):
        return array
    return np.pad(array.ravel(), (0, -array.size % FOLD)).reshape(-1, FOLD).sum(axis=0)


def drawn(case: str, name: str, shape: tuple[int, ...], distribution: Distribution | None = None) -> np.ndarray:
    """Returns: random numbers for an array of a case, float64; from N(0, 1) unless a distribution is given."""
    own = distribution or Distribution("normal", 0.0, 1.0)
    return Streams(SEED).sample(own, f"vectors/{case}/{name}", Position(), shape)


def rounded_once(case: Case, seed: int) -> Arrays:
    """Returns: what is given, each number off by one rounding, up or down at random; whole numbers and masks stay."""
    generator = np.random.default_rng(seed)
    moved = {name for name, a in case.given.items() if a.dtype.kind == "f"} - case.fixed
    return {
        name: a * (1.0 + generator.choice([-1.0, 1.0], a.shape) * 2.0**-52) if name in moved else a
        for name, a in case.given.items()
    }


def as_float32(array: np.ndarray) -> np.ndarray:
    """Returns: the array, float64, its numbers rounded so that float32 holds them, which makes files smaller."""
    return array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else array


def slope(said: float, gradients: Mapping[str, np.ndarray], direction: Mapping[str, np.ndarray]) -> Slope:
    """Returns: a slope of the reference beside that of gradients along a direction."""
    along = sum(float((g * direction[name]).sum()) for name, g in gradients.items())
    sizes = (math.hypot(*(float(np.linalg.norm(a[n].ravel())) for n in gradients)) for a in (gradients, direction))
    return Slope(said, along, *sizes)


def group_of(name: str) -> str:
    """Returns: the group of an array: its name as far as the network, of moments as far as the moment, "0.0.0/gradients/D"."""
    parts = name.split("/")
    length = 3 + (parts[0] == "state") + ("moments" in parts)
    return "/".join(parts[:length])


def allowances(exact: Mapping[str, np.ndarray], moved: list[Arrays]) -> dict[str, float]:
    """Say how far each answer may be from the expected one.

    Args:
        exact: expected arrays, folded.
        moved: the same, computed from what is given, rounded once.

    Returns: norm of the largest difference, a power of ten, by name.
    """
    groups: dict[str, float] = {}
    for name, array in exact.items():
        groups[group_of(name)] = math.hypot(groups.get(group_of(name), 0.0), float(np.linalg.norm(array)))
    found = {}
    for name, array in exact.items():
        movement = max(float(np.linalg.norm((other[name] - array).ravel())) for other in moved)
        least = max(LEAST * float(np.linalg.norm(array)), LEAST_OF_GROUP * groups[group_of(name)], 1e-18)
        found[name] = 10.0 ** math.ceil(math.log10(max(ROUNDINGS * movement, least)))
    return found
