"""Reports of what was really compared: a small system, right, and with a witness that is given other draws."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ganspec.spec import load_system
from ganspec.spec.training.draws import StreamDraws
from ganspec.tools.agreement import Altered, crosscheck_system
from ganspec.tools.agreement.report import Comparison, Report
from ganspec.tools.reporting import compare_reports, read_json, render_html, render_json, render_junit, render_terminal

pytestmark = pytest.mark.usefixtures("both_backends")
WITNESSES = ("torch", "chainer")


@pytest.fixture(scope="module")
def right(both_backends: None) -> Comparison:
    system = load_system("gan_mlp_mnist", reduced=True)
    return crosscheck_system(system, iterations=1, witnesses=WITNESSES)


@pytest.fixture(scope="module")
def wrong(both_backends: None) -> Comparison:
    system = load_system("gan_mlp_mnist", reduced=True)
    altered = {"chainer": Altered(draws=StreamDraws(system, seed=1))}
    return crosscheck_system(system, iterations=1, witnesses=WITNESSES, altered=altered)


def test_what_was_compared_goes_through_json_and_stands_in_all_reports(right: Comparison) -> None:
    made = Report((right,), {})
    assert made.agrees
    assert read_json(render_json(made)) == Report((replace(right, samples={}),), {})
    assert render_terminal(made)[-1] == "torch and chainer agree on gan_mlp_mnist"
    cases = list(ElementTree.fromstring(render_junit(made)).iter("testcase"))
    assert len(cases) == len(right.rows) > 5
    page = render_html(made)
    assert all(row.kind in page for row in right.rows)
    assert all(name in page for name, _ in right.curves)


def test_wrong_witness_is_seen_in_all_reports(right: Comparison, wrong: Comparison) -> None:
    made = Report((wrong,), {})
    assert read_json(render_json(made)) == Report((replace(wrong, samples={}),), {})
    assert render_terminal(made)[-1] == "torch and chainer DISAGREE on gan_mlp_mnist"
    assert wrong.first is not None
    assert any(wrong.first.difference.name in line for line in render_terminal(made) if line.startswith("  quantity  "))
    assert ElementTree.fromstring(render_junit(made)).get("failures") != "0"
    assert "First divergence" in render_html(made)
    assert compare_reports(Report((right,), {}), made).regressed
