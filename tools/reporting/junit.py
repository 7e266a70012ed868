"""A report as JUnit's XML: a suite for each system, a test for each kind of quantity and pair of witnesses.

JUnit has no written standard. The schema of Jenkins (junit-10.xsd of its xUnit plugin) is the one that most readers follow;
there, properties stand at the suites, and times are plain seconds.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ganspec.spec.text.errors import printable
from ganspec.tools.agreement.report import Comparison, Report, Row
from ganspec.tools.reporting.wording import (
    NOTHING,
    divergence,
    how_far,
    labels,
    number,
    pair_name,
    ratio,
    relative,
    settings,
    where,
    word,
)  # fmt: skip


def render_junit(report: Report) -> str:
    """Write a report as JUnit's XML.

    A test fails if its row does not agree, whether it disagrees or diverged. A system without rows, and a report without systems,
    has one test, which fails: no agreement was found.

    Args:
        report: report to write.

    Returns: the text of an XML document; characters that XML cannot hold are escapes.
    """
    root = ElementTree.Element("testsuites", {"name": "ganspec"})
    names = labels(report.comparisons)
    for comparison, label in zip(report.comparisons, names, strict=True):
        root.append(_suite(comparison, label, report))
    if not report.comparisons:
        root.append(_counted(ElementTree.Element("testsuite", {"name": "ganspec"}), [_nothing("ganspec")]))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(c.seconds for c in report.comparisons):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _suite(comparison: Comparison, label: str, report: Report) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", {"name": printable(label), "time": f"{comparison.seconds:.3f}"})
    properties = ElementTree.SubElement(suite, "properties")
    values = {"system": comparison.system, "witnesses": ", ".join(comparison.witnesses)}
    values |= {name: str(getattr(comparison, name)) for name in ("dtype", "device", "seed", "iterations", "batch")}
    values["sizes"] = settings(comparison)["sizes"]
    values |= {f"version {name}": version for name, version in report.versions.items()}
    if comparison.bundle:
        values["bundle"] = comparison.bundle
    for name, value in values.items():
        ElementTree.SubElement(properties, "property", {"name": printable(name), "value": printable(value)})
    cases = [_case(row, comparison, label) for row in comparison.rows]
    return _counted(suite, cases or [_nothing(label)])


def _counted(suite: ElementTree.Element, cases: list[ElementTree.Element]) -> ElementTree.Element:
    suite.extend(cases)
    failures = sum(case.find("failure") is not None for case in cases)
    for name, count in (("tests", len(cases)), ("failures", failures), ("errors", 0)):
        suite.set(name, str(count))
    return suite


def _case(row: Row, comparison: Comparison, label: str) -> ElementTree.Element:
    case = _test(label, f"{row.kind} {pair_name(row.pair)}")
    if row.wrong == 0:
        return case
    worst = row.worst
    message = f"{pair_name(row.pair)} {word(row)} on {row.wrong:,} of {row.compared:,}; worst: {where(worst)}: {how_far(worst)}"
    lines = [
        f"error / size   {number(relative(worst))}",
        f"error / allowance   {ratio(worst.ratio)}",
        *([f"defined in   {worst.source}"] if worst.source else []),
    ]
    if found := divergence(comparison):
        lines += ["", f"first divergence of {comparison.system}"]
        lines += [f"{name if i == 0 else '':<12}{text}" for name, texts in found for i, text in enumerate(texts)]
    _fail(case, word(row), message, lines)
    return case


def _nothing(label: str) -> ElementTree.Element:
    case = _test(label, "something is compared")
    _fail(case, NOTHING, NOTHING, ["no quantity was compared, so nothing can be said"])
    return case


def _test(label: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", {"classname": printable(f"ganspec.{label}"), "name": printable(name)})


def _fail(case: ElementTree.Element, kind: str, message: str, lines: list[str]) -> None:
    failure = ElementTree.SubElement(case, "failure", {"type": kind, "message": printable(message)})
    failure.text = "\n".join(map(printable, lines))
