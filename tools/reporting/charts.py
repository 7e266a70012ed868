"""Drawings in a page, as inline SVG: error against allowance, and divergence over the iterations. Axes are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganspec.tools.agreement.report import Comparison, Point
from ganspec.tools.reporting.elements import Markup, element, joined
from ganspec.tools.reporting.wording import AGREE, number, pair_name, ratio, word

COLOURS = 6  # of pairs in page.css; further pairs begin again with the first
_POINTS = 240  # largest number of points of a curve; of each stretch of iterations the worst one is kept
_SMALLEST, _LARGEST = 1e-300, 1e300  # magnitudes that can be drawn
_DOTS = 2000  # largest number of dots


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from a to b, two powers of ten, which lies between two positions in the drawing."""

    a: int
    b: int
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (math.log10(min(max(value, _SMALLEST), _LARGEST)) - self.a) / (self.b - self.a)
        return round(self.start + (self.end - self.start) * min(max(share, 0.0), 1.0), 1)

    def ticks(self, most: int) -> list[int]:
        every = max(1, math.ceil((self.b - self.a) / most))
        return list(range(self.a, self.b + 1, every))


def _axis(values: Iterable[float], start: float, end: float) -> _Axis:
    there = [min(max(v, _SMALLEST), _LARGEST) for v in values if v > 0 and math.isfinite(v)] or [1.0]
    a, b = math.floor(math.log10(min(there))), math.ceil(math.log10(max(there)))
    return _Axis(a, max(b, a + 2), start, end)


def colour(i: int) -> str:
    """Returns: the class of page.css that colours what belongs to the pair of that number."""
    return f"c{i % COLOURS}"


def scatter(comparisons: Sequence[Comparison], names: Sequence[str]) -> Markup:
    """Draw all rows of a report: the worst error of each over its allowance. What lies above the line does not agree.

    Args:
        comparisons: comparisons whose rows are drawn.
        names: a label for each.

    Returns: an SVG element; empty if there is nothing to draw.
    """
    rows = [
        (name, row) for name, c in zip(names, comparisons, strict=True) for row in c.rows if row.worst.allowance > 0
    ]
    rows = [(name, row) for name, row in rows if math.isfinite(row.worst.allowance)]
    if not rows:
        return Markup("")
    rows.sort(key=lambda item: (word(item[1]) == AGREE, -item[1].worst.ratio))
    rows = rows[:_DOTS][::-1]  # what does not agree is drawn last, on top
    allowances = [row.worst.allowance for _, row in rows]
    errors = [row.worst.error for _, row in rows]
    x = _axis(allowances, 72, 884)
    y = _axis([*errors, *allowances], 290, 36)
    zero, infinite = 308.0, 16.0  # where an error of 0 and one that is not finite are drawn
    parts = [_grid_line(72, y.at(10.0**t), 884, y.at(10.0**t), f"1e{t}", "y") for t in y.ticks(8)]
    parts += [_grid_line(x.at(10.0**t), 36, x.at(10.0**t), 290, f"1e{t}", "x", 326) for t in x.ticks(10)]
    if 0 in errors:
        parts.append(element("text", "0", x=66, y=zero + 4, class_="y"))
    if not all(map(math.isfinite, errors)):
        parts.append(element("text", "not finite", x=66, y=infinite + 4, class_="y"))
    low, high = max(x.a, y.a), min(x.b, y.b)
    if low < high:
        ends = {"x1": x.at(10.0**low), "y1": y.at(10.0**low), "x2": x.at(10.0**high), "y2": y.at(10.0**high)}
        parts.append(element("line", class_="allowed", **ends))
    parts.append(element("text", "allowance", x=478, y=346, class_="m"))
    parts.append(element("text", "error", x=16, y=156, class_="m", transform="rotate(-90 16 156)"))
    for name, row in rows:
        error = row.worst.error
        height = zero if error == 0 else y.at(error) if math.isfinite(error) else infinite
        said = f"{name}: {row.kind} {pair_name(row.pair)}: {number(error)} of {number(row.worst.allowance)} allowed, {word(row)}"
        title = element("title", said)
        kind = "good" if word(row) == AGREE else "bad"
        parts.append(element("circle", title, cx=x.at(row.worst.allowance), cy=height, r=4, class_=kind))
    label = "Worst error of each row over its allowance, both logarithmic; above the dashed line witnesses do not agree"
    return element("svg", *parts, viewBox="0 0 900 352", role="img", aria_label=label, class_="scatter")


def curves(comparison: Comparison, pairs: Sequence[tuple[str, str]]) -> Markup:
    """Draw how far each pair is apart in each recorded number, over the iterations.

    Args:
        comparison: comparison whose curves are drawn.
        pairs: all pairs of the comparison, in the order of their colours.

    Returns: a figure for each recorded number; empty if there are no curves.
    """
    by_number: dict[str, dict[tuple[str, str], Sequence[Point]]] = {}
    for (name, pair), points in comparison.curves.items():
        if points:
            by_number.setdefault(name, {})[pair] = points
    figures = []
    for name, lines in by_number.items():
        shares = [p.error / p.allowance for points in lines.values() for p in points if p.allowance > 0]
        said = f"at most {ratio(max(shares, default=0.0))} of what is allowed"
        if not all(math.isfinite(p.error) for points in lines.values() for p in points):
            said = "not finite at some iterations"
        caption = element("figcaption", element("b", name), f" {said}")
        figures.append(element("figure", caption, _curve(name, lines, pairs)))
    return joined(*figures)


def _curve(name: str, lines: Mapping[tuple[str, str], Sequence[Point]], pairs: Sequence[tuple[str, str]]) -> Markup:
    """Returns: a line for each pair, and dashed its allowance; crosses at the top are not finite, the bottom is 0."""
    everything = [point for points in lines.values() for point in points]
    first, last = min(p.iteration for p in everything), max(p.iteration for p in everything)
    y = _axis([v for p in everything for v in (p.error, p.allowance)], 132, 20)
    zero, infinite = 148.0, 9.0

    def across(point: Point) -> float:
        return round(44 + (point.iteration - first) / max(1, last - first) * 284, 1)

    parts = [_grid_line(44, y.at(10.0**t), 328, y.at(10.0**t), f"1e{t}", "y") for t in y.ticks(4)]
    if any(p.error == 0 for p in everything):
        parts.append(element("text", "0", x=38, y=zero + 4, class_="y"))
    parts.append(element("text", f"{first:,}", x=44, y=166))
    parts.append(element("text", f"iteration {last:,}" if last > first else "iteration", x=328, y=166, class_="y"))
    drawn_allowances = set()
    for pair, points in lines.items():
        number_of_pair = pairs.index(pair) if pair in pairs else 0
        kept = _thinned(points)
        allowed = " ".join(
            f"{across(p)},{y.at(p.allowance)}" for p in kept if p.allowance > 0 and math.isfinite(p.allowance)
        )
        if allowed and allowed not in drawn_allowances:
            drawn_allowances.add(allowed)
            parts.append(element("polyline", points=allowed, class_="allowed"))
        for stretch in _stretches(kept):
            places = " ".join(f"{across(p)},{zero if p.error == 0 else y.at(p.error)}" for p in stretch)
            if len(stretch) == 1:
                cx, cy = places.split(",")
                parts.append(element("circle", cx=cx, cy=cy, r=2.5, class_=f"dot {colour(number_of_pair)}"))
            else:
                parts.append(element("polyline", points=places, class_=f"line {colour(number_of_pair)}"))
        crosses = [p for p in kept if not math.isfinite(p.error)]
        parts += [
            element("text", "\u00d7", x=across(p), y=infinite + 4, class_=f"m {colour(number_of_pair)}")
            for p in crosses
        ]
    label = f"{name}: distance of each pair over the iterations, logarithmic; dashed: what is allowed"
    return element("svg", *parts, viewBox="0 0 336 172", role="img", aria_label=label)


def _stretches(points: Sequence[Point]) -> list[list[Point]]:
    """Returns: the points between those whose error is not finite, in stretches."""
    found: list[list[Point]] = [[]]
    for point in points:
        if math.isfinite(point.error):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Returns: at most `_POINTS` points: the worst one of each stretch of iterations; what is not finite is worst."""
    every = -(-len(points) // _POINTS)
    groups = [points[i : i + every] for i in range(0, len(points), max(1, every))]
    return [max(group, key=lambda p: p.error if math.isfinite(p.error) else math.inf) for group in groups]


def _grid_line(x1: float, y1: float, x2: float, y2: float, text: str, side: str, below: float = 0) -> Markup:
    line = element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="grid")
    place = {"x": x1 - 6, "y": y1 + 4} if side == "y" else {"x": x1, "y": below}
    return joined(line, element("text", text, class_="y" if side == "y" else "m", **place))
