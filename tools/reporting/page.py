"""A report as one HTML page. It needs no network and no script; all text in it is escaped, because names come from strangers."""

from __future__ import annotations

import ganspec
from ganspec.spec.text.errors import counted
from ganspec.tools.agreement.report import Comparison, Report
from ganspec.tools.reporting.changes import compare_reports, describe_changes
from ganspec.tools.reporting.charts import scatter
from ganspec.tools.reporting.document import document
from ganspec.tools.reporting.elements import Markup, element, joined
from ganspec.tools.reporting.system_section import anchor, badge, bar, css_class, system_section
from ganspec.tools.reporting.wording import (
    AGREE,
    DISAGREE,
    DIVERGED,
    NOTHING,
    common_settings,
    headline,
    labels,
    pair_name,
    ratio,
    verdict,
    where,
    worst_row,
)  # fmt: skip

_MARKS = {AGREE: "\u2713", DISAGREE: "\u2717", DIVERGED: "\u2248", NOTHING: "\u2205"}
_ORDER = (DISAGREE, DIVERGED, NOTHING, AGREE)  # of the sections


def render_html(report: Report, against: Report | None = None) -> str:
    """Write a report as one page.

    Args:
        report: report to write.
        against: an older report, with which this one is compared; None for none.

    Returns: the whole file, to be written as UTF-8; it refers to nothing outside itself.
    """
    names = labels(report.comparisons)
    order = sorted(range(len(names)), key=lambda i: _ORDER.index(verdict(report.comparisons[i])))
    parts = [_top(report)]
    if against is not None:
        parts.append(_changes(against, report))
    if len(names) > 1:
        parts.append(_summary(report, names, order))
        parts.append(_allowances(report, names))
    parts.append(element("h2", "System" if len(names) == 1 else "Systems"))
    for i in order:
        comparison = report.comparisons[i]
        is_open = len(names) == 1 or verdict(comparison) != AGREE
        parts.append(system_section(comparison, names[i], i, is_open))
    if len(names) == 1:
        parts.append(_allowances(report, names))
    parts.append(_versions(report))
    return document(f"ganspec: {headline(report)}", *parts)


def _allowances(report: Report, names: list[str]) -> Markup:
    drawn = scatter(report.comparisons, names)
    said = "A dot for each system, kind and pair of witnesses. What lies above the dashed line does not agree."
    heading = joined(element("h2", "Error against allowance"), element("p", said, class_="soft small"))
    return joined(heading, element("div", drawn, class_="scroll")) if drawn else drawn


def _verdict(report: Report) -> str:
    """Returns: the verdict on the whole report: the worst of its systems."""
    return min((verdict(c) for c in report.comparisons), key=_ORDER.index, default=NOTHING)


def _top(report: Report) -> Markup:
    found = _verdict(report)
    text = f"{_MARKS[found]} {headline(report)}"
    sentence = element("div", text, class_=f"verdict {css_class(found)}", role="status")
    systems = report.comparisons
    worst = worst_row(row for c in systems for row in c.rows)
    tiles = {
        "systems that agree": f"{sum(c.agrees for c in systems):,} of {len(systems):,}",
        "comparisons": f"{sum(row.compared for c in systems for row in c.rows):,}",
        "largest share of an allowance": ratio(worst.worst.ratio) if worst else "\u2013",
        "time": _time(sum(c.seconds for c in systems)),
    }
    facts = [element("div", element("dt", name), element("dd", value)) for name, value in tiles.items()]
    common = ", ".join(common_settings(systems))
    return joined(
        element("h1", "ganspec: do the implementations compute the same?"),
        sentence,
        element("dl", *facts, class_="tiles"),
        element("p", f"All systems: {common}." if len(systems) > 1 and common else "", class_="soft small"),
    )


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{seconds:.1f} s"


def _changes(old: Report, new: Report) -> Markup:
    changes = compare_reports(old, new)
    if not changes:
        said = "Nothing changed: systems, verdicts, counts, settings and versions are the same, and no error has grown."
        return joined(element("h2", "Against the older report"), element("p", said))
    kind, said = AGREE, "all that agreed still agrees"
    if changes.regressed:
        kind, said = DISAGREE, "something that agreed no longer agrees"
    worse = element("span", said, class_=f"badge {css_class(kind)}")
    parts: list[Markup] = [element("p", worse)]
    for heading, lines in describe_changes(changes):
        parts += [
            element("h3", heading[:1].upper() + heading[1:]),
            element("ul", *(element("li", line) for line in lines)),
        ]
    return element("section", element("h2", "Against the older report"), *parts, class_="changes")


def _summary(report: Report, names: list[str], order: list[int]) -> Markup:
    head = element(
        "tr",
        element("th", "system, and where its worst error is", scope="col"),
        element("th", "error / allowance", scope="col"),
        element("th", "seconds", scope="col", class_="n seconds"),
    )
    rows = [_summary_row(report.comparisons[i], names[i], i) for i in order]
    table = element("table", element("thead", head), element("tbody", *rows))
    return joined(element("h2", counted(len(names), "system")), element("div", table, class_="scroll"))


def _summary_row(comparison: Comparison, name: str, i: int) -> Markup:
    worst = worst_row(comparison.rows)
    place = f"{worst.kind}, {pair_name(worst.pair)}: {where(worst.worst)}" if worst else ""
    link = element("a", name, href=f"#{anchor(i)}")
    system = element("th", link, badge(verdict(comparison)), element("span", place, class_="where"), scope="row")
    share = joined(element("b", ratio(worst.worst.ratio)), bar(worst)) if worst else Markup("\u2013")
    return element("tr", system, element("td", share), element("td", f"{comparison.seconds:.1f}", class_="n seconds"))


def _versions(report: Report) -> Markup:
    rows = [
        element("tr", element("th", name, scope="row"), element("td", text)) for name, text in report.versions.items()
    ]
    said = f"Written by ganspec {ganspec.__version__}."
    table = element("div", element("table", element("tbody", *rows)), class_="scroll") if rows else Markup("")
    return joined(element("h2", "Versions"), table, element("p", said, class_="soft small"))
