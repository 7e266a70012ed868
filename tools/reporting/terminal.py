"""A report as lines for a terminal: ASCII, at most `WIDTH` columns, no colour; the verdict is the last line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.agreement.report import Comparison, Report, Row
from ganspec.tools.reporting.changes import compare_reports, describe_changes
from ganspec.tools.reporting.wording import (
    AGREE,
    common_settings,
    divergence,
    headline,
    labels,
    number,
    pair_name,
    ratio,
    relative,
    settings,
    verdict,
    where,
    word,
    worst_row,
)  # fmt: skip

WIDTH = 100
_NAME = 34  # columns of a system's name
_KIND = 24  # columns of a kind of quantity
_PLACES = 3  # largest number of kinds whose worst place is written out below a table
_CHANGES = 20  # largest number of changes of one sort that are written out
_DIVERGENCES = 3  # largest number of first divergences that are written out for many systems


def render_terminal(report: Report, verbose: bool = False, against: Report | None = None) -> list[str]:
    """Write a report for a terminal.

    Of one system there is a table of kinds and pairs of witnesses; of several, one line for each system. Then come the first
    divergences, what changed, and the verdict.

    Args:
        report: report to write.
        verbose: whether each system has a table, with a line for each kind and pair, and its worst place.
        against: an older report, with which this one is compared; None for none.

    Returns: the lines; ASCII, at most `WIDTH` characters each, but for a command that is longer.
    """
    single = len(report.comparisons) == 1
    lines: list[str] = []
    if single or verbose:
        for comparison, label in zip(report.comparisons, labels(report.comparisons), strict=True):
            lines += [*_system(comparison, label, verbose), ""]
    if not single and report.comparisons:
        lines += [*_summary(report), ""]
    wrong = [c for c in report.comparisons if c.first is not None]
    for comparison in wrong if verbose else wrong[:_DIVERGENCES]:
        lines += [*_divergence(comparison, "" if single else comparison.system), ""]
    if len(wrong) > _DIVERGENCES and not verbose:
        lines += [f"{counted(len(wrong) - _DIVERGENCES, 'first divergence')} more: --verbose writes all", ""]
    if against is not None:
        lines += [*_changes(against, report, verbose), ""]
    return [*lines, *_wrapped(headline(report))]


def _system(comparison: Comparison, label: str, verbose: bool) -> list[str]:
    count = f"{sum(row.compared for row in comparison.rows):,} comparisons"
    lines = _wrapped(f"{label}: {', '.join(settings(comparison).values())}, {count}, {comparison.seconds:.1f} s")
    if not comparison.rows:
        return [*lines, "  nothing was compared"]
    pairs = list(dict.fromkeys(row.pair for row in comparison.rows))
    if verbose or len(pairs) == 1:
        for pair in pairs:
            lines += _wrapped(pair_name(pair), "  ")
            lines += _long_table([row for row in comparison.rows if row.pair == pair])
        return lines
    lines += _table(comparison, pairs)
    wrong = [worst_row(row for row in comparison.rows if row.kind == kind) for kind in _kinds(comparison)]
    wrong = [row for row in wrong if row and row.wrong]
    for row in wrong[:_PLACES]:
        text = f"{row.kind}, {pair_name(row.pair)}: {row.wrong:,} of {row.compared:,} {word(row)}; worst: {where(row.worst)}"
        lines += _wrapped(text, "  ")
    if len(wrong) > _PLACES:
        lines.append(f"  {counted(len(wrong) - _PLACES, 'kind')} more: --verbose writes all")
    closest = worst_row(comparison.rows)
    if not wrong and closest:
        text = f"closest to its allowance: {closest.kind}, {pair_name(closest.pair)}: {where(closest.worst)}"
        lines += _wrapped(text, "  ")
    return lines


def _kinds(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(row.kind for row in comparison.rows))


def _table(comparison: Comparison, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Returns: a line for each kind and two columns for each pair; pairs that do not fit beside the others follow below."""
    rows = {(row.kind, row.pair): row for row in comparison.rows}
    lines: list[str] = []
    for group in _groups(pairs):
        names = [_cut(pair_name(pair), _column(pair)) for pair in group]
        lines.append(
            "  " + " " * _KIND + "".join(f"  {name:>{_column(p)}}" for name, p in zip(names, group, strict=True))
        )
        heads = "".join(f"  {'error':>{_column(p) - 8}} {'ratio':>7}" for p in group)
        lines.append(f"  {'quantity':<{_KIND}}{heads}  verdict")
        for kind in _kinds(comparison):
            found = [rows[kind, pair] for pair in group if (kind, pair) in rows]
            cells = "".join(f"  {_cell(rows.get((kind, pair)), _column(pair))}" for pair in group)
            worst = worst_row(found)
            lines.append(f"  {_cut(kind, _KIND):<{_KIND}}{cells}  {word(worst) if worst else '-'}")
    return lines


def _cell(row: Row | None, width: int) -> str:
    if row is None:
        return f"{'-':>{width - 8}} {'-':>7}"
    return f"{number(relative(row.worst)):>{width - 8}} {ratio(row.worst.ratio):>7}"


def _column(pair: tuple[str, str]) -> int:
    return min(max(16, len(_ascii(pair_name(pair)))), 28)


def _groups(pairs: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Returns: the pairs in groups whose columns fit side by side."""
    groups: list[list[tuple[str, str]]] = []
    room = 0
    for pair in pairs:
        if room < _column(pair) + 2:
            groups.append([])
            room = WIDTH - 2 - _KIND - len("  DISAGREE")
        groups[-1].append(pair)
        room -= _column(pair) + 2
    return groups


def _long_table(rows: Sequence[Row]) -> list[str]:
    """Returns: for each kind its count, error, allowance, ratio, verdict, and the worst place, which may take more lines."""
    lines = [f"  {'quantity':<{_KIND}} {'count':>6} {'error':>8} {'allowed':>8} {'ratio':>7}  verdict   worst"]
    for row in rows:
        worst = row.worst
        allowed = worst.allowance / worst.size if worst.size else worst.allowance
        line = f"  {_cut(row.kind, _KIND):<{_KIND}} {row.compared:>6} {number(relative(worst)):>8} {number(allowed):>8}"
        line += f" {ratio(worst.ratio):>7}  {word(row):<8}  "
        lines += _wrapped(where(worst) + (f" ({worst.reason})" if worst.reason else ""), line)
    return lines


def _summary(report: Report) -> list[str]:
    """Returns: a line for each system: verdict, worst ratio, time, and where that ratio is."""
    names = labels(report.comparisons)
    width = min(_NAME, max(len("system"), *(len(_ascii(name)) for name in names)))
    title = ", ".join([counted(len(names), "system"), *common_settings(report.comparisons)])
    lines = [*_wrapped(title), f"  {'system':<{width}}  {'verdict':<8} {'ratio':>7} {'seconds':>8}  worst"]
    for comparison, name in zip(report.comparisons, names, strict=True):
        worst, found = worst_row(comparison.rows), verdict(comparison)
        line = f"  {_cut(name, width):<{width}}  {found if worst else '-':<8} {ratio(worst.worst.ratio) if worst else '-':>7}"
        line += f" {comparison.seconds:>8.1f}  "
        place = f"{worst.kind}, {pair_name(worst.pair)}: {worst.worst.name}" if worst else found
        lines.append(line + _cut(place, WIDTH - len(line)))
    return lines


def _divergence(comparison: Comparison, system: str) -> list[str]:
    lines = _wrapped(f"first divergence{f' of {system}' if system else ''}")
    for label, texts in divergence(comparison):
        for i, text in enumerate(texts):
            start = f"  {label if i == 0 else '':<12}"
            # A command is copied: it stays on one line.
            lines += [start + _ascii(text)] if label == "replay" else _wrapped(text, start)
    return lines


def _changes(old: Report, new: Report, verbose: bool) -> list[str]:
    changes = compare_reports(old, new)
    if not changes:
        return ["against the older report: nothing changed"]
    worse = "something that agreed no longer agrees" if changes.regressed else f"all that did {AGREE} still does"
    lines = [f"against the older report: {worse}"]
    for heading, texts in describe_changes(changes):
        lines.append(f"  {heading}")
        for text in texts if verbose else texts[:_CHANGES]:
            lines += _wrapped(text, "    ")
        if len(texts) > _CHANGES and not verbose:
            lines.append(f"    {len(texts) - _CHANGES:,} more: --verbose writes all")
    return lines


def _wrapped(text: str, indent: str = "") -> list[str]:
    """Returns: the text in lines of at most `WIDTH`, the first after `indent`, the others as far in and two columns further."""
    hanging = " " * (len(indent) + (0 if indent.strip() else 2))
    return textwrap.wrap(
        _ascii(text), WIDTH, initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False
    ) or [indent.rstrip()]  # fmt: skip


def _cut(text: str, width: int) -> str:
    """Returns: the text, at most `width` characters of it; dots stand for what is left out."""
    text = _ascii(text)
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."


def _ascii(text: str) -> str:
    """Returns: the text with escapes for control characters and for letters that a terminal might not have."""
    return printable(text).encode("ascii", "backslashreplace").decode()
