"""What an array is that enters his formulas from outside of the graph: a batch, a draw, an output, a constant, a mixture.

NumPy's work on an array leaves no trace, so an array is recognised by its numbers. What is found holds for every number of it, to
rounding of float32, to which old code turns arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ganspec.spec.text.formula import Binary, Call, Expression, Name
from ganspec.tools.updaters.lifting import number, plus, plus_number, times

_WRITTEN = 3e-7  # relative distance below which a number is the short one that somebody wrote
_EXACT = 1e-6  # relative distance below which two arrays are the same; float32 has 6e-8


@dataclass
class Drawn:
    """Numbers that his code drew.

    Args:
        name: their name in formulas; replaced by the schedule's when steps are known.
        values: the numbers, in the shape that was asked for.
        family: "uniform", "normal" or "label".
        a, b: least and largest number, or mean and deviation.
        line: line of his file that drew them.
        scale, shift: what his code makes of them before they are used: scale v + shift.
        used: whether a formula reads them.
    """

    name: str
    values: np.ndarray
    family: str
    a: float
    b: float
    line: str
    scale: float = 1.0
    shift: float = 0.0
    used: bool = False

    def now(self) -> np.ndarray:
        """Returns: the numbers as formulas read them."""
        return self.scale * self.values + self.shift


@dataclass
class Sources:
    """The arrays that are known.

    Args:
        batches: images, and labels where there are some, of each batch of this iteration.
        drawn: draws in order.
        outputs: what networks gave, with the formula.
    """

    batches: list[tuple[np.ndarray, np.ndarray | None]] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    outputs: list[tuple[np.ndarray, Expression]] = field(default_factory=list)

    def explain(self, array: np.ndarray) -> Expression | None:
        """Returns: a formula that gives the array; None where none is found."""
        if array.dtype.kind in "iub":
            found = self._label(array)
            if found is not None:
                return found
        if array.size and array.dtype.kind in "fiu" and np.ptp(array) == 0:
            return number(float(array.flat[0]))
        for values, tree in self._known():
            fit = _fit(array, [values]) if values.size == array.size and values.size > 1 else None
            if fit is not None and fit[0]:
                return self._affine(tree, *fit)
        return self._mixture(array)

    def _known(self) -> list[tuple[np.ndarray, Expression]]:
        """Returns: arrays that have a name or a formula, the newest first."""
        images = [(x, Name("x")) for x, _ in reversed(self.batches)]
        noise = [(d.values, Name(d.name)) for d in reversed(self.drawn) if d.family != "label"]
        return [*noise, *images, *((a, Call("detach", (t,))) for a, t in reversed(self.outputs))]

    def _label(self, array: np.ndarray) -> Expression | None:
        for _, y in reversed(self.batches):
            if y is not None and y.size == array.size and np.array_equal(y.ravel(), array.ravel()):
                return Name("y")
        for d in reversed(self.drawn):
            if d.family == "label" and d.values.size == array.size and np.array_equal(d.values.ravel(), array.ravel()):
                d.used = True
                return Name(d.name)
        return None

    def _affine(self, tree: Expression, scale: float, shift: float) -> Expression:
        """A draw takes the scale and shift of its first use into its distribution; anything else is scaled in the formula."""
        d = next((d for d in self.drawn if isinstance(tree, Name) and tree.name == d.name), None)
        if d is None:
            return plus_number(times(scale, tree), shift)
        if not d.used:
            d.used, d.scale, d.shift = True, scale, shift
        own = _tidy(scale / d.scale)
        return plus_number(times(own, tree), _tidy(shift - own * d.shift))

    def _mixture(self, array: np.ndarray) -> Expression | None:
        """Returns: e a + (1 - e) b of two arrays and a draw per sample; or a + c times noise, perhaps times a deviation."""
        same = [(v, t) for v, t in self._known() if v.size == array.size]
        flat = array.reshape(len(array), -1).astype(np.float64) if array.ndim else array.reshape(1, 1)
        per_sample = [d for d in reversed(self.drawn) if d.values.size == len(flat) and d.family == "uniform"]
        full = [d for d in reversed(self.drawn) if d.values.size == array.size and d.family != "label"]
        for values, tree in same:
            for other, second in same:
                for d in per_sample if values is not other else []:
                    e, one, two = d.now().reshape(-1, 1), values.reshape(flat.shape), other.reshape(flat.shape)
                    if _near(flat, e * one + (1 - e) * two):
                        d.used = True
                        name = Name(d.name)
                        rest = Binary("-", number(1), name)
                        return plus(Binary("*", name, tree), Binary("*", rest, second))
        for values, tree in same:
            for d in full:
                noise = d.now().reshape(flat.shape)
                if isinstance(tree, Name) and tree.name == d.name:
                    continue
                fit = _fit(flat - values.reshape(flat.shape), [noise])
                if fit is not None and fit[0]:
                    d.used = True
                    return plus_number(plus(tree, times(fit[0], Name(d.name))), fit[1])
        return None


def _fit(array: np.ndarray, terms: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """Returns: scale and shift by which a term becomes an array; None where none do."""
    a, v = array.ravel().astype(np.float64), terms[0].ravel().astype(np.float64)
    if _near(a, v):
        return 1.0, 0.0
    centred = v - v.mean()
    size = float(centred @ centred)
    if not size:
        return None
    scale = float(centred @ (a - a.mean())) / size
    exact = (scale, float(a.mean() - scale * v.mean()))
    tidy = (_tidy(exact[0]), _tidy(exact[1]))
    return next(((c, d) for c, d in (tidy, exact) if c and _near(a, c * v + d)), None)


def _tidy(value: float) -> float:
    """Returns: the short number next to a value, if there is one within rounding of float32."""
    short = float(f"{value:.5g}")
    if abs(value) < _EXACT:
        return 0.0
    return short if abs(short - value) <= _WRITTEN * abs(value) else value


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    scale = float(np.max(np.abs(a), initial=0.0)) or 1.0
    return bool(np.max(np.abs(a - b), initial=0.0) <= _EXACT * scale)
