"""Reports as an HTML page: well formed, complete, self-contained, and safe against the names that strangers give."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given

from ganspec.tools.agreement.report import Point, Report
from ganspec.tools.reporting import render_html
from ganspec.tools.reporting.elements import Markup, element
from support.drawn_reports import HOSTILE, reports
from support.reports import comparison, difference, mixed_report, report, samples, with_divergence

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page strictly: each tag that begins must end, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"{self.open} never end"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def check_self_contained(page: Page) -> None:
    """Assert that a page has no tag, attribute or address that is not of ours: nothing runs, nothing is loaded."""
    assert not {*page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert re.fullmatch(r"#[\w-]+|data:image/png;base64,[\w+/=]+", value or "")


@given(reports, reports)
def test_any_report_is_well_formed_and_self_contained(made: Report, older: Report) -> None:
    text = render_html(made, older)
    text.encode("utf-8")
    page = Page(text)
    check_self_contained(page)
    assert page.tags.count("img") == 0
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len({*ids})
    assert {value for name, value in page.attributes if name == "href"} <= {f"#{name}" for name in ids}


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    found = with_divergence(comparison(HOSTILE, witnesses=(HOSTILE, "chainer", "x"), samples=samples((HOSTILE,))))
    found = replace(found, rows=(*found.rows, replace(found.rows[0], kind=HOSTILE)), bundle=HOSTILE)
    page = Page(render_html(Report((found,), {HOSTILE: HOSTILE}), Report((), {})))
    check_self_contained(page)
    assert "<script>alert(1)</script>" in page.text
    assert not re.search("[\x00\x1b\u202e\ud800]", page.text)


def test_page_refers_to_nothing_outside_and_forbids_it() -> None:
    text = render_html(mixed_report())
    assert not re.search(r"https?:|//\w|@import|url\(", text)
    (policy,) = (value for name, value in Page(text).attributes if name == "content" and "src" in (value or ""))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_page_has_verdicts_numbers_places_and_versions() -> None:
    text = Page(render_html(mixed_report())).text
    for part in (
        "DISAGREE on 1 of 4 systems: began_mnist", "nothing was compared on dcgan_cifar10", "1 of 4",
        "gradient of loss_D: D/l1/W (parameter gradient)", "architectures/mlp_discriminator.toml:14",
        "chainer is alone: torch and reference agree with one another", "torch 0.0125 chainer 0.075",
        "probably: 6 times too large, the batch size: a sum for a mean", "8.3e+12", "loss_D", "2.13.0", "float64",
    ):  # fmt: skip
        assert part in text, part


def test_what_does_not_agree_comes_first_and_is_open() -> None:
    text = render_html(mixed_report())
    sections = re.findall(r'<details class="system"( open="")?><summary><b>(\w+)', text)
    assert [name for _, name in sections] == ["began_mnist", "wgan_gp_mlp_mnist", "dcgan_cifar10", "gan_mlp_mnist"]
    assert [bool(is_open) for is_open, _ in sections] == [True, True, True, False]


def test_bar_reaches_its_mark_where_the_error_is_what_is_allowed() -> None:
    widths = []
    for error in (0.0, 4e-17, 4e-13, 4e-9, math.inf, math.nan):
        row = replace(comparison().rows[0], wrong=1, worst=difference(error=error))
        widths += re.findall(r"width:([\d.]+)%", render_html(report(comparison(rows=(row,), curves={}))))
    assert widths == ["0.0", "0.0", "50.0", "100.0", "100.0", "100.0"]


def test_dots_of_no_error_and_of_no_finite_error_lie_outside_the_axes() -> None:
    heights = []
    for error in (0.0, 4e-14, math.inf):
        row = replace(comparison().rows[0], worst=difference(error=error))
        (height,) = re.findall(r'<circle [^>]*cy="([\d.]+)"', render_html(report(comparison(rows=(row,), curves={}))))
        heights.append(float(height))
    assert heights[0] > 290 >= heights[1] >= 36 > heights[2]


def test_curve_breaks_where_values_are_not_finite_and_keeps_peaks_of_long_runs() -> None:
    pair = ("torch", "chainer")
    errors = [1e-16] * 3 + [math.inf] + [1e-16] * 3
    broken = {("loss_D", pair): tuple(Point(i, e, 1e-13) for i, e in enumerate(errors))}
    text = render_html(report(comparison(witnesses=pair, curves=broken)))
    assert len(re.findall(r'<polyline [^>]*class="line', text)) == 2
    assert "not finite at some iterations" in text
    peak = {("loss_D", pair): tuple(Point(i, 1e-5 if i == 7001 else 1e-16, 1e-13) for i in range(10_000))}
    text = render_html(report(comparison(witnesses=pair, curves=peak)))
    (places,) = re.findall(r'<polyline points="([^"]*)" class="line', text)
    heights = [float(place.partition(",")[2]) for place in places.split()]
    assert len(heights) <= 240
    assert heights.count(min(heights)) == 1, "the one peak is still there"
    assert len(text) < 100_000


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_all_witnesses_stand_side_by_side(channels: int) -> None:
    pytest.importorskip("PIL")
    page = Page(render_html(report(comparison(samples=samples(channels=channels)))))
    check_self_contained(page)
    pictures = [value for name, value in page.attributes if name == "src"]
    assert len(pictures) == 3
    assert len({*pictures}) == 1, "the same images make the same picture"
    assert "12 samples of chainer" in [value for name, value in page.attributes if name == "alt"]


def test_samples_that_are_no_pictures_are_said() -> None:
    pytest.importorskip("PIL")
    odd = {"torch": np.zeros((2, 5, 4, 4)), "reference": np.zeros((2, 3)), "chainer": np.full((2, 1, 4, 4), np.nan)}
    text = Page(render_html(report(comparison(samples=odd)))).text
    assert "An array of the shape (2, 5, 4, 4) is no picture." in text
    assert "An array of the shape (2, 3) is no picture." in text
    assert "Values that are not finite are drawn as 0." in text


def test_samples_without_pillow_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    page = Page(render_html(report(comparison(samples=samples()))))
    assert "Pillow is not installed. It comes with pip install 'ganspec[pictures]'" in page.text
    assert "img" not in page.tags


def test_elements_escape_whatever_is_not_markup() -> None:
    assert (
        element("b", "<&>", Markup("<i></i>"), title='"', class_=None) == '<b title="&quot;">&lt;&amp;&gt;<i></i></b>'
    )
    assert element("img", alt="x") == '<img alt="x">'
