"""Logarithm, sine and cosine of our own, against 50 digits of Python's decimals."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec.training import elementary

DIGITS = 50
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
STEP = 2.0**-53
# Multiples of 2^-53, of every size, and beside the places where polynomials meet.
STEPS = st.one_of(
    st.integers(0, 2**53 - 1),
    st.integers(0, 53).flatmap(lambda n: st.integers(0, 2**n - 1)),
    st.tuples(st.integers(0, 8), st.integers(-3, 3)).map(lambda at: min(max(at[0] * 2**50 + at[1], 0), 2**53 - 1)),
    st.integers(-9, 9).map(lambda n: int(math.sqrt(0.5) * 2**53) + n),
)


def sine(turn: Decimal) -> Decimal:
    """Returns: sin(2 pi turn) by Taylor's series."""
    x = 2 * PI * turn
    term, total = x, Decimal(0)
    for n in range(2, 90, 2):
        total += term
        term *= -x * x / (n * (n + 1))
    return total


def units(found: np.ndarray, right: Decimal) -> float:
    """Returns: the distance in units in the last place of the right number."""
    return float(abs(Decimal(float(found[0])) - right) / Decimal(float(np.spacing(abs(float(right))))))


@given(STEPS)
def test_log_is_right_within_2_units_in_the_last_place(steps: int) -> None:
    x = 1.0 - steps * STEP
    with localcontext(prec=DIGITS):
        assert units(elementary.log(np.array([x]), np), Decimal(x).ln()) <= 2


@given(STEPS)
def test_sine_and_cosine_are_right_within_3_units_in_the_last_place(steps: int) -> None:
    u = np.array([steps * STEP])
    with localcontext(prec=DIGITS):
        exact = Decimal(float(u[0]))
        for place, right in zip(elementary.PLACES, (sine(Decimal("0.25") - exact), sine(exact)), strict=True):
            found = elementary.sine(place(u, np))
            if abs(right) < Decimal("1e-30"):
                assert found[0] == 0
            else:
                assert units(found, right) <= 3


def test_the_numbers_of_the_ends_are_exact() -> None:
    ends = np.array([0.0, 0.25, 0.5, 0.75])
    assert elementary.sine(elementary.place_of_cosine(ends, np)).tolist() == [1, 0, -1, 0]
    assert elementary.sine(elementary.place_of_sine(ends, np)).tolist() == [0, 1, 0, -1]
    assert elementary.log(np.array([1.0, 0.5, 2.0**-53]), np).tolist() == [0, math.log(0.5), math.log(2.0**-53)]
