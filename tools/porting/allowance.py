"""How far the port may be from his model, each number with its reason.

In float64 the bound of a kind of quantity is a fixed share of the quantity's largest number. In float32, and where float64 misses
its bound, what counts is how far his own model moves when its parameters, its inputs and what each of its functions gives
are moved by one rounding (`Movement`): no port can be asked for more agreement than that.

    allowance = ROUNDINGS u max|q| + FACTOR moved

with the constants of `agreement.bounds`. A gradient that is rounding and nothing else, such as that of a bias before batch norm,
is measured against the whole gradient: where both have less than the bound's share of its largest number, both are zero. Where it
is more, it is allowed what moves it, and what moves it is small beside the whole gradient.
"""

from __future__ import annotations

import numpy as np

from ganspec.tools.agreement.bounds import FACTOR, ROUNDINGS
from ganspec.tools.agreement.rounding import EPSILON, STEP

# Largest difference in float64, as a share of the quantity's largest number.
BOUNDS = {
    "output": 1e-13,  # sums of products in another order, through all layers
    "parameter gradient": 1e-12,  # backwards through all layers, and a sum over the batch
    "input gradient": 1e-12,  # likewise
    "second order": 1e-12,  # twice
    "statistic": 1e-14,  # one mean over the batch, averaged with the old
    "state": 1e-13,  # as outputs: what a call leaves in attributes
}
# Batch norm subtracts the mean of the gradient, and divides by a deviation; such a difference loses a digit.
NORMALISED = {"parameter gradient": 1e-11, "input gradient": 1e-11, "second order": 1e-11}
_KINDS = {"output": "layer", "statistic": "statistic", "state": "statistic", "input gradient": "input gradient"}
# A float64 quantity that one rounding may move farther than this, as a share of the whole of its kind, shows nothing.
MOST_MOVED = 1e-7
# Runs that are moved, each another way; in float32 his own rounding is another one.
DIRECTIONS = {"float64": 2, "float32": 1}


class Movement:
    """Moves numbers by `STEP` units in the last place, up or down at random.

    Args:
        dtype: whose last place; "float32" or "float64".
        seed: seed of the directions.
    """

    def __init__(self, dtype: str, seed: int) -> None:
        self._least = STEP * EPSILON[dtype]
        self._generator = np.random.Generator(np.random.Philox(seed))  # not one that is recorded

    def array(self, values: np.ndarray) -> np.ndarray:
        """Returns: floating-point values moved; others as they are."""
        if values.dtype.kind != "f":
            return values
        up = self._generator.integers(0, 2, values.shape, dtype=np.int8)
        return np.asarray(values * (1.0 + self._least * (2.0 * up - 1.0)))


def fixed_bound(kind: str, normalised: bool) -> float:
    """Returns: the largest difference of a kind in float64, as a share of the quantity; `normalised`: through a batch norm."""
    return NORMALISED.get(kind, BOUNDS[kind]) if normalised else BOUNDS[kind]


def derived_allowance(kind: str, dtype: str, largest: float, moved: float) -> float:
    """Returns: the largest difference that rounding explains.

    Args:
        kind: kind of quantity.
        dtype: precision in which both computed.
        largest: largest number of the quantity.
        moved: how far it moved when everything was moved by `STEP` roundings.
    """
    unit = EPSILON[dtype] / 2
    return ROUNDINGS[_KINDS.get(kind, "parameter gradient")] * unit * largest + FACTOR * moved / STEP
