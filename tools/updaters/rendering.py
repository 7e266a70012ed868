"""What a lockstep found, as lines for people and as JSON."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

import numpy as np

import ganspec
from ganspec.tools import backends
from ganspec.tools.agreement.report import Report
from ganspec.tools.reporting.json_writer import report_as_data
from ganspec.tools.updaters.drafting import Draft
from ganspec.tools.updaters.lockstep import Found, loss_of

FORMAT = "ganspec updater 1"


def render_text(found: Found, draft: Draft | None = None) -> list[str]:
    """Returns: the report as lines, with the lines of his file.

    Args:
        found: what was found.
        draft: his losses as formulas; that of the network is shown where a gradient or a loss differs.
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
        if draft and (network := loss_of(first)) in draft.readings:
            reading = draft.readings[network]
            own.append(f"    your loss of {network} reads: {reading}")
            own += [f"      where {n} = {text}" for n, text in draft.defines.items() if re.search(rf"\b{n}\b", reading)]
        defined = next((i for i, line in enumerate(lines) if line.startswith("    defined at")), 2)
        after = defined + 1
        lines[after:after] = own
    pairs = [f"{theirs} = {ours}" for theirs, ours in found.reports.items() if theirs != ours]
    if pairs:
        lines.append(f"  reports compared: {', '.join(pairs)}")
    shown = set(found.report.notes)
    return [*lines, *(f"  note: {note}" for note in found.notes if note not in shown)]


def render_draft(draft: Draft, folder: Path, found: Found) -> list[str]:
    """Returns: what became of a draft, as lines."""
    lines = [f"draft: {folder}/system.toml, with loss.toml and schedule.toml"]
    lines += [f"  loss of {name}: {text}" for name, text in draft.readings.items()]
    lines += [f"    where {name} = {text}" for name, text in draft.defines.items()]
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
    """Returns: what was found as JSON, ASCII; under "report" a report in the format of `ganspec crosscheck --json`, or null."""
    report, first = None, None
    if found.report is not None:
        versions = {"ganspec": ganspec.__version__, "python": platform.python_version(), "numpy": np.__version__}
        report = report_as_data(Report((found.report.comparison,), versions | backends.versions("chainer")))
        first = str(found.report.first.place) if found.report.first is not None else None
    data = {
        "format": FORMAT,
        "agrees": found.agrees,
        "stopped": found.stopped,
        "first": first,
        "where": found.where,
        "losses": list(found.losses),
        "suggestion": found.report.suggestion if found.report is not None else "",
        "notes": list(found.notes),
        "reports": dict(found.reports),
        "draft": {"losses": draft.readings, "defines": draft.defines, "not_lifted": draft.left} if draft else None,
        "report": report,
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"
