"""Reports as JUnit's XML: it parses, its counts are right, and it fails where the report does not agree."""

from xml.etree import ElementTree

from hypothesis import given

from ganspec.tools.agreement.report import Report
from ganspec.tools.reporting import render_junit
from support.drawn_reports import reports
from support.reports import comparison, mixed_report, report, with_divergence


@given(reports)
def test_any_report_parses_and_its_counts_are_right(made: Report) -> None:
    root = ElementTree.fromstring(render_junit(made).encode("utf-8"))
    assert root.tag == "testsuites"
    for counted in (root, *root.iter("testsuite")):
        cases = list(counted.iter("testcase"))
        assert counted.get("tests") == str(len(cases)) != "0"
        assert counted.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert counted.get("errors") == "0"
    assert (root.get("failures") == "0") == made.agrees
    assert len(root) == max(1, len(made.comparisons))


def test_suite_has_a_test_for_each_kind_and_pair_and_says_how_it_was_run() -> None:
    root = ElementTree.fromstring(render_junit(report(comparison())))
    (suite,) = root
    names = [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")]
    assert names == [("ganspec.began_mnist", f"{row.kind} {'/'.join(row.pair)}") for row in comparison().rows]
    properties = {entry.get("name"): entry.get("value") for entry in suite.iter("property")}
    assert properties["witnesses"] == "torch, chainer, reference"
    assert (properties["dtype"], properties["seed"], properties["iterations"]) == ("float64", "0", "10")
    assert properties["version torch"] == "2.13.0"
    assert suite.get("time") == root.get("time") == "2.250"


def test_failure_tells_the_worst_place_and_the_first_divergence() -> None:
    root = ElementTree.fromstring(render_junit(report(with_divergence(comparison()))))
    failures = list(root.iter("failure"))
    assert len(failures) == 7
    for failure in failures:
        assert failure.get("type") == "DISAGREE"
        assert "worst: gradient of loss_D: D/l1/W, iteration 0, step 0, repeat 0: 8.3e-01 of its size" in failure.get(
            "message"
        )
        assert "chainer is alone: torch and reference agree with one another" in failure.text
        assert "ganspec crosscheck --replay 'runs/bundle began_mnist 001'" in failure.text


def test_what_diverged_and_what_was_not_compared_fail_by_name() -> None:
    root = ElementTree.fromstring(render_junit(mixed_report()))
    kinds = {suite.get("name"): {failure.get("type") for failure in suite.iter("failure")} for suite in root}
    assert kinds == {
        "gan_mlp_mnist": set(), "began_mnist": {"DISAGREE"}, "wgan_gp_mlp_mnist": {"diverged"},
        "dcgan_cifar10": {"nothing compared"},
    }  # fmt: skip
