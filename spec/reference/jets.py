"""Hyper-dual numbers in NumPy float64: values with two directional derivatives, exact to rounding.

    f + a e1 + b e2 + ab e1 e2        with e1^2 = e2^2 = 0

Every component has a leading axis of directions. Its length is 1 for `f` and `b`; for `a` and `ab` it is the number of
directions e1, so that one evaluation with a direction for each pixel gives the gradient with respect to an image. The axes after
it are those that a formula sees. A component that is None is 0 everywhere.

Source: Fike and Alonso 2011, AIAA 2011-886.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Part = np.ndarray | None


class Jet:
    """One value with its derivatives along e1, along e2, and along both.

    Args:
        f: value, (1, ...): the first axis is that of directions, of which a value has none.
        a: derivatives along e1, (directions, ...), or None where they are 0.
        b: derivative along e2, (1, ...), or None.
        ab: mixed second derivatives, (directions, ...), or None.
    """

    __array_ufunc__ = None  # let NumPy arrays on the left yield to our operators

    def __init__(self, f: np.ndarray, a: Part = None, b: Part = None, ab: Part = None) -> None:
        self.f, self.a, self.b, self.ab = f, a, b, ab

    @property
    def rank(self) -> int:
        """The number of axes that a formula sees."""
        return self.f.ndim - 1

    def linear(self, function: Callable[[np.ndarray], np.ndarray]) -> Jet:
        """Returns: a linear function of the value; its derivatives are the same function of the derivatives."""
        a, b, ab = (None if part is None else function(part) for part in (self.a, self.b, self.ab))
        return Jet(function(self.f), a, b, ab)

    def map(self, f: np.ndarray, f1: np.ndarray, f2: np.ndarray) -> Jet:
        """Apply a function to each number: the chain rule, twice.

            y = h(x):   y_a = h' x_a,   y_b = h' x_b,   y_ab = h' x_ab + h'' x_a x_b

        Args:
            f: its values h, at each number.
            f1: its slopes h' there.
            f2: its curvatures h'' there.
        """
        bend = _times(np.multiply, self.a, self.b)
        return Jet(
            f,
            _times(np.multiply, f1, self.a),
            _times(np.multiply, f1, self.b),
            _sum(_times(np.multiply, f1, self.ab), _times(np.multiply, f2, bend)),
        )

    def constant(self) -> Jet:
        """Returns: the same value without derivatives."""
        return Jet(self.f)

    def tilted(self, start: int, end: int) -> Jet:
        """Returns: the same value with a direction e1 for each of its numbers from `start` to before `end`, counted flat."""
        units = np.zeros((end - start, self.f.size))
        units[np.arange(end - start), np.arange(start, end)] = 1.0
        return Jet(self.f, units.reshape(end - start, *self.f.shape[1:]), self.b)

    def __add__(self, other: Any) -> Jet:
        o = jet(other)
        f = self.f + o.f
        parts = (_sum(self.a, o.a), _sum(self.b, o.b), _sum(self.ab, o.ab))
        # A part that only one operand has takes the shape of the sum, too: it is reduced later.
        return Jet(f, *(None if part is None else np.broadcast_to(part, (len(part), *f.shape[1:])) for part in parts))

    def __sub__(self, other: Any) -> Jet:
        return self + jet(other) * -1.0

    def __mul__(self, other: Any) -> Jet:
        return bilinear(np.multiply, self, jet(other))

    def __truediv__(self, other: Any) -> Jet:
        o = jet(other)
        return self * o.map(1.0 / o.f, -1.0 / o.f**2, 2.0 / o.f**3)

    def __radd__(self, other: Any) -> Jet:
        return self.__add__(other)

    def __rmul__(self, other: Any) -> Jet:
        return self.__mul__(other)

    def sqrt(self) -> Jet:
        root = np.sqrt(self.f)
        return self.map(root, 0.5 / root, -0.25 / root**3)

    def root_of_squares(self) -> Jet:
        """Returns: the square root; where it is 0, its derivatives are 0, as a norm's are."""
        root = np.sqrt(self.f)
        positive = root > 0
        safe = np.where(positive, root, 1.0)
        return self.map(root, np.where(positive, 0.5 / safe, 0.0), np.where(positive, -0.25 / safe**3, 0.0))

    def power(self, e: float) -> Jet:
        def term(factor: float, exponent: float) -> np.ndarray:
            return factor * self.f**exponent if factor else np.zeros_like(self.f)  # not 0 times infinity, at 0

        return self.map(self.f**e, term(e, e - 1), term(e * (e - 1), e - 2))

    def abs(self) -> Jet:
        return self.map(abs(self.f), np.sign(self.f), 0 * self.f)

    def exp(self) -> Jet:
        e = np.exp(self.f)
        return self.map(e, e, e)

    def log(self) -> Jet:
        return self.map(np.log(self.f), 1 / self.f, -1 / self.f**2)

    def tanh(self) -> Jet:
        t = np.tanh(self.f)
        return self.map(t, 1 - t**2, -2 * t * (1 - t**2))

    def sigmoid(self) -> Jet:
        s = np.exp(-np.logaddexp(0.0, -self.f))
        return self.map(s, s * (1 - s), s * (1 - s) * (1 - 2 * s))

    def softplus(self) -> Jet:
        s = np.exp(-np.logaddexp(0.0, -self.f))
        return self.map(np.logaddexp(self.f, 0.0), s, s * (1 - s))

    def kinked(self, left: float) -> Jet:
        """Returns: x where x > 0, left x elsewhere; the slope at 0 is `left`."""
        slope = np.where(self.f > 0, 1.0, left)
        return self.map(slope * self.f, slope, 0 * slope)

    def clip(self, low: float, high: float) -> Jet:
        inside = 1.0 * ((self.f >= low) & (self.f <= high))
        return self.map(np.clip(self.f, low, high), inside, 0 * inside)

    def sample_sum(self) -> Jet:
        """Returns: the sum over all axes but the batch's."""
        return self.linear(lambda v: v.reshape(*v.shape[:2], -1).sum(axis=2))

    def mean(self, axis: int | tuple[int, ...]) -> Jet:
        """Returns: the mean over axes, which stay with a length of 1; axis 1 is the batch's."""
        return self.linear(lambda v: v.mean(axis=axis, keepdims=True))

    def each_sample(self, function: Callable[[np.ndarray], np.ndarray]) -> Jet:
        """Returns: a linear function of each sample; `function` takes and gives a batch."""
        return self.linear(lambda v: _samples(function, v))


def _samples(function: Callable[[np.ndarray], np.ndarray], v: np.ndarray) -> np.ndarray:
    result = function(v.reshape(-1, *v.shape[2:]))
    return result.reshape(*v.shape[:2], *result.shape[1:])


def jet(value: Any) -> Jet:
    """Returns: a constant as a Jet; a Jet as it is."""
    return value if isinstance(value, Jet) else Jet(np.asarray(value, dtype=np.float64)[None])


def bilinear(function: Callable[[np.ndarray, np.ndarray], np.ndarray], x: Jet, y: Jet) -> Jet:
    """Apply a function that is linear in each of its two operands, such as a product: the product rule, twice.

    z = x y:   z_a = x_a y + x y_a,   z_b = x_b y + x y_b,   z_ab = x_ab y + x y_ab + x_a y_b + x_b y_a
    """
    return Jet(
        function(x.f, y.f),
        _sum(_times(function, x.a, y.f), _times(function, x.f, y.a)),
        _sum(_times(function, x.b, y.f), _times(function, x.f, y.b)),
        _sum(
            _sum(_times(function, x.ab, y.f), _times(function, x.f, y.ab)),
            _sum(_times(function, x.a, y.b), _times(function, x.b, y.a)),
        ),
    )


def weigh(function: Callable[[np.ndarray, np.ndarray], np.ndarray], x: Jet, w: Jet) -> Jet:
    """Returns: a function of a batch and of a weight that is linear in each."""
    return bilinear(lambda v, u: _samples(lambda batch: function(batch, u[0]), v), x, w)


def joined(parts: list[Jet]) -> Jet:
    """Returns: the parts, concatenated along the axis after the batch's."""

    def component(name: str) -> Part:
        found = [getattr(part, name) for part in parts]
        length = max((len(v) for v in found if v is not None), default=0)
        if not length:
            return None
        shapes = [(length, *part.f.shape[1:]) for part in parts]
        filled = [np.zeros(s) if v is None else np.broadcast_to(v, s) for v, s in zip(found, shapes, strict=True)]
        return np.concatenate(filled, axis=2)

    return Jet(np.concatenate([part.f for part in parts], axis=2), component("a"), component("b"), component("ab"))


def aligned(x: Jet, y: Jet) -> tuple[Jet, Jet]:
    """Returns: both operands with equally many axes: the one with fewer gets more on its right, of length 1."""
    rank = max(x.rank, y.rank)

    def widen(j: Jet) -> Jet:
        missing = (1,) * (rank - j.rank)
        return j.linear(lambda v: v.reshape(*v.shape, *missing)) if missing else j

    return widen(x), widen(y)


def _sum(x: Part, y: Part) -> Part:
    return y if x is None else x if y is None else x + y


def _times(function: Callable[[np.ndarray, np.ndarray], np.ndarray], x: Part, y: Part) -> Part:
    return None if x is None or y is None else function(x, y)
