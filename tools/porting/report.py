"""What a proof found, as lines for a terminal and as JSON.

The JSON has `format` ("ganspec port report 1"), `verdict` ("proved", "differs" or "refused"), `class` and `file`, `versions`,
`modes`; `refused` and `unexercised`, lists of texts; `lines`, how many lines of his ran and of how many, and `missed`,
stretches of lines that did not, with `file`, `first`, `last`, `function`; `cases`, how both were run, and `rows`, one for each
quantity: the number of its `case`, `kind`, `name`, `difference` (the largest of a number), `largest` (the largest number),
`allowed`, `ratio`, `agrees`, `note`. Numbers that are not finite are null. No time stands in it: the same proof gives the same
text.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.porting.coverage import named
from ganspec.tools.porting.proof import Proof
from ganspec.tools.porting.rows import Case, Row, failures
from ganspec.tools.reporting.wording import number, ratio

FORMAT = "ganspec port report 1"
WIDTH = 100
_SHOWN = 5  # differences, and stretches of lines, that the terminal gets
_KIND = 20  # columns of a kind of quantity


@dataclass(frozen=True)
class PortReport:
    """A proof, and what it is a proof of.

    Args:
        cls: name of his class.
        file: his file, as he named it.
        proof: what was found; None where nothing could be run.
        refused: what could not be translated, each with his line.
        notes: what else he should know, such as what a snapshot lacks.
        versions: versions of ganspec, Python and libraries.
        modes: modes that were compared.
    """

    cls: str
    file: str
    proof: Proof | None
    refused: Sequence[str] = ()
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    modes: Sequence[str] = ()

    @property
    def all_refused(self) -> list[str]:
        """What could not be translated, and why his model cannot be compared."""
        return [*self.refused, *(self.proof.refused if self.proof else ())]

    @property
    def verdict(self) -> str:
        """Returns: "proved", "differs" or "refused"."""
        if self.proof is not None and self.proof.first is not None:
            return "differs"
        return "proved" if self.proof is not None and self.proof.proved and not self.all_refused else "refused"


def render_terminal(report: PortReport, verbose: bool = False) -> list[str]:
    """Write a report for a terminal.

    Args:
        report: report to write.
        verbose: whether every difference and every stretch of lines is written.

    Returns: the lines, ASCII; the verdict is the last.
    """
    proof, lines = report.proof, []
    if proof is not None and proof.rows:
        cases = len({row.case for row in proof.rows})
        lines += [
            f"{report.cls}: {counted(len(proof.rows), 'quantity').replace('quantitys', 'quantities')} in {counted(cases, 'case')}"
        ]
        lines += [*_table(proof.rows), ""]
        lines += _differences(proof.rows, verbose)
    if report.all_refused:
        lines += ["cannot be ported:", *_block(report.all_refused), ""]
    if proof is not None:
        if proof.unexercised:
            lines += ["not exercised:", *_block(proof.unexercised), ""]
        lines += _lines_missed(proof, verbose)
    if report.notes:
        lines += ["notes:", *_block(report.notes), ""]
    return [*lines, *_wrapped(_headline(report))]


def render_json(report: PortReport) -> str:
    """Returns: a report as JSON, in the format that this module's docstring describes; ASCII, which ends in a newline."""
    proof = report.proof or Proof()
    cases = list(dict.fromkeys(row.case for row in proof.rows))
    data = {
        "format": FORMAT,
        "verdict": report.verdict,
        "class": report.cls,
        "file": report.file,
        "versions": dict(report.versions),
        "modes": list(report.modes),
        "refused": report.all_refused,
        "unexercised": list(proof.unexercised),
        "notes": list(report.notes),
        "lines": {"ran": proof.lines[0], "of": proof.lines[1]},
        "missed": [
            {"file": named(m.file), "first": m.first, "last": m.last, "function": m.function} for m in proof.missed
        ],
        "cases": [_case(case) for case in cases],
        "rows": [_row(row, cases.index(row.case)) for row in proof.rows],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def _case(case: Case) -> dict[str, Any]:
    return {
        "dtype": case.dtype,
        "mode": case.mode,
        "parameters": case.parameters,
        "batch": case.batch,
        "scale": str(case.scale),
        "more": case.more,
        "seed": case.seed,
        "call": case.call,
    }


def _row(row: Row, case: int) -> dict[str, Any]:
    numbers = {"difference": row.difference, "largest": row.largest, "allowed": row.allowed, "ratio": row.ratio}
    return {
        "case": case,
        "kind": row.kind,
        "name": row.name,
        **{name: float(value) if math.isfinite(value) else None for name, value in numbers.items()},
        "agrees": row.agrees,
        "note": row.note,
    }


def _table(rows: Sequence[Row]) -> list[str]:
    """Returns: a line for each kind and mode: count, worst relative difference and its share of the bound, in each precision."""
    heads = "".join(f"  {'count':>6} {'error':>8} {'ratio':>7}" for _ in range(2))
    lines = [
        f"  {'':<{_KIND}} {'':<9}  {'float64':^23}  {'float32':^23}",
        f"  {'quantity':<{_KIND}} {'mode':<9}{heads}  verdict",
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        for mode in ("training", "inference"):
            own = [row for row in rows if row.kind == kind and row.case.mode == mode]
            if own:
                cells = "".join(_cells([r for r in own if r.case.dtype == dtype]) for dtype in ("float64", "float32"))
                verdict = "agree" if all(row.agrees for row in own) else "DIFFER"
                lines.append(f"  {kind:<{_KIND}} {mode:<9}{cells}  {verdict}")
    return lines


def _cells(rows: Sequence[Row]) -> str:
    if not rows:
        return f"  {'-':>6} {'-':>8} {'-':>7}"
    # What is rounding and nothing else, as a bias's gradient before batch norm, has no relative error worth a look.
    error = max((row.relative for row in rows if not row.agrees or row.allowed < row.largest), default=0.0)
    return f"  {len(rows):>6} {number(error):>8} {ratio(max(row.ratio for row in rows)):>7}"


def _differences(rows: Sequence[Row], verbose: bool) -> list[str]:
    wrong = list(failures(rows))
    if not wrong:
        return []
    # The first case that differs says most: the others follow from it. Of each case, the forward pass comes first.
    first = [row for row in rows if not row.agrees]
    lines = ["differences, in the order in which they were found:"]
    for row in first if verbose else first[:_SHOWN]:
        apart = (
            f"differs by {number(row.difference)}, allowed {number(row.allowed)}"
            if math.isfinite(row.difference)
            else row.note
        )
        note = f" ({row.note})" if row.note and math.isfinite(row.difference) else ""
        lines += _wrapped(f"{row.kind} {row.name}: {apart}{note}" if row.name else f"{row.kind}: {row.note}", "  ")
        lines += _wrapped(f"in {row.case}", "      ")
    if len(first) > _SHOWN and not verbose:
        lines.append(f"  and {len(first) - _SHOWN:,} more: --verbose writes all")
    return [*lines, ""]


def _lines_missed(proof: Proof, verbose: bool) -> list[str]:
    ran, total = proof.lines
    if not proof.missed:
        return []
    shown = proof.missed if verbose else proof.missed[:_SHOWN]
    more = (
        [f"and {len(proof.missed) - len(shown)} more: --verbose writes all"] if len(shown) < len(proof.missed) else []
    )
    return [f"lines of yours that did not run ({ran} of {total} ran):", *_block([*map(str, shown), *more]), ""]


def _headline(report: PortReport) -> str:
    proof = report.proof
    name = f"{report.file}:{report.cls}"
    if report.verdict == "proved" and proof is not None:
        said = "everything that ran agrees"
        return f"PROVED: {name} and its port: {said}" + (
            "; see above what did not run" if proof.unexercised or proof.missed else ""
        )
    if report.verdict == "differs" and proof is not None:
        wrong = sum(not row.agrees for row in proof.rows)
        return f"DIFFERS: {name} and its port: {wrong:,} of {len(proof.rows):,} quantities differ"
    count = len(report.all_refused)
    return f"REFUSED: {name}: {counted(count, 'reason') + ' above' if count else 'nothing was compared'}"


def _block(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(text, "  ")]


def _wrapped(text: str, indent: str = "") -> list[str]:
    """Returns: lines of at most `WIDTH`; a text's own lines stay lines."""
    lines = []
    for i, part in enumerate(text.split("\n")):
        inside = indent + ("    " if i and part.startswith("    ") else "")
        ascii_part = printable(part.strip()).encode("ascii", "backslashreplace").decode()
        lines += textwrap.wrap(
            ascii_part,
            WIDTH,
            initial_indent=inside,
            subsequent_indent=inside + "  ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    return lines
