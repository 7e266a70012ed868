"""The words of the random streams by operations on arrays: Philox 4x64-10 for a device, whatever its library.

Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3 (Philox 4x64, 10 rounds).
NumPy's `Philox`, from which `streams` takes the same words on the host, counts before it computes: its first block is that of
the counter plus one.

Words are int64 with the bits of the unsigned word, because PyTorch computes with no unsigned ones: sums and products wrap
around, and a shift to the right is followed by a mask. No value is looked at on the host, so a CUDA graph can hold all of it.
"""

from __future__ import annotations

from typing import Any

ROUNDS = 10
# Multipliers, and what is added to each half of the key after a round: the paper's, from the golden ratio and sqrt(3) - 1.
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_WORD = 2**64 - 1
_HALF = 2**32 - 1


def block(key: int, counter: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Encipher counters.

    Args:
        key: 128-bit key.
        counter: the four words of each counter, lowest first: int64 arrays of one dimension whose sizes are equal or 1.

    Returns: four random words for each counter, likewise.
    """
    x0, x1, x2, x3 = counter
    keys = [key & _WORD, key >> 64]
    for _ in range(ROUNDS):
        (high0, low0), (high1, low1) = _product(x0, MULTIPLIERS[0]), _product(x2, MULTIPLIERS[1])
        x0, x2 = high1 ^ x1 ^ signed(keys[0]), high0 ^ x3 ^ signed(keys[1])
        x1, x3 = low1, low0
        keys = [(k + step) & _WORD for k, step in zip(keys, KEY_STEPS, strict=True)]
    return x0, x1, x2, x3


def signed(word: int) -> int:
    """Returns: the number from -2^63 to 2^63 - 1 that has the bits of an unsigned 64-bit word."""
    return word - 2**64 if word >> 63 else word


def _product(x: Any, multiplier: int) -> tuple[Any, Any]:
    """Returns: the upper and the lower 64 bits of unsigned products, from products of 32-bit halves."""
    low, high = x & _HALF, _upper(x >> 32)
    multiplier_low, multiplier_high = multiplier & _HALF, multiplier >> 32
    carried = low * multiplier_low
    carried >>= 32
    middle = high * multiplier_low
    middle += _upper(carried)
    low *= multiplier_high
    low += middle & _HALF
    middle >>= 32
    low >>= 32
    high *= multiplier_high
    high += _upper(middle)
    high += _upper(low)
    return high, x * signed(multiplier)


def _upper(shifted: Any) -> Any:
    """Returns: a word that was shifted by 32 to the right, without the copies of its sign; the array itself is changed."""
    shifted &= _HALF
    return shifted
