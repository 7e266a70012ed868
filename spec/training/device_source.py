"""The numbers of `array_streams` as source text in CUDA C: one launch instead of the hundreds of operations on arrays.

Both backends compile the same text, PyTorch by its jiterator and Chainer by CuPy. Products and sums are intrinsic functions that
round each by itself, whatever the compiler's options. Every function has the order of operations of `philox` and `elementary`,
and takes its numbers from there. `tests/test_device_source.py` compiles it for the CPU and compares the bits.

The entry function is called for each element:

    DRAW(number, iteration, key0, key1, occurrence, place, kind, parameter)

number: number of the element in the whole draw, or of the word.
iteration, occurrence, place: the words of the cipher's counter from the highest to the second; `place` holds step and repeat.
key0, key1: the lower and the upper 64 bits of the stream's key.
kind, parameter: `WORD`; `UNIFORM`; `NORMAL` and the number of pairs; or a mask with the number of bits for each element (1, 8 or
    32) and the lowest value of them that keeps an element.

All are int64, and so is what it returns: a word, the bits of a float64, or 0 or 1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ganspec.spec.training import elementary, philox

DRAW = "ganspec_draw"
PARAMETERS = ("key0", "key1", "occurrence", "place", "kind", "parameter")  # after the number and the iteration
WORD, UNIFORM, NORMAL = 0, -1, -2

_TEXT = """template <typename T> __device__ T ganspec_bits(T x) { return x; }

__device__ unsigned long long ganspec_word(
    unsigned long long number, unsigned long long key0, unsigned long long key1,
    unsigned long long x1, unsigned long long x2, unsigned long long x3) {
  unsigned long long x0 = number / 4 + 1;
  for (int i = 0; i < ROUNDS; ++i) {
    unsigned long long high0 = __umul64hi(MULTIPLIER0, x0), low0 = MULTIPLIER0 * x0;
    unsigned long long high1 = __umul64hi(MULTIPLIER1, x2), low1 = MULTIPLIER1 * x2;
    x0 = high1 ^ x1 ^ key0;
    x1 = low1;
    x2 = high0 ^ x3 ^ key1;
    x3 = low0;
    key0 += STEP0;
    key1 += STEP1;
  }
  unsigned long long lane = number % 4;
  return lane == 0 ? x0 : lane == 1 ? x1 : lane == 2 ? x2 : x3;
}

__device__ double ganspec_unit(unsigned long long word) {
  return __dmul_rn((double)(long long)(word >> 11), UNIT);
}

__device__ double ganspec_log(double x) {
  long long bits = __double_as_longlong(x) - ROOT;
  double m = __longlong_as_double((bits & FRACTION) + ROOT), k = (double)(bits >> FRACTION_BITS);
  double s = __ddiv_rn(__dadd_rn(m, -1.0), __dadd_rn(m, 1.0)), z = __dmul_rn(s, s), y;
LOG_POLYNOMIAL
  y = __dadd_rn(__dmul_rn(y, s), __dmul_rn(k, LN2_REST));
  return __dadd_rn(__dmul_rn(k, LN2), __dadd_rn(__dadd_rn(s, s), y));
}

__device__ double ganspec_sine(double x) {
  double z = __dmul_rn(x, x), y;
SINE_POLYNOMIAL
  y = __dmul_rn(__dadd_rn(y, TWO_PI_REST), x);
  return __dadd_rn(__dmul_rn(x, TWO_PI), y);
}

template <typename T>QUALIFIER T ganspec_draw(
    T number, T iteration, T key0, T key1, T occurrence, T place, T kind, T parameter) {
  if (kind == WORD_KIND) return (T)ganspec_word(number, key0, key1, occurrence, place, iteration);
  if (kind == UNIFORM_KIND)
    return (T)__double_as_longlong(ganspec_unit(ganspec_word(number, key0, key1, occurrence, place, iteration)));
  if (kind == NORMAL_KIND) {
    T pair = number < parameter ? number : number - parameter;
    double u = ganspec_unit(ganspec_word(pair, key0, key1, occurrence, place, iteration));
    double turn = ganspec_unit(ganspec_word(pair + parameter, key0, key1, occurrence, place, iteration));
    if (number < parameter) turn = __dadd_rn(turn, -0.5);
    else turn = __dadd_rn(fabs(__dadd_rn(turn, -0.25)), -0.5);
    double radius = __dsqrt_rn(__dmul_rn(ganspec_log(__dadd_rn(1.0, -u)), -2.0));
    return (T)__double_as_longlong(__dmul_rn(ganspec_sine(__dadd_rn(fabs(turn), -0.25)), radius));
  }
  T each = 64 / kind, first = number % each * kind;
  if (kind == 1) first ^= 7;
  unsigned long long word = ganspec_word(number / each, key0, key1, occurrence, place, iteration);
  return (T)(word >> first & (1ull << kind) - 1) >= parameter ? 1 : 0;
}
"""


def source(qualifier: str = "") -> str:
    """Write the source text.

    Args:
        qualifier: what stands before the entry function, "__device__" say; a compiler of kernels may add it by itself.

    Returns: the text; its last function is the entry.
    """
    text = _TEXT
    names = {
        "QUALIFIER": f" {qualifier}",
        "ROUNDS": str(philox.ROUNDS),
        **{f"MULTIPLIER{i}": f"{n:#x}ull" for i, n in enumerate(philox.MULTIPLIERS)},
        **{f"STEP{i}": f"{n:#x}ull" for i, n in enumerate(philox.KEY_STEPS)},
        "FRACTION_BITS": str(elementary.FRACTION_BITS),
        "FRACTION": f"{elementary.FRACTION:#x}ll",
        "ROOT": f"{elementary.ROOT:#x}ll",
        "LOG_POLYNOMIAL": _horner(elementary.LOG),
        "SINE_POLYNOMIAL": _horner(elementary.SINE),
        "UNIT": _bits(2.0**-53),
        "LN2_REST": _bits(elementary.LN2_REST),
        "LN2": _bits(elementary.LN2),
        "TWO_PI_REST": _bits(elementary.TWO_PI_REST),
        "TWO_PI": _bits(elementary.TWO_PI),
        "WORD_KIND": str(WORD),
        "UNIFORM_KIND": str(UNIFORM),
        "NORMAL_KIND": str(NORMAL),
    }
    for name, value in names.items():  # a name comes before those that it begins with
        text = text.replace(name, value)
    return text


def _bits(number: float) -> str:
    """Returns: a number by its bits, which no compiler rounds, and which those before C++17 read, too."""
    return f"__longlong_as_double({struct.unpack('<Q', struct.pack('<d', number))[0]:#x}ull)"


def _horner(coefficients: Sequence[float]) -> str:
    """Returns: statements for y = z times the polynomial of z, in the order of `elementary`."""
    lines = [f"  y = __dmul_rn(z, {_bits(coefficients[-1])});"]
    lines += [f"  y = __dmul_rn(__dadd_rn(y, {_bits(c)}), z);" for c in coefficients[-2::-1]]
    return "\n".join(lines)
