"""The right numbers times something, plus something, cut off, or rounded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case, fitted, number, numbers

_ROUND = 0.5  # share of the right numbers that are round: of more, nothing can be told
_FEW = 4  # numbers that differ: of fewer, a free constant can be fitted to anything


def sign(case: Case) -> Candidates:
    yield "the sign is wrong: the same number, negative", -case.right


def nothing(case: Case) -> Candidates:
    if case.right.shape != case.wrong.shape or (case.right.size == 1 and "gradient" not in case.quantity.kind):
        return  # a single number may well be 0, such as a penalty on one side only
    if "gradient" in case.quantity.kind:
        cause = "no gradient arrives: the graph is cut by a detach, or is not kept for a second derivative"
    elif case.quantity.value.dtype.kind in "iu":
        cause = "all are 0: constant labels are given"
    else:
        computed_later = case.quantity.kind in ("moment", "statistic", "average")
        cause = "it is 0 everywhere" + (": never computed" if computed_later else "")
    yield cause, 0.0 * case.right


def named_ratio(case: Case) -> Candidates:
    """A factor that has a name."""
    right = case.right
    for size, name in _sizes(case).items():
        if size > 1:
            yield f"{size} times too large, {name}: a sum for a mean", right * size
            yield f"{size} times too small, {name}: a mean for a sum", right / size
            root = f"{number(math.sqrt(size))} times too {{}}, the root of {name}"
            yield root.format("large") + ": a root of a sum for that of a mean", right * math.sqrt(size)
            yield root.format("small") + ": a root of a mean for that of a sum", right / math.sqrt(size)
    for name, value in case.system.loss.constants.items():
        if value not in (0.0, 1.0, -1.0):
            yield (
                f"{number(1 / value)} times what it should be: the factor {name}, {number(value)}, is missing",
                right / value,
            )
            yield (
                f"{number(value)} times what it should be: the factor {name}, {number(value)}, is there twice",
                right * value,
            )
    yield "twice too large: added twice, or without a division by 2", right * 2.0
    yield "half of what it should be: divided by 2, or the mean of two that should be added", right / 2.0


def _sizes(case: Case) -> dict[int, str]:
    """Returns: the name of each number by which a sum and a mean may differ."""
    images, names = case.system.data.shape, [(case.batch, "the batch size")]
    known = [x for x in case.inputs if x.ndim and case.quantity.kind != "parameter gradient"]
    for i, x in enumerate(known):
        which = "its input" if len(known) == 1 else f"its input {i + 1}"
        names += [
            (math.prod(x.shape[1:]), f"the numbers of one sample of {which}"),
            (x.size, f"all numbers of {which}"),
        ]
        names += [(math.prod(x.shape[2:]), f"the pixels of {which}")] if x.ndim > 3 else []
    if not known:
        names += [(math.prod(images), "the numbers of an image"), (math.prod(images[1:]), "the pixels of an image")]
        names += [
            (images[0], "the colour channels"),
            (case.batch * math.prod(images), "all numbers of a batch of images"),
        ]
    if case.right.ndim > 1:
        names += [
            (math.prod(case.right.shape[1:]), "the numbers of one of its samples"),
            (case.right.size, "all of its numbers"),
        ]
    sizes: dict[int, str] = {}
    for size, name in names:
        if size > 1:
            sizes[size] = f"{sizes[size]} or {name}" if size in sizes and name not in sizes[size] else name
    return sizes


def ratio(case: Case) -> Candidates:
    """Any factor, the same for all numbers."""
    right, wrong = case.right, case.wrong
    if right.shape == wrong.shape and _varied(right):
        factor = fitted(right, wrong)
        if factor not in (0.0, 1.0, -1.0) and not any(
            name for name, value in named_ratio(case) if _same(value, wrong, case)
        ):
            times, _ = numbers(factor, 1.0)
            yield f"everywhere {times} times what it should be: a constant factor", factor * right


def offset(case: Case) -> Candidates:
    right, wrong = case.right, case.wrong
    if right.shape == wrong.shape and _varied(right):
        by = float((wrong - right).mean())
        yield f"everywhere larger by {number(by)}: a constant is added", right + by


def scale_and_offset(case: Case) -> Candidates:
    """a v + b, as where images in [0, 1] are taken for images in [-1, 1]."""
    right, wrong = case.right, case.wrong
    if right.shape != wrong.shape or right.size < 2 * _FEW or not _varied(right):
        return
    mean = right.mean()
    a = fitted(right - mean, wrong - wrong.mean())
    b = float(wrong.mean() - a * mean)
    if abs(a - 1.0) > 1e-9 and abs(a) > 1e-9 and abs(b) > 1e-9 * float(abs(wrong).max()):
        times, _ = numbers(a, 1.0)
        yield (
            f"everywhere {times} v {'+' if b > 0 else '-'} {number(abs(b))} for the right v: another range of numbers",
            a * right + b,
        )


def cut_off(case: Case) -> Candidates:
    right, wrong = case.right, case.wrong
    if right.shape != wrong.shape or not _varied(right):
        return
    low, high = float(wrong.min()), float(wrong.max())
    below, above = int((right < low).sum()), int((right > high).sum())
    if low == high:
        return
    if below > 1:
        yield f"numbers below {number(low)} are cut off", right.clip(min=low)
    if above > 1:
        yield f"numbers above {number(high)} are cut off", right.clip(max=high)
    if below > 1 and above > 1:
        yield f"numbers outside [{number(low)}, {number(high)}] are cut off", right.clip(low, high)


def magnitude(case: Case) -> Candidates:
    right = case.right
    if (right < 0).any():
        yield "its absolute value", abs(right)
        yield "its square", right**2
        yield "its positive part: negative numbers are 0", right.clip(min=0.0)


def rounded(case: Case) -> Candidates:
    """Numbers that a shorter type can hold exactly, and that are right to its precision."""
    right, found = case.right, np.asarray(case.found)
    if right.shape != found.shape or not _varied(right) or not np.isfinite(found).all():
        return
    wrong, right = case.wrong, case.right
    kinds: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {  # the shortest first
        "bfloat16": (lambda a: mantissa(a, 7), 8 * 2.0**-8),
        "float16": (lambda a: a.astype(np.float16).astype(np.float64), 8 * 2.0**-11),
        "float32": (lambda a: a.astype(np.float32).astype(np.float64), 1000 * 2.0**-24),
    }
    for name, (held, largest) in kinds.items():
        if not np.array_equal(held(wrong), wrong) or (held(right) == right).mean() > _ROUND or found.dtype == name:
            continue
        if float(np.linalg.norm(wrong - right)) <= largest * float(np.linalg.norm(right)):
            yield f"computed in {name}: all its numbers are ones of {name}, in an array of {found.dtype}", wrong
        return


def mantissa(values: np.ndarray, bits: int) -> np.ndarray:
    """Returns: numbers rounded to `bits` bits after the leading one."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(fraction, bits + 1)), exponent - bits - 1)


def _varied(values: np.ndarray) -> bool:
    """Returns: whether there are several different numbers, to which a constant cannot be fitted by chance."""
    return values.size >= _FEW and len(np.unique(values[values != 0])) >= _FEW


def _same(value: np.ndarray, wrong: np.ndarray, case: Case) -> bool:
    return float(np.linalg.norm(value - wrong)) <= case.tolerance


RULES = (sign, nothing, named_ratio, ratio, offset, scale_and_offset, cut_off, magnitude, rounded)
