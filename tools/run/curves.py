"""Drawings in a run's report, as inline SVG: recorded numbers and figures over the iterations, on linear axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganspec.tools.pictures.plots import moving_average
from ganspec.tools.reporting.elements import Markup, element

_STRETCHES = 220  # of a curve; of each the range is drawn, and its last mean
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 452, 12, 148  # of the area of the curve, in a drawing of 460 x 176
_VIEW = "0 0 460 176"
LARGEST = 1e300  # magnitude that is drawn
_LARGEST_TICK = 1e15  # iteration that is written at the axis
_INNER = (2, 98)  # percentiles between which the axis covers single values; it covers all means


@dataclass(frozen=True)
class _Scale:
    """A linear axis: from a value and its place in the drawing to another value and its place."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + (self.end - self.start) * min(max(share, 0.0), 1.0), 1)


def number_curve(name: str, iterations: np.ndarray, values: np.ndarray, window: int) -> Markup:
    """Draw a recorded number: in light colour the range of its values, in dark colour its moving average.

    Args:
        name: name of the number.
        iterations: float64, (rows,), ascending in a log that nobody has changed.
        values: float64, (rows,), NaN where there is none.
        window: number of rows of which a moving average is the mean.

    Returns: an SVG element; empty where no value is a finite number.
    """
    there = np.flatnonzero(np.isfinite(values) & np.isfinite(iterations))
    if not len(there):
        return Markup("")
    values, iterations = (np.clip(numbers, -LARGEST, LARGEST) for numbers in (values, iterations))
    stretches = [part for part in np.array_split(there, min(_STRETCHES, len(there))) if len(part)]
    ends = np.array([part[-1] for part in stretches])
    means = moving_average(values, window, ends)
    lows, highs = (np.array([pick(values[part]) for part in stretches]) for pick in (np.min, np.max))
    inner = np.percentile(values[there], _INNER)
    x = _Scale(*_apart(float(iterations[there].min()), float(iterations[there].max())), _LEFT, _RIGHT)
    y = _Scale(*_apart(float(min(inner[0], means.min())), float(max(inner[1], means.max()))), _BOTTOM, _TOP)
    across = [x.at(float(i)) for i in iterations[ends]]
    outline = [*zip(across, highs, strict=True), *reversed(list(zip(across, lows, strict=True)))]
    band = " ".join(f"{place},{y.at(float(value))}" for place, value in outline)
    parts = [*_grid(x, y), element("polygon", points=band, class_="band")]
    if len(ends) == 1:
        parts.append(element("circle", cx=across[0], cy=y.at(float(means[0])), r=3, class_="dot"))
    line = " ".join(f"{place},{y.at(float(mean))}" for place, mean in zip(across, means, strict=True))
    parts.append(element("polyline", points=line, class_="line"))
    label = f"{name} over the iterations; it ends at {short(float(means[-1]))}"
    return element("svg", *parts, viewBox=_VIEW, role="img", aria_label=label)


def figure_curve(name: str, points: Sequence[tuple[int, float]]) -> Markup:
    """Draw a figure that was measured now and then.

    Args:
        name: name of the figure.
        points: iteration and value, at least one, in the order of iterations.

    Returns: an SVG element.
    """
    values = [min(max(value, -LARGEST), LARGEST) for _, value in points]
    x = _Scale(*_apart(points[0][0], points[-1][0]), _LEFT, _RIGHT)
    y = _Scale(*_apart(min(values), max(values)), _BOTTOM, _TOP)
    places = [(x.at(iteration), y.at(value)) for (iteration, _), value in zip(points, values, strict=True)]
    parts = [*_grid(x, y), element("polyline", points=" ".join(f"{a},{b}" for a, b in places), class_="line")]
    for (a, b), (iteration, value) in zip(places, points, strict=True):
        parts.append(
            element("circle", element("title", f"{iteration:,}: {short(value)}"), cx=a, cy=b, r=3, class_="dot")
        )
    label = f"{name} over the iterations; it ends at {short(values[-1])}"
    return element("svg", *parts, viewBox=_VIEW, role="img", aria_label=label)


def short(value: float) -> str:
    """Returns: a number in four digits; of one that is a whole number below 10^9, all of them."""
    return f"{value:,.0f}" if abs(value) < 1e9 and value == round(value) else f"{value:.4g}"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Choose round numbers within a range: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: least number.
        high: largest number, above `low`.
        most: largest count, at least 2.

    Returns: at most so many numbers, ascending; there may be a single one or none.
    """
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power, 20 * power) if step >= rough)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, first + most + 1) if i * step <= high + 1e-9 * step][:most]


def _apart(low: float, high: float) -> tuple[float, float]:
    """Returns: two ends of an axis that are not the same."""
    gap = max(abs(low), abs(high), 1e-300) * 1e-6
    return (low, high) if high - low > gap else (low - max(abs(low) / 2, 1e-12), high + max(abs(high) / 2, 1e-12))


def _grid(x: _Scale, y: _Scale) -> list[Markup]:
    parts = []
    for value in ticks(y.low, y.high, 4):
        place = y.at(value)
        parts.append(element("line", x1=_LEFT, y1=place, x2=_RIGHT, y2=place, class_="grid"))
        parts.append(element("text", _tick(value), x=_LEFT - 6, y=place + 4, class_="y"))
    for value in ticks(x.low, x.high, 5):
        if value == round(value) and abs(value) < _LARGEST_TICK:
            parts.append(element("text", f"{value:,.0f}", x=x.at(value), y=168, class_="m"))
    return parts


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and 1 <= abs(value) < 1e5 else f"{value:.3g}"
