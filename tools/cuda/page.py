"""The page that `tools/gpu` leaves, as Markdown: what became of each part, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganspec.spec.text.errors import printable
from ganspec.tools.cuda.running import GOOD, Outcome

_MOST_ROWS = 200
_MOST_TEXT = 200  # characters of a cell


def page(device: Mapping[str, Any], outcomes: Sequence[Outcome], seconds: float) -> str:
    """Returns: the page.

    Args:
        device: facts about the device.
        outcomes: what became of the parts.
        seconds: how long all took.
    """
    bad = [outcome for outcome in outcomes if outcome.status not in GOOD]
    lines = [
        "# ganspec on a CUDA device",
        "",
        f"{len(outcomes)} parts in {seconds:.0f} s: "
        + (f"{len(bad)} are not as they must be" if bad else "all is as it must be"),
        "",
        *_table([{"": key, "is": value} for key, value in device.items() if key != "ok"]),
        "## Parts",
        "",
        *_table([_summary(outcome) for outcome in outcomes]),
    ]
    for outcome in outcomes:
        if isinstance(outcome.found, list):
            lines += [f"## {outcome.name}", "", f"{outcome.what}.", "", *_table(outcome.found)]
    for outcome in bad:
        tail = printable(outcome.output).splitlines() if outcome.output else ["(it printed nothing)"]
        lines += [f"## What {outcome.name} printed last", "", *(f"    {line}" for line in tail), ""]
    return "\n".join(lines) + "\n"


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "part": outcome.name,
        "what it shows": outcome.what,
        "became": outcome.status,
        "seconds": outcome.seconds,
        "why": outcome.why,
    }


def _table(rows: Sequence[Any]) -> list[str]:
    rows = [row for row in rows if isinstance(row, dict)][:_MOST_ROWS]
    columns = list(dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, dict)))
    if not columns:
        return []
    body = [f"| {' | '.join(_cell(row.get(key, '')) for key in columns)} |" for row in rows]
    return [f"| {' | '.join(map(_cell, columns))} |", f"|{'---|' * len(columns)}", *body, ""]


def _cell(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "**no**"
        case float():
            return f"{value:.4g}"
        case int():
            return f"{value:,}"
    return printable(str(value))[:_MOST_TEXT].replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
