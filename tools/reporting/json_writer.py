"""A report as JSON, in the format that schema.json describes. The arrays of sample images are left out."""

from __future__ import annotations

import json
import math
from typing import Any

import ganspec
from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Point, Report, Row
from ganspec.tools.reporting.changes import changes_as_data, compare_reports
from ganspec.tools.reporting.wording import verdict, word

FORMAT = "ganspec report 1"
# JSON has no such numbers: they are null, and `not_finite` beside them says which they are. A norm is never -infinity.
NOT_FINITE = {"infinity": math.inf, "not a number": math.nan}


def render_json(report: Report, against: Report | None = None) -> str:
    """Write a report as JSON.

    Args:
        report: report to write; `read_json` gives an equal one back, without the sample images.
        against: an older report; then what changed since is written, too, under "changes".

    Returns: the text, ASCII, which ends in a newline.
    """
    data = report_as_data(report)
    if against is not None:
        data["changes"] = changes_as_data(compare_reports(against, report))
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def report_as_data(report: Report) -> dict[str, Any]:
    """Returns: a report as dictionaries, lists, texts and finite numbers."""
    return {
        "format": FORMAT,
        "ganspec": ganspec.__version__,
        "agrees": report.agrees,
        "versions": dict(report.versions),
        "systems": [_comparison(c) for c in report.comparisons],
    }


def _comparison(c: Comparison) -> dict[str, Any]:
    return {
        "system": c.system,
        "verdict": verdict(c),
        "witnesses": list(c.witnesses),
        "dtype": c.dtype,
        "device": c.device,
        "seed": int(c.seed),
        "iterations": int(c.iterations),
        "batch": int(c.batch),
        "reduced": bool(c.reduced),
        "seconds": float(c.seconds),
        "image_range": [float(value) for value in c.image_range],
        "bundle": c.bundle,
        "rows": [_row(row) for row in c.rows],
        "first": _divergence(c.first) if c.first else None,
        "curves": [
            {"number": name, "pair": list(pair), "points": [_point(point) for point in points]}
            for (name, pair), points in c.curves.items()
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "pair": list(row.pair),
        "verdict": word(row),
        "compared": int(row.compared),
        "wrong": int(row.wrong),
        "worst": difference_as_data(row.worst),
    }


def difference_as_data(d: Difference) -> dict[str, Any]:
    """Returns: a difference as dictionaries, lists, texts and finite numbers."""
    return _finite({
        "kind": d.kind,
        "name": d.name,
        "place": _place(d.place),
        "source": d.source,
        "network": d.network,
        "layer": d.layer,
        "node": None if d.node is None else int(d.node),
        "pair": list(d.pair),
        "error": float(d.error),
        "size": float(d.size),
        "allowance": float(d.allowance),
        "ratio": float(d.ratio),
        "agrees": d.agrees,
        "diverged": bool(d.diverged),
        "reason": d.reason,
    })  # fmt: skip


def _place(place: Place) -> dict[str, int | None]:
    counts = {"iteration": place.iteration, "step": place.step, "repeat": place.repeat}
    return {name: None if count is None else int(count) for name, count in counts.items()}


def _divergence(first: Divergence) -> dict[str, Any]:
    return {
        "difference": difference_as_data(first.difference),
        "odd": first.odd,
        "values": list(first.values),
        "guess": first.guess,
    }


def _point(point: Point) -> dict[str, Any]:
    return _finite({
        "iteration": int(point.iteration), "error": float(point.error), "allowance": float(point.allowance)
    })  # fmt: skip


def _finite(data: dict[str, Any]) -> dict[str, Any]:
    """Returns: a table with null for each number that is not finite, and its kind under `not_finite`."""
    kinds = {
        name: _kind(value) for name, value in data.items() if isinstance(value, float) and not math.isfinite(value)
    }
    return {name: None if name in kinds else value for name, value in data.items()} | (
        {"not_finite": kinds} if kinds else {}
    )


def _kind(value: float) -> str:
    return "not a number" if math.isnan(value) else "infinity"
