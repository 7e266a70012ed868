"""How far witnesses may be apart: the constants, each with its reason, and the allowance that they make.

    allowance = ROUNDINGS[kind] (u ||q|| + s sqrt(n)) + FACTOR moved

q is the quantity, of n numbers; u the unit roundoff of the dtype and s its smallest number; and `moved` how far q moves when all
that is given and computed is moved by one rounding (`rounding`): so a quantity is asked for as much agreement as it can have. A
sum whose terms cancel, a bias before batch norm whose gradient is rounding and nothing else, an update that divides by such a
gradient, a run that grows apart: all show in `moved`, and need no rule of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

# Roundings that a quantity may have of its own, beyond those that it was given.
ROUNDINGS: Mapping[str, float] = {
    "initial": 1.0,  # the same numbers, rounded to the dtype
    "schedule": 0.0,  # which step comes next
    "draw": 0.0,  # the same numbers, bit for bit, but for what `moved` allows
    "layer": 32.0,  # sums of products, in another order
    "value": 32.0,  # sums over a batch, likewise
    "input gradient": 32.0,  # one backward pass
    "loss": 32.0,  # a mean of outputs
    "report": 32.0,  # sums of losses
    "statistic": 32.0,  # a mean over the batch
    "layer gradient": 64.0,  # one backward pass; through a penalty, two
    "parameter gradient": 64.0,  # likewise, and a sum over the batch
    "slope": 64.0,  # a product of the gradient with a direction
    "moment": 64.0,  # of gradients and their squares
    "parameter": 32.0,  # the step is small beside the parameter
    "carried": 32.0,  # as reports
    "average": 32.0,  # of parameters and statistics
    "report, all iterations": 64.0,  # training multiplies differences; `moved` says by how much
    "state, all iterations": 64.0,
    "sample, all iterations": 64.0,
}
# The movement is measured a few times, in random directions; another order of sums errs in its own, in each of many sums.
FACTOR = 40.0
LEAST_SQUARE = 1e-280  # below it, squares lose digits


def allowance(kind: str, dtype: str, value: np.ndarray, moved: float) -> float:
    """Returns: the largest error, a Euclidean norm, with which witnesses agree.

    Args:
        kind: kind of quantity, a key of `ROUNDINGS`.
        dtype: the precision in which they compute.
        value: the quantity.
        moved: how far one rounding moves it.
    """
    u, least = np.finfo(dtype).eps / 2, np.finfo(dtype).smallest_subnormal
    own = float(u) * norm(value) + float(least) * math.sqrt(value.size)
    return ROUNDINGS[kind] * own + FACTOR * moved


def norm(a: np.ndarray) -> float:
    """Returns: the Euclidean norm of all values of an array, computed in float64."""
    vector = a.astype(np.float64, copy=False).ravel()
    square = float(
        np.einsum("i,i->", vector, vector)
    )  # not by BLAS, whose threads wait for one another on a busy machine
    if LEAST_SQUARE < square < math.inf:
        return math.sqrt(square)
    largest = float(np.abs(vector).max(initial=0.0))  # the squares of such numbers are 0, or infinite, or they are NaN
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(vector / largest))
