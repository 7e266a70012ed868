"""Reports in a terminal: golden texts, and what holds for any report."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from ganspec.tools.agreement.report import Place, Report
from ganspec.tools.reporting import render_terminal
from ganspec.tools.reporting.terminal import WIDTH
from support.drawn_reports import reports
from support.reports import comparison, mixed_report, report, with_divergence, with_values_that_are_not_finite

GOLDEN = Path(__file__).parent / "golden"
AGREEING = report(comparison())
CASES = {
    "agree": (AGREEING, False, None),
    "agree_verbose": (AGREEING, True, None),
    "disagree": (report(with_divergence(comparison())), False, AGREEING),
    "diverged": (report(with_values_that_are_not_finite(comparison(witnesses=("torch", "chainer")))), False, None),
    "mixed": (mixed_report(), False, None),
    "four_witnesses": (
        report(comparison(witnesses=("torch", "chainer", "reference", "my_own_training_step"))),
        False,
        None,
    ),
    "nothing": (Report((), {}), False, None),
}


@pytest.mark.parametrize("name", CASES)
def test_terminal_text_is_the_golden_one(name: str) -> None:
    made, verbose, against = CASES[name]
    assert "\n".join(render_terminal(made, verbose, against)) + "\n" == (GOLDEN / f"{name}.txt").read_text("ascii")


@given(reports, reports)
def test_any_report_fits_a_terminal_and_ends_in_its_verdict(made: Report, older: Report) -> None:
    for verbose in (False, True):
        lines = render_terminal(made, verbose, older)
        assert all(line.isascii() and line.isprintable() for line in lines)
        # A command is copied, so it stays on one line, however long it is.
        assert all(len(line) <= WIDTH for line in lines if "ganspec crosscheck --replay" not in line)
        last = " ".join(lines[len(lines) - lines[::-1].index("") :] if "" in lines else lines)
        said_otherwise = any(word in last for word in ("DISAGREE", "training diverged", "nothing was compared"))
        assert said_otherwise or made.agrees


def test_many_systems_have_a_line_each_and_tables_when_they_are_asked_for() -> None:
    made = report(*(comparison(f"system_{i}") for i in range(5)))
    brief, verbose = render_terminal(made), render_terminal(made, verbose=True)
    assert all(sum(line.strip().startswith(f"system_{i} ") for line in brief) == 1 for i in range(5))
    assert not any("quantity" in line for line in brief)
    assert sum("quantity" in line for line in verbose) == 5 * 3  # a table for each pair


def test_systems_that_occur_twice_are_told_apart() -> None:
    text = "\n".join(render_terminal(report(comparison(), comparison(dtype="float32"))))
    assert "began_mnist (float64)" in text
    assert "began_mnist (float32)" in text


def test_few_first_divergences_are_written_and_the_others_are_counted() -> None:
    made = report(*(with_divergence(comparison(f"system_{i}")) for i in range(5)))
    assert sum("first divergence of" in line for line in render_terminal(made)) == 3
    assert "2 first divergences more: --verbose writes all" in render_terminal(made)
    assert sum("first divergence of" in line for line in render_terminal(made, verbose=True)) == 5


def test_place_and_reason_of_what_cannot_be_compared_are_named() -> None:
    found = with_divergence(comparison(witnesses=("torch", "mine")))
    rows = tuple(
        replace(row, wrong=1, worst=replace(row.worst, error=float("inf"), reason="only torch has it", place=Place(7)))
        for row in found.rows
    )
    text = " ".join(" ".join(render_terminal(report(replace(found, rows=rows)))).split())
    assert "only torch has it" in text
    assert "iteration 7 (only" in text
