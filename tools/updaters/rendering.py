"""What a lockstep found, as lines for people and as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import ganspec
from ganspec.tools import backends
from ganspec.tools.agreement.report import Report
from ganspec.tools.reporting.json_writer import report_as_data
from ganspec.tools.updaters.drafting import Draft
from ganspec.tools.updaters.lockstep import Found


def render_text(found: Found, readings: Mapping[str, str] | None = None) -> list[str]:
    """Returns: the report as lines, with the lines of his file.

    Args:
        found: what was found.
        readings: his losses as formulas, by network; shown beside the system's where a network's gradient differs.
    """
    if found.report is None:
        lines = [
            "your code differs: it leaves the system's order",
            *(f"  {line}" for line in found.stopped.split("\n")),
        ]
        return [*lines, *(f"  note: {note}" for note in found.notes)]
    lines = str(found.report).split("\n")
    first = found.report.first
    if first is not None:
        own = [f"    computed by your code at {found.where}"] if found.where else []
        if found.losses:
            own.append(f"    its loss is differentiated at {', '.join(found.losses)}")
        if readings and first.network in readings and first.kind in ("parameter gradient", "loss", "report"):
            own.append(f"    your loss of {first.network} reads: {readings[first.network]}")
        after = next((i for i, line in enumerate(lines) if line.startswith(("    apart by", "    probable"))), 2)
        lines[after:after] = own
    pairs = [f"{theirs} = {ours}" for theirs, ours in found.reports.items() if theirs != ours]
    if pairs:
        lines.append(f"  reports compared: {', '.join(pairs)}")
    shown = set(found.report.notes)
    return [*lines, *(f"  note: {note}" for note in found.notes if note not in shown)]


def render_draft(draft: Draft, folder: Path, found: Found) -> list[str]:
    """Returns: what became of a draft, as lines."""
    lines = [f"draft: {folder}/system.toml, with loss.toml and schedule.toml"]
    lines += [f"  loss of {network}: {text}" for network, text in draft.readings.items()]
    lines += [f"  not lifted: {text}" for text in draft.left]
    if found.agrees and found.report is not None:
        c = found.report.comparison
        count = f"{c.iterations} iteration{'' if c.iterations == 1 else 's'}"
        whole = "" if not draft.left else "; what was not lifted stays for you to write"
        lines.append(f"proved over {count}: your updater and the draft compute the same numbers{whole}")
    else:
        lines.append("refused: your updater and the draft differ")
    return [*lines, *render_text(found)]


def render_json(found: Found, draft: Draft | None = None) -> str:
    """Returns: a report in the format of `ganspec crosscheck --json`, with a table "updater" besides, ASCII."""
    versions = {"ganspec": ganspec.__version__, "python": platform.python_version(), "numpy": np.__version__}
    compared = (found.report.comparison,) if found.report is not None else ()
    data = report_as_data(Report(compared, versions | backends.versions("chainer")))
    data["agrees"] = found.agrees
    data["updater"] = {
        "stopped": found.stopped,
        "where": found.where,
        "losses": list(found.losses),
        "suggestion": found.report.suggestion if found.report is not None else "",
        "notes": list(found.notes),
        "reports": dict(found.reports),
    }
    if draft is not None:
        data["draft"] = {"losses": dict(draft.readings), "not_lifted": list(draft.left)}
    return json.dumps(data, indent=1, allow_nan=False) + "\n"
