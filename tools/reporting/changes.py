"""What changed between two reports: systems, verdicts, ratios that grew, what is no longer compared, settings, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganspec.tools.agreement.report import Comparison, Report, Row
from ganspec.tools.reporting.wording import (
    AGREE,
    labels,
    listed,
    number,
    pair_name,
    rank,
    ratio,
    settings,
    verdict,
    where,
    word,
)  # fmt: skip

GROWTH = 10.0  # by which a ratio must grow to be reported: other libraries and threads sum in another order
ABSENT = "absent"  # in place of a verdict: the system is no longer in the report
UNCHANGED_BELOW = 1e-3  # ratios below this are alike: a thousandth of what is allowed is nothing but rounding


@dataclass(frozen=True)
class VerdictChange:
    """A verdict that is another one now.

    Args:
        system: label of the system.
        kind, pair: kind of quantity and pair of witnesses; both empty where it is the verdict on the whole system.
        old, new: the verdicts, words of `wording`.
    """

    system: str
    kind: str
    pair: str
    old: str
    new: str


@dataclass(frozen=True)
class Growth:
    """A ratio of error to allowance that grew by more than `GROWTH`, though the verdict is the same.

    Args:
        system, kind, pair: as in `VerdictChange`.
        old, new: the ratios.
        where: the quantity that has the new one.
    """

    system: str
    kind: str
    pair: str
    old: float
    new: float
    where: str


@dataclass(frozen=True)
class CoverageChange:
    """A count of compared quantities that is another one now, though the system was run in the same way; 0 is none at all."""

    system: str
    kind: str
    pair: str
    old: int
    new: int


@dataclass(frozen=True)
class SettingChange:
    """A setting or version that is another one now; empty where it was or is absent.

    Args:
        system: label of the system; empty for a version.
        name: name of the setting or library.
        old, new: its values in words.
    """

    system: str
    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Changes:
    """What changed from an old report to a new one.

    Args:
        added, removed: labels of the systems that only the new report has, and only the old one.
        verdicts: verdicts on systems, then on kinds and pairs, that are others now; a removed system that agreed is `ABSENT`.
        grown: ratios that grew by more than `GROWTH`.
        coverage: counts of compared quantities that are others now.
        settings: how systems were run.
        versions: versions of Python and of libraries.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    verdicts: tuple[VerdictChange, ...] = ()
    grown: tuple[Growth, ...] = ()
    coverage: tuple[CoverageChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    versions: tuple[SettingChange, ...] = ()

    @property
    def regressed(self) -> bool:
        """Whether something that agreed no longer agrees or is absent: a system, or one kind and pair in it."""
        return any(change.old == AGREE for change in self.verdicts)

    def __bool__(self) -> bool:
        return self != Changes()


def compare_reports(old: Report, new: Report) -> Changes:
    """Compare two reports.

    A system is the same one in both if name, dtype, device and size are; of several such, the first is compared with the first.

    Args:
        old: the earlier report.
        new: the later report.

    Returns: what changed; of two equal reports nothing, which is false.
    """
    before, after = _by_identity(old), _by_identity(new)
    verdicts: list[VerdictChange] = []
    rows: list[VerdictChange] = []
    grown: list[Growth] = []
    coverage: list[CoverageChange] = []
    changed: list[SettingChange] = []
    for key in [key for key in after if key in before]:
        (_, was), (label, now) = before[key], after[key]
        if verdict(was) != verdict(now):
            verdicts.append(VerdictChange(label, "", "", verdict(was), verdict(now)))
        ways = [
            SettingChange(label, name, value, settings(now)[name])
            for name, value in settings(was).items() if value != settings(now)[name]
        ]  # fmt: skip
        if was.witnesses != now.witnesses:
            ways.append(SettingChange(label, "witnesses", ", ".join(was.witnesses), ", ".join(now.witnesses)))
        changed += ways
        old_rows, new_rows = _rows(was), _rows(now)
        for place in dict.fromkeys([*old_rows, *new_rows]):
            earlier, later = old_rows.get(place), new_rows.get(place)
            kind, pair = place[0], pair_name(place[1])
            counts = (earlier.compared if earlier else 0, later.compared if later else 0)
            if counts[0] != counts[1] and was.rows and now.rows and not ways:
                coverage.append(CoverageChange(label, kind, pair, *counts))
            if earlier is None or later is None:
                continue
            if word(earlier) != word(later):
                rows.append(VerdictChange(label, kind, pair, word(earlier), word(later)))
            elif _has_grown(earlier.worst.ratio, later.worst.ratio):
                ratios = (earlier.worst.ratio, later.worst.ratio)
                grown.append(Growth(label, kind, pair, *ratios, where(later.worst)))
    removed = [(label, verdict(was)) for key, (label, was) in before.items() if key not in after]
    verdicts += [VerdictChange(label, "", "", found, ABSENT) for label, found in removed if found == AGREE]
    return Changes(
        added=tuple(label for key, (label, _) in after.items() if key not in before),
        removed=tuple(label for label, _ in removed),
        verdicts=(*verdicts, *rows),
        grown=tuple(grown),
        coverage=tuple(coverage),
        settings=tuple(changed),
        versions=tuple(_version_changes(old.versions, new.versions)),
    )


def describe_changes(changes: Changes) -> list[tuple[str, list[str]]]:
    """Returns: the changes as headings with lines of text, the most important first; headings without lines are left out."""

    def place(change: Growth | CoverageChange) -> str:
        return f"{change.system}: {change.kind} {change.pair}"

    absent = {change.system for change in changes.verdicts if change.new == ABSENT}
    sections = [
        ("no longer agrees", _verdict_lines([c for c in changes.verdicts if c.old == AGREE])),
        ("other verdict", _verdict_lines([c for c in changes.verdicts if c.old != AGREE])),
        (f"error more than {GROWTH:.0f} times closer to its allowance, or beyond it", [
            f"{place(c)}: ratio was {ratio(c.old)}, is {ratio(c.new)} ({c.where})" for c in changes.grown
        ]),
        ("no longer in the report", [name for name in changes.removed if name not in absent]),
        ("new in the report", list(changes.added)),
        ("other count of compared quantities", [f"{place(c)}: was {c.old:,}, is {c.new:,}" for c in changes.coverage]),
        ("run in another way", [f"{c.system}: {c.name}: was {c.old}, is {c.new}" for c in changes.settings]),
        ("versions", [f"{c.name}: was {c.old or 'absent'}, is {c.new or 'absent'}" for c in changes.versions]),
    ]  # fmt: skip
    return [(heading, lines) for heading, lines in sections if lines]


def changes_as_data(changes: Changes) -> dict[str, Any]:
    """Returns: the changes as JSON can hold them, with `regressed`; a ratio that is not finite is a text."""
    data = {"regressed": changes.regressed, **asdict(changes)}
    for growth in data["grown"]:
        growth |= {
            key: growth[key] if abs(growth[key]) < float("inf") else number(growth[key]) for key in ("old", "new")
        }
    return data


def _verdict_lines(changes: list[VerdictChange]) -> list[str]:
    """Returns: a line for each system, and one for all kinds of a system and pair that changed in the same way."""
    kinds: dict[tuple[str, str, str, str], list[str]] = {}
    for change in changes:
        kinds.setdefault((change.system, change.pair, change.old, change.new), []).append(change.kind)
    return [
        f"{system}: {f'{pair}: ' if pair else ''}was {old}, is {new}{f' ({listed(names)})' if pair else ''}"
        for (system, pair, old, new), names in kinds.items()
    ]


def _by_identity(report: Report) -> dict[tuple[Any, ...], tuple[str, Comparison]]:
    found: dict[tuple[Any, ...], tuple[str, Comparison]] = {}
    for label, c in zip(labels(report.comparisons), report.comparisons, strict=True):
        occurrence = 0
        while (key := (c.system, c.dtype, c.device, c.reduced, occurrence)) in found:
            occurrence += 1
        found[key] = (label, c)
    return found


def _rows(comparison: Comparison) -> dict[tuple[str, tuple[str, str]], Row]:
    return {(row.kind, row.pair): row for row in comparison.rows}


def _has_grown(old: float, new: float) -> bool:
    return rank(new) > rank(old) and rank(new) > GROWTH * max(rank(old), UNCHANGED_BELOW)


def _version_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[SettingChange]:
    names = sorted({*old, *new})
    return [SettingChange("", n, old.get(n, ""), new.get(n, "")) for n in names if old.get(n) != new.get(n)]
