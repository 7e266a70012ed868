"""Comparing two traces: how, and within which bounds.

Two float64 traces are compared normwise and must agree within `BOUNDS`; a float32 trace is judged by its distance from float64,
which may be `FLOAT32_FACTOR` times that of PyTorch's own float32. A quantity that is not finite agrees with nothing; where it is
not finite in both backends, training diverged in both, which is said apart: the backends need not differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ganspec.tools.agreement.trace import Trace, norm

# Relative to the quantity's own norm, in float64 (unit roundoff 1.1e-16).
BOUNDS: Mapping[str, float] = {
    "output": 1e-13,  # a few hundred roundings in each sum of products
    "loss": 1e-13,  # a mean of outputs
    "input gradient": 1e-13,  # inside a penalty: one backward pass
    "report": 1e-13,  # k and the recorded numbers: sums of losses
    "parameter gradient": 1e-12,  # sums over the batch of terms that cancel; through a penalty, two backward passes
    "statistic, 1 iteration": 1e-12,  # a mean over the batch
    "parameter, 1 iteration": 1e-12,  # Adam divides a gradient by its own size, which keeps its relative error
    "moment, 1 iteration": 1e-12,  # gradients and their squares
    "average, 1 iteration": 1e-12,  # of parameters and statistics
    "report, all iterations": 1e-11,  # training multiplies differences from step to step
    "state, all iterations": 1e-11,  # parameters, statistics and moments after the last iteration, likewise
    "sample, all iterations": 1e-11,  # G in inference, after the last iteration; against the range of images
}
FLOAT32_FACTOR = 10.0  # sums in another order err differently: up to a few times, hardly ever ten
FLOAT32_FLOOR = 6e-8  # half a unit in the last place of float32: no error is expected to be below it


@dataclass(frozen=True)
class Finding:
    """The worst place of one kind.

    Args:
        kind: kind of quantity, a key of `BOUNDS`.
        compared: number of quantities that were compared.
        worst: the largest relative difference; infinite where shapes or dtypes differ or a value is not finite.
        where: name of the quantity that has it.
        bound: the largest difference with which quantities agree.
        both_diverged: whether all that does not agree has values that are not finite in both backends.
    """

    kind: str
    compared: int
    worst: float
    where: str
    bound: float
    both_diverged: bool = False

    @property
    def agrees(self) -> bool:
        """Whether all quantities of this kind agree."""
        return self.worst <= self.bound and math.isfinite(self.worst)  # False for NaN


@dataclass(frozen=True)
class _Difference:
    """How far one quantity is from the other backend's; `diverged` where neither of the two is finite."""

    name: str
    size: float
    diverged: bool = False


def compare(ours: Trace, theirs: Trace) -> list[Finding]:
    """Compare two float64 traces.

    Args:
        ours: trace of one backend.
        theirs: trace of the other, of the same system, seed and states.

    Returns: the worst place of each kind that either has, with its bound.
    """
    return [_worst(kind, _differences(kind, ours, theirs), BOUNDS[kind]) for kind in BOUNDS if _has(kind, ours, theirs)]


def compare_float32(judge: Trace, reference: Trace, judged: Trace) -> list[Finding]:
    """Judge a float32 trace by its distance from a float64 one.

    Args:
        judge: PyTorch's float64.
        reference: PyTorch's float32, whose own distance sets the bound.
        judged: the float32 trace in question.

    Returns: the worst place of each kind that `judge` or `judged` has.
    """
    findings = []
    exact = _as_float64(judge)
    for kind in BOUNDS:
        if _has(kind, judge, judged):
            own = [d.size for d in _differences(kind, exact, _as_float64(reference)) if math.isfinite(d.size)]
            bound = FLOAT32_FACTOR * max([*own, FLOAT32_FLOOR])
            between = {d.name: d for d in _differences(kind, reference, judged)}
            differences = [
                _Difference(d.name, d.size, d.name in between and between[d.name].diverged)
                for d in _differences(kind, exact, _as_float64(judged))
            ]
            findings.append(_worst(kind, differences, bound))
    return findings


def relative_difference(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> float:
    """Measure how far two arrays are from one another: ||a - b|| / max(||a||, ||b||, scale).

    Args:
        a: array of any shape.
        b: array of the same shape and dtype.
        scale: the smallest norm by which the difference is divided.

    Returns: the relative difference; 0 where both are 0; infinite where shapes or dtypes differ or a value is not finite, because
        NaN agrees with nothing.
    """
    if a.shape != b.shape or a.dtype != b.dtype or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    largest = max(norm(a), norm(b), scale)
    return norm(a.astype(np.float64) - b.astype(np.float64)) / largest if largest else 0.0


def _has(kind: str, *traces: Trace) -> bool:
    return any(kind in t.values for t in traces)


def _differences(kind: str, a: Trace, b: Trace) -> list[_Difference]:
    left, right = a.values.get(kind, {}), b.values.get(kind, {})
    found = []
    for name in dict.fromkeys([*left, *right]):
        if name in left and name in right:
            size = relative_difference(left[name], right[name], a.scale[kind, name])
            found.append(_Difference(name, size, _both_diverged(left[name], right[name])))
        else:
            found.append(_Difference(name, math.inf))
    return found


def _both_diverged(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and not np.isfinite(a).all() and not np.isfinite(b).all()


def _worst(kind: str, differences: list[_Difference], bound: float) -> Finding:
    worst = max(differences, key=lambda difference: difference.size)
    wrong = [d for d in differences if not d.size <= bound]
    return Finding(
        kind, len(differences), worst.size, worst.name, bound, bool(wrong) and all(d.diverged for d in wrong)
    )


def _as_float64(given: Trace) -> Trace:
    return Trace({k: {n: a.astype(np.float64) for n, a in v.items()} for k, v in given.values.items()}, given.scale)
