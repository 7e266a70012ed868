"""What changed between two reports: laws, and each kind of change by itself."""

import json
from dataclasses import replace

from hypothesis import given

from ganspec.tools.agreement.report import Report
from ganspec.tools.reporting import (
    Changes,
    changes_as_data,
    compare_reports,
    describe_changes,
    render_html,
    render_terminal,
)
from ganspec.tools.reporting.changes import ABSENT, GROWTH, UNCHANGED_BELOW
from support.drawn_reports import reports
from support.reports import comparison, report, with_divergence, with_values_that_are_not_finite

AGREEING = report(comparison())
DISAGREEING = report(with_divergence(comparison()))


@given(reports)
def test_nothing_changes_between_a_report_and_itself(made: Report) -> None:
    assert compare_reports(made, made) == Changes()
    assert not compare_reports(made, made)


@given(reports, reports)
def test_there_and_back_are_mirror_images(a: Report, b: Report) -> None:
    there, back = compare_reports(a, b), compare_reports(b, a)
    assert (len(there.added), len(there.removed)) == (len(back.removed), len(back.added))
    assert len([v for v in there.verdicts if v.new != ABSENT]) == len([v for v in back.verdicts if v.new != ABSENT])
    assert [(v.name, v.old, v.new) for v in there.versions] == [(v.name, v.new, v.old) for v in back.versions]
    assert len(there.coverage) == len(back.coverage)
    json.dumps(changes_as_data(there), allow_nan=False)


@given(reports)
def test_added_systems_are_no_regression(made: Report) -> None:
    empty = Report((), made.versions)
    changes = compare_reports(empty, made)
    assert not changes.regressed
    assert len(changes.added) == len(made.comparisons)
    assert len(compare_reports(made, empty).removed) == len(made.comparisons)


def test_removed_system_is_a_regression_if_it_agreed() -> None:
    both = report(comparison(), with_divergence(comparison("gan_mlp_mnist")))
    fewer = compare_reports(both, report(both.comparisons[1]))
    assert fewer.regressed
    assert describe_changes(fewer) == [("no longer agrees", ["began_mnist: was agree, is absent"])]
    fewer = compare_reports(both, report(both.comparisons[0]))
    assert not fewer.regressed
    assert describe_changes(fewer) == [("no longer in the report", ["gan_mlp_mnist"])]


def test_what_agreed_and_no_longer_does_is_a_regression() -> None:
    changes = compare_reports(AGREEING, DISAGREEING)
    assert changes.regressed
    assert (changes.verdicts[0].kind, changes.verdicts[0].new) == ("", "DISAGREE")
    assert {(c.kind, c.pair) for c in changes.verdicts[1:]} >= {
        ("loss", "torch/chainer"),
        ("report", "chainer/reference"),
    }
    assert not compare_reports(DISAGREEING, AGREEING).regressed
    assert compare_reports(DISAGREEING, AGREEING).verdicts


def test_one_kind_more_that_disagrees_is_a_regression_though_the_system_disagreed_before() -> None:
    found = DISAGREEING.comparisons[0]
    rows = tuple(replace(row, wrong=1) if row.kind == "output" else row for row in found.rows)
    changes = compare_reports(DISAGREEING, report(replace(found, rows=rows)))
    assert changes.regressed
    assert {c.kind for c in changes.verdicts} == {"output"}


def test_system_in_which_nothing_is_compared_any_more_is_a_regression() -> None:
    assert compare_reports(AGREEING, report(comparison(rows=()))).regressed
    assert compare_reports(AGREEING, report(with_values_that_are_not_finite(comparison()))).regressed


def with_ratio(ratio: float) -> Report:
    row = comparison().rows[0]
    return report(comparison(rows=(replace(row, worst=replace(row.worst, error=ratio * row.worst.allowance)),)))


def test_ratio_that_grew_is_told_and_rounding_is_not() -> None:
    assert [(round(c.old, 6), round(c.new, 6)) for c in compare_reports(with_ratio(0.01), with_ratio(0.2)).grown] == [
        (0.01, 0.2)
    ]
    assert not compare_reports(with_ratio(0.2), with_ratio(0.01))
    assert not compare_reports(with_ratio(0.05), with_ratio(0.05 * GROWTH * 0.99))
    assert not compare_reports(with_ratio(0.0), with_ratio(UNCHANGED_BELOW * GROWTH * 0.99))
    assert compare_reports(with_ratio(0.0), with_ratio(UNCHANGED_BELOW * GROWTH * 1.01)).grown
    assert not compare_reports(with_ratio(0.01), with_ratio(0.2)).regressed


def test_settings_versions_and_counts_are_told() -> None:
    slower = report(comparison(seconds=99.0))
    assert not compare_reports(AGREEING, slower)
    (setting,) = compare_reports(AGREEING, report(comparison(batch=9))).settings
    assert (setting.name, setting.old, setting.new) == ("batch", "batch 8", "batch 9")
    newer = Report(AGREEING.comparisons, {"python": "3.11.7", "numpy": "2.5", "torch": "2.13.0", "cupy": "14"})
    told = {c.name: (c.old, c.new) for c in compare_reports(AGREEING, newer).versions}
    assert told == {"numpy": ("2.4.1", "2.5"), "chainer": ("7.8.1", ""), "cupy": ("", "14")}
    fewer = report(comparison(rows=comparison().rows[1:]))
    (count,) = compare_reports(AGREEING, fewer).coverage
    assert (count.kind, count.pair, count.new) == ("output", "torch/chainer", 0)
    otherwise = compare_reports(AGREEING, report(comparison(iterations=5, rows=comparison().rows[1:])))
    assert not otherwise.coverage, "run in another way, it has other counts"
    (setting,) = compare_reports(AGREEING, report(comparison(witnesses=("torch", "chainer")))).settings
    assert (setting.old, setting.new) == ("torch, chainer, reference", "torch, chainer")


def test_long_lists_of_changes_are_cut_in_a_terminal_unless_it_is_verbose() -> None:
    made = report(*(comparison(f"system_{i:02}") for i in range(30)))
    brief, verbose = (render_terminal(made, v, against=report()) for v in (False, True))
    assert sum(line.startswith("    system_") for line in brief) == 20
    assert "    10 more: --verbose writes all" in brief
    assert sum(line.startswith("    system_") for line in verbose) == 30


def test_another_dtype_is_another_system() -> None:
    changes = compare_reports(AGREEING, report(comparison(dtype="float32")))
    assert (changes.added, changes.removed) == (("began_mnist",), ("began_mnist",))


def test_of_two_runs_of_a_system_each_is_compared_with_its_own() -> None:
    both = report(comparison(), with_divergence(comparison(seed=1)))
    assert not compare_reports(both, both)
    fixed = compare_reports(both, report(comparison(), comparison(seed=1)))
    assert fixed.verdicts[0].system == "began_mnist (seed 1)"
    assert not fixed.regressed


def test_changes_stand_in_every_report() -> None:
    for line in [line for _, lines in describe_changes(compare_reports(AGREEING, DISAGREEING)) for line in lines]:
        assert line in " ".join(" ".join(render_terminal(DISAGREEING, against=AGREEING)).split())
        assert line in render_html(DISAGREEING, AGREEING)
    assert "against the older report: nothing changed" in render_terminal(AGREEING, against=AGREEING)
    assert "Nothing changed" in render_html(AGREEING, AGREEING)
