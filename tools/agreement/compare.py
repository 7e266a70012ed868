"""Comparing two traces: how, and within which bounds.

Two float64 traces are compared normwise and must agree within `BOUNDS`; a float32 trace is judged by its distance from float64,
which may be `FLOAT32_FACTOR` times that of PyTorch's own float32.
"""

from __future__ import annotations

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
        kind: of quantity.
        compared: how many quantities were.
        worst: the largest relative difference; infinite where shapes or dtypes differ or a value is not finite.
        where: the name of that quantity.
        bound: what it may be.
    """

    kind: str
    compared: int
    worst: float
    where: str
    bound: float

    @property
    def agrees(self) -> bool:
        return self.worst <= self.bound  # False for NaN


def compare(ours: Trace, theirs: Trace) -> list[Finding]:
    """Returns: the worst place of each kind between two float64 traces, with its bound."""
    return [_worst(kind, _differences(kind, ours, theirs), BOUNDS[kind]) for kind in BOUNDS if _has(kind, ours, theirs)]


def compare_float32(judge: Trace, reference: Trace, judged: Trace) -> list[Finding]:
    """Judge a float32 trace by its distance from a float64 one.

    Args:
        judge: PyTorch's float64.
        reference: PyTorch's float32, whose own distance sets the bound.
        judged: the float32 trace in question.
    """
    findings = []
    for kind in BOUNDS:
        if _has(kind, judge, judged):
            own = max((d for _, d in _differences(kind, _as_float64(judge), _as_float64(reference))), default=0.0)
            bound = FLOAT32_FACTOR * max(own, FLOAT32_FLOOR)
            findings.append(_worst(kind, _differences(kind, _as_float64(judge), _as_float64(judged)), bound))
    return findings


def relative_difference(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> float:
    """Returns: ||a - b|| / max(||a||, ||b||, scale); infinite where they cannot be compared, 0 where both are 0.

    Shapes and dtypes must be equal, and every value finite: NaN agrees with nothing.
    """
    if a.shape != b.shape or a.dtype != b.dtype or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    largest = max(norm(a), norm(b), scale)
    return norm(a.astype(np.float64) - b.astype(np.float64)) / largest if largest else 0.0


def _has(kind: str, *traces: Trace) -> bool:
    return any(kind in t.values for t in traces)


def _differences(kind: str, a: Trace, b: Trace) -> list[tuple[str, float]]:
    left, right = a.values.get(kind, {}), b.values.get(kind, {})
    found = []
    for name in dict.fromkeys([*left, *right]):
        if name in left and name in right:
            found.append((name, relative_difference(left[name], right[name], a.scale[kind, name])))
        else:
            found.append((name, float("inf")))
    return found


def _worst(kind: str, differences: list[tuple[str, float]], bound: float) -> Finding:
    where, worst = max(differences, key=lambda item: item[1])
    return Finding(kind, len(differences), worst, where, bound)


def _as_float64(given: Trace) -> Trace:
    return Trace({k: {n: a.astype(np.float64) for n, a in v.items()} for k, v in given.values.items()}, given.scale)
