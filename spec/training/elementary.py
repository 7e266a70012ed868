"""Logarithm, sine and cosine such that every library of arrays and every device computes the same bits.

A library's own log and sin differ from another's, and from one processor to the next, in the last place. These are made of
operations that IEEE 754 defines to the last bit: sums, products and quotients, each rounded by itself. NumPy, CuPy and PyTorch
evaluate each operator on arrays by itself, so no product and sum are rounded as one.

Each function takes the library as `xp`: the module `numpy`, `cupy` or `torch`. Its arrays are of float64, with one dimension or
more.

The polynomials interpolate at the Chebyshev nodes of their interval; their coefficients were computed with 60 digits and are
rounded to float64. `tests/spec/test_elementary.py` compares the functions with 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Place = Callable[[Any, Any], Any]

# (2 artanh(s) / s - 2) / s^2 as a polynomial of s^2 on [0, (3 - sqrt(8))^2], constant first; relative error of log: 5e-18.
LOG = (
    0.666666666666667, 0.39999999999899505, 0.28571428625975487, 0.2222221113479508, 0.18182889125261723,
    0.15331721600556042, 0.14616449685043406,
)  # fmt: skip
# log(2) is the sum of both. The first has 40 bits, so that its product with an exponent is exact.
LN2, LN2_REST = 0.6931471805592082, 7.371002565167799e-13
# (sin(2 pi x) / x - 2 pi) / x^2 as a polynomial of x^2 on [0, 1/16], constant first; relative error of sine: 3e-17.
SINE = (
    -41.34170224039976, 81.60524927607489, -76.7058597530039, 42.058693937537186, -15.094642113811632,
    3.819936760749782, -0.717822415835364, 0.10126285905316906,
)  # fmt: skip
TWO_PI, TWO_PI_REST = 6.283185307179586, 2.4492935982947064e-16  # 2 pi is the sum of both

ROOT = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
FRACTION_BITS = 52
FRACTION = 2**FRACTION_BITS - 1
_SHIFTER, _SHIFTER_BITS = 1.5 * 2.0**52, 0x4338000000000000  # a number whose last bit counts ones, and its bits


def log(x: Any, xp: Any) -> Any:
    """Compute natural logarithms.

    x = 2^k m with m in [sqrt(1/2), sqrt(2)), and log(m) = 2 artanh(s) where s = (m - 1) / (m + 1).

    Args:
        x: positive numbers, not denormal ones.
        xp: library of the array.

    Returns: log(x), within 2 units in the last place.
    """
    k = x.view(xp.int64) - ROOT
    m = k & FRACTION
    m += ROOT
    m = m.view(xp.float64)
    # The exponent as a number: whole numbers are added to the last bits of the shifter.
    k >>= FRACTION_BITS
    k += _SHIFTER_BITS
    k = k.view(xp.float64)
    k -= _SHIFTER

    s = m - 1.0
    m += 1.0
    s /= m
    tail = _polynomial(LOG, s * s)
    tail *= s
    tail += k * LN2_REST
    s += s
    s += tail
    k *= LN2
    k += s
    return k


def sine(x: Any) -> Any:
    """Compute sin(2 pi x).

    Args:
        x: numbers in [-1/4, 1/4]: parts of a turn.

    Returns: the sines, within 3 units in the last place.
    """
    tail = _polynomial(SINE, x * x)
    tail += TWO_PI_REST
    tail *= x
    y = x * TWO_PI
    y += tail
    return y


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Returns: x times the polynomial of these coefficients, constant first, by Horner's rule."""
    y = x * coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        y += coefficient
        y *= x
    return y


def place_of_cosine(u: Any, xp: Any) -> Any:
    """Returns: x in [-1/4, 1/4] with sin(2 pi x) = cos(2 pi u), for multiples u of 2^-53 in [0, 1); exact."""
    return _folded(u - 0.5, xp)


def place_of_sine(u: Any, xp: Any) -> Any:
    """Returns: x in [-1/4, 1/4] with sin(2 pi x) = sin(2 pi u), for multiples u of 2^-53 in [0, 1); exact."""
    x = xp.abs(u - 0.25)
    x -= 0.5
    return _folded(x, xp)


def _folded(x: Any, xp: Any) -> Any:
    x = xp.abs(x)
    x -= 0.25
    return x


PLACES: tuple[Place, Place] = (place_of_cosine, place_of_sine)  # of the two numbers of a pair, in their order


def squared_radius(u: Any, xp: Any) -> Any:
    """Returns: -2 log(1 - u): the squared distance from 0 of a pair of normal numbers in the plane (Box and Muller 1958)."""
    r = log(1.0 - u, xp)
    r *= -2.0
    return r
