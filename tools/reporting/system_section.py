"""One system in the page of a report: the first divergence, tables, curves, pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ganspec.tools.agreement.report import Comparison, Row
from ganspec.tools.reporting.charts import colour, curves
from ganspec.tools.reporting.elements import Markup, element, joined
from ganspec.tools.reporting.pictures import samples
from ganspec.tools.reporting.wording import (
    AGREE,
    DIVERGED,
    divergence,
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

_DECADES = 4  # powers of ten on either side of the allowance in a bar


def anchor(i: int) -> str:
    """Returns: the id of the section of the system of that number."""
    return f"system-{i}"


def badge(found: str) -> Markup:
    """Returns: a verdict as a coloured word."""
    return element("span", found, class_=f"badge {css_class(found)}")


def css_class(found: str) -> str:
    """Returns: the class in page.css of a verdict: its first word in small letters."""
    return found.partition(" ")[0].lower()


def bar(row: Row) -> Markup:
    """Returns: the ratio of error to allowance as a bar, logarithmic; where the mark in its middle is, they are equal."""
    value = row.worst.ratio
    if value == 0:
        share = 0.0
    elif not math.isfinite(value):
        share = 100.0
    else:
        share = 50 + 50 * min(max(math.log10(value) / _DECADES, -1.0), 1.0)
    kind = {AGREE: None, DIVERGED: "warn"}.get(word(row), "bad")
    return element("span", element("i", style=f"width:{share:.1f}%", class_=kind), class_="bar")


def system_section(comparison: Comparison, label: str, i: int, is_open: bool) -> Markup:
    """Write the section of one system.

    Args:
        comparison: what was found on it.
        label: its name in the report.
        i: its number, for links.
        is_open: whether it can be seen without a click.

    Returns: a details element.
    """
    pairs = list(dict.fromkeys([*(row.pair for row in comparison.rows), *(pair for _, pair in comparison.curves)]))
    worst = worst_row(comparison.rows)
    summary = [element("b", label), badge(verdict(comparison))]
    if worst:
        summary.append(element("span", f" ratio {ratio(worst.worst.ratio)}", class_="soft small"))
    how = f"{', '.join(comparison.witnesses)}; {', '.join(settings(comparison).values())}; {comparison.seconds:.1f} s"
    parts = [element("p", how, class_="soft small"), _first_divergence(comparison)]
    if comparison.rows:
        parts += [_table(comparison, pairs), _places(comparison.rows)]
    else:
        parts.append(element("p", "Nothing was compared."))
    if drawn := curves(comparison, pairs):
        parts += [element("h3", "Distance over the iterations"), _legend(comparison, pairs)]
        parts.append(element("div", drawn, class_="figures"))
    if shown := samples(comparison):
        parts += [
            element("h3", "Samples of the same latents, after training"),
            element("div", shown, class_="pictures"),
        ]
    inner = element("div", *parts, id=anchor(i))
    return element("details", element("summary", *summary), inner, class_="system", open="" if is_open else None)


def _first_divergence(comparison: Comparison) -> Markup:
    fields = divergence(comparison)
    if not fields:
        return Markup("")
    rows = []
    for label, lines in fields:
        mono = label in ("quantity", "values", "defined in", "replay")
        rows += [
            element("dt", label),
            element("dd", *(element("div", line) for line in lines), class_="mono" if mono else None),
        ]
    kind = "card warn" if comparison.first and comparison.first.difference.diverged else "card"
    return element("div", element("h3", "First divergence"), element("dl", *rows), class_=kind)


def _table(comparison: Comparison, pairs: Sequence[tuple[str, str]]) -> Markup:
    rows = {(row.kind, row.pair): row for row in comparison.rows}
    used = [pair for pair in pairs if any(row.pair == pair for row in comparison.rows)]
    head = [element("th", "quantity", scope="col"), *(element("th", pair_name(pair), scope="col") for pair in used)]
    body = []
    for kind in dict.fromkeys(row.kind for row in comparison.rows):
        cells = [_cell(rows.get((kind, pair))) for pair in used]
        body.append(element("tr", element("th", kind, scope="row"), *cells))
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return joined(
        element("h3", "Worst error of each kind"),
        element(
            "p", "Left the error as a share of the quantity's size, right as a share of what is allowed; the bar shows the "
            "latter, logarithmic, and its mark is what is allowed.", class_="soft small",
        ),
        element("div", table, class_="scroll"),
    )  # fmt: skip


def _cell(row: Row | None) -> Markup:
    if row is None:
        return element("td", "\u2013", class_="soft")
    kind = {AGREE: None, DIVERGED: "warn"}.get(word(row), "bad")
    numbers = [element("span", number(relative(row.worst))), element("b", ratio(row.worst.ratio))]
    title = f"{word(row)}: {row.wrong:,} of {row.compared:,} do not agree; worst: {where(row.worst)}"
    return element("td", element("span", *numbers, class_="cell"), bar(row), class_=kind, title=title)


def _places(rows: Sequence[Row]) -> Markup:
    names = ["quantity", "pair", "compared", "not agreeing", "error", "size", "allowance", "ratio", "verdict"]
    numeric = {"compared", "not agreeing", "error", "size", "allowance", "ratio"}
    head = [element("th", name, scope="col", class_="n" if name in numeric else None) for name in names]
    body = []
    for row in rows:
        worst = row.worst
        said = (
            where(worst) + (f"; {worst.reason}" if worst.reason else "") + (f"; {worst.source}" if worst.source else "")
        )
        counts = [
            f"{row.compared:,}",
            f"{row.wrong:,}",
            number(worst.error),
            number(worst.size),
            number(worst.allowance),
        ]
        cells = [element("td", text, class_="n") for text in [*counts, ratio(worst.ratio)]]
        name = element("th", row.kind, element("span", said, class_="where"), scope="row")
        body.append(element("tr", name, element("td", pair_name(row.pair)), *cells, element("td", badge(word(row)))))
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return element(
        "details", element("summary", "All numbers and worst places"), element("div", table, class_="scroll")
    )


def _legend(comparison: Comparison, pairs: Sequence[tuple[str, str]]) -> Markup:
    drawn = {pair for _, pair in comparison.curves}
    entries = [
        element("li", element("i", class_=colour(i)), pair_name(pair)) for i, pair in enumerate(pairs) if pair in drawn
    ]
    entries.append(element("li", element("i", class_="allowed"), "allowed"))
    if any(not math.isfinite(p.error) for points in comparison.curves.values() for p in points):
        entries.append(element("li", "\u00d7 not finite"))
    return element("ul", *entries, class_="legend")
