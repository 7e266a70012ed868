"""`ganspec report`: one page of a run, complete, self-contained, of bounded size, and safe against folders of strangers."""

import base64
import json
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganspec.tools.run import album, contents
from ganspec.tools.run.curves import figure_curve, number_curve, short, ticks
from ganspec.tools.run.places import without_home
from support.programs import SMALL, here

for package in ("torch", "PIL"):
    pytest.importorskip(package)

VOID = {"meta", "img"}
HOSTILE = "</pre><script>alert(1)</script>\"'><img src=//evil.example onerror=x>\x1b[2J\u202e"


class Page(HTMLParser):
    """Reads a page strictly: each tag that begins must end, in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert not self.open, f"{self.open} never end"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def pictures(self):
        """Returns: the content of each picture, in order."""
        return [base64.b64decode(value.partition(",")[2]) for name, value in self.attributes if name == "src"]


@pytest.fixture(scope="module")
def resumed(finished, tmp_path_factory):
    """Returns: the folder of a run that was resumed, with figures."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("report") / "run")
    patch = pytest.MonkeyPatch()
    patch.setattr(album, "missing_packages", lambda: ["matplotlib"])
    assert here("train", "--resume", run, "--iterations", 11, "--set", "run.samples_every=1") == 0
    patch.undo()
    figures = [
        (4, "fid", 30.5, "digits"),
        (8, "fid", 12.25, "digits"),
        (8, "fid", 400.0, "inception"),
        (8, "beauty", 1, "me"),
    ]
    lines = [{"iteration": i, "metric": m, "value": v, "protocol": {"extractor": e}} for i, m, v, e in figures]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.fixture
def folder(resumed, tmp_path):
    """Returns: a copy of it."""
    return shutil.copytree(resumed, tmp_path / "run")


def report(folder, *more):
    """Returns: the page of a run, of which it is checked that it loads nothing and runs nothing."""
    assert here("report", folder, *more) == 0
    path = folder / "report.html"
    page = Page(path)
    assert not {*page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert re.fullmatch(r"data:image/(png|gif);base64,[\w+/=]+", value)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in page.attributes
    style = path.read_text("utf-8").partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    return page


def test_a_page_has_everything_that_the_folder_has(folder, capsys):
    page = report(folder)
    assert re.fullmatch(r".*report\.html: \d\.\d MB\nbefore you send it.*\n", capsys.readouterr().out)
    kept = [(folder / "samples" / f"{i:08}.png").read_bytes() for i in (0, 8, 9, 10, 11)]
    real, interpolation = ((folder / f"{name}.png").read_bytes() for name in ("real", "interpolation"))
    assert page.pictures() == [kept[-1], real, *kept, interpolation]
    for text in (
        "WGAN-GP with MLPs on MNIST", "iterations 11", "samples after iteration 11", "images.npz: the array 'images' uint8",
        "fid (protocol 1) 12.25; best 12.25 after 8, lower is better", "fid (protocol 2) 400", "beauty (protocol 3) 1",
        "Figures of different protocols cannot be compared.", "Protocol 1. extractor: digits",
        "--set run.checkpoint_every=7", "newest checkpoint iteration 11", "Resumed", "run.samples_every=1",
        "loss of D = mean(D(G(z))) - mean(D(x)) + penalty_weight * penalty", "plan of one iteration",
    ):  # fmt: skip
        assert text in page.text, text
    rows = [row.split(",") for row in (folder / "log.csv").read_text().splitlines()]
    mean = np.mean([float(row[rows[0].index("loss_G")]) for row in rows[1:]])
    assert f"loss_G {mean:.4g} " in page.text


def test_a_run_that_is_under_way_has_a_page(folder):
    with (folder / "log.csv").open("a") as log:
        log.write("12,1,0.5")
    assert "iterations 11 " in report(folder).text


def test_a_run_without_pictures_log_or_checkpoints_has_a_page(folder):
    for name in ("samples", "checkpoints"):
        shutil.rmtree(folder / name)
    for name in ("log.csv", "real.png", "interpolation.png", "metrics.jsonl"):
        (folder / name).unlink()
    page = report(folder)
    assert page.pictures() == []
    assert "There are no pictures of samples. They need Pillow" in page.text
    assert "Nothing is recorded yet." in page.text


def test_a_system_that_has_changed_or_is_gone_is_shown_as_it_was_recorded(folder):
    record = json.loads((folder / "run.json").read_text())
    for changed, why in (({"settings": []}, "has changed since"), ({"system": "gone.toml"}, "cannot be loaded here")):
        (folder / "run.json").write_text(json.dumps({**record, **changed}))
        page = report(folder)
        assert f"{why}; this is what the run recorded when it was started:" in page.text
        assert '"penalty": "mean((norm(grad(D(x_hat), x_hat), stabiliser) - 1) ^ 2)"' in page.text


def test_what_was_changed_on_resuming_is_said_and_is_no_other_system(folder):
    change = "optimizers.G.learning_rate=0.00025"
    assert here("train", "--resume", folder, "--iterations", 12, "--set", change) == 0
    page = report(folder)
    assert "optimizers.G.learning_rate: 0.0001 became 0.00025" in page.text
    assert "plan of one iteration" in page.text
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "resumed": []}))
    assert "has changed since" in report(folder).text


def test_changes_stand_as_they_are_typed_and_rates_as_they_are_in_force(folder):
    table = "{ kind = 'linear', over = 20, to = 0.0 }"
    for iterations, value in ((13, table), (14, "none")):
        change = f"optimizers.G.learning_rate_schedule={value}"
        assert here("train", "--resume", folder, "--iterations", iterations, "--set", change) == 0
    page = report(folder)
    typed = "{ kind = 'linear', after = 0, over = 20, to = 0.0 }"
    assert f"learning_rate_schedule: none became {typed}" in page.text
    assert f"learning_rate_schedule: {typed} became none" in page.text
    assert re.search(r"learning_rate_G 0\.0001 ", page.text), "not the mean of the last ones"
    assert "Above learning rates stands the one in force." in page.text


def test_the_page_counts_epochs_as_the_terminal_does(images, tmp_path, capsys):
    out = tmp_path / "run"
    assert here("train", "wgan_gp_mlp_mnist", *SMALL, "--data", images, "--out", out, "--epochs", 2) == 0
    (epochs,) = re.findall(r"done: \d+ iterations, (\d+) epochs", capsys.readouterr().out)
    assert epochs == "2"
    assert "epochs 2 " in report(out).text
    record = json.loads((out / "run.json").read_text())
    del record["images_per_epoch"]
    (out / "run.json").write_text(json.dumps(record))
    assert "epochs 1 " in report(out).text, "an older run: those before the last iteration"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/somebody/faces/a.npz", "~/faces/a.npz"),
        ("data=/Users/somebody/faces", "data=~/faces"),
        (r"C:\Users\somebody\faces", r"~\faces"),
        ("/root/faces and /rooted/faces", "~/faces and /rooted/faces"),
        ("/data/home/faces", "/data/home/faces"),
        ("/data/home/somebody/faces", "/data/home/somebody/faces"),
    ],
)
def test_homes_are_not_named(path, shown, monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere")
    assert without_home(path) == shown


def test_a_page_does_not_name_who_made_it(folder, capsys, monkeypatch):
    home = str(folder.parent)
    monkeypatch.setenv("HOME", home)
    record = json.loads((folder / "run.json").read_text())
    faces = {"data_source": f"{home}/faces: 7 images", "settings": [*record["settings"], f"title={home}/x"]}
    (folder / "run.json").write_text(json.dumps({**record, **faces}))
    page = report(folder)
    assert "~/faces: 7 images" in page.text
    assert home not in page.text
    assert "before you send it to somebody" in capsys.readouterr().out


def test_nothing_of_a_stranger_becomes_markup(folder):
    record = json.loads((folder / "run.json").read_text())
    record |= {"data_source": HOSTILE, "versions": {HOSTILE: HOSTILE, "n": [1, {HOSTILE: 2}]}, "system": HOSTILE}
    record |= {"resumed": [{"iteration": HOSTILE, "versions": HOSTILE}, HOSTILE, 7], "resolved": {HOSTILE: HOSTILE}}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "log.csv").write_text(f"iteration,{HOSTILE.replace(',', ' ')}\n1,2.5\n2,3.5\n")
    figure = {"iteration": 1, "metric": HOSTILE, "value": 1, "protocol": {HOSTILE: HOSTILE}}
    (folder / "metrics.jsonl").write_text(json.dumps(figure) + "\n")
    (folder / "manifold-<b>.gif").write_bytes(b"GIF89a")
    page = report(folder)
    assert page.text.count("<script>alert(1)</script>") >= 8, "it is all there, as text"
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_what_is_damaged_or_too_large_is_left_out_and_said(folder, monkeypatch):
    monkeypatch.setattr(contents, "_MAX_PICTURE", 2**20)
    (folder / "log.csv").write_text("iteration,loss\n1,much\n")
    (folder / "metrics.jsonl").write_text("[]\n")
    (folder / "real.png").write_bytes(b"<svg onload=alert(1)>")
    (folder / "interpolation.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2**20))
    (folder / "samples" / "00000009.png").unlink()
    (folder / "samples" / "00000009.png").mkdir()
    page = report(folder)
    assert len(page.pictures()) == 1 + 4
    for text in (
        "log.csv: is not a table of 2 columns of numbers", "line 1: expected an object with the keys iteration",
        "real.png: is no picture", "interpolation.png: is larger than 1,048,576 bytes", "00000009.png: Is a directory",
    ):  # fmt: skip
        assert text in page.text, text


def test_of_many_and_large_pictures_there_are_fewer(folder):
    png = b"\x89PNG\r\n\x1a\n"
    for number in range(12, 300):
        (folder / "samples" / f"{number:08}.png").write_bytes(png + bytes(200_000) + number.to_bytes(2, "big"))
    for number in range(30):
        (folder / f"manifold-{number}.gif").write_bytes(b"GIF89a" + bytes(300_000))
    page = report(folder)
    shown = [picture for picture in page.pictures() if picture.startswith(png)]
    assert 8 <= len(shown) <= 3 + contents.MOST_PICTURES
    assert int.from_bytes(shown[0][-2:], "big") == 299, "the newest one is there"
    assert "of the 293 pictures in the folder" in page.text
    assert "22 of 30 animations of the manifold are left out" in page.text
    assert (folder / "report.html").stat().st_size < 12_000_000


def test_a_log_of_absurd_numbers_and_times_has_a_page(folder):
    (folder / "log.csv").write_text("iteration,epoch,loss\n1e308,1e300,1e308\n-1e308,inf,1e308\nnan,,-inf\n")
    os.utime(folder / "log.csv", (0, 2**55))
    assert "loss" in report(folder).text


def test_a_long_log_makes_a_small_page(folder):
    count = 20_000
    rows = np.arange(1, count + 1)
    text = "".join(f"{i},{i // 100},{float(np.sin(i / 999))},\n" for i in rows)
    (folder / "log.csv").write_text(f"iteration,epoch,loss_D,never\n{text}")
    before = (folder / "real.png").stat().st_size
    page = report(folder)
    assert "iterations 20,000 " in page.text
    assert "never was not computed yet" in page.text
    pictures = sum(len(picture) for picture in page.pictures()) * 4 / 3
    assert (folder / "report.html").stat().st_size - pictures < 150_000
    assert before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: is not the folder of a run: run.json: No such file or directory"),
        (["run", "--out", "none/page.html"],
         "none/page.html: cannot be written: No such file or directory; make its folder first, or choose another place with "
         "--out FILE"),
        (["run", "--out", "run"], "run: cannot be written: Is a directory; move that folder away, or choose another place with "
         "--out FILE"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered(arguments, message, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    assert here("report", *arguments) == 2
    assert capsys.readouterr().err == message + "\n"


def test_the_page_goes_where_it_is_wanted_and_the_folder_stays_as_it_is(folder, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert here("report", folder, "--out", tmp_path / "page.html") == 0
    assert Page(tmp_path / "page.html").text
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=60)
@given(st.lists(st.tuples(NUMBERS, NUMBERS | st.integers(1, 99)), max_size=30), st.integers(1, 50))
@example([(1e308, 1), (-1e308, 2), (0.0, 3)], 3)
@example([(5e-324, 1), (0.0, 2)], 1)
@example([(float("nan"), 1)], 1)
@example([(1.0, 1e308), (2.0, -1e308)], 1)
@example([(1.0, 7), (2.0, 3)], 1)
def test_any_numbers_can_be_drawn_inside_the_drawing(rows, window):
    values, iterations = np.array(rows, float).reshape(-1, 2).T
    with np.errstate(over="ignore", invalid="ignore"):
        drawn = number_curve("x", iterations, values, window)
    finite = [float(v) for v, i in zip(values, iterations, strict=True) if np.isfinite(v) and np.isfinite(i)]
    assert bool(drawn) == bool(finite)
    for points in re.findall(r'points="([^"]*)"', drawn):
        for place in points.split():
            across, down = map(float, place.split(","))
            assert 0 <= across <= 460
            assert 0 <= down <= 176
    if finite:
        assert figure_curve("x", list(enumerate(finite)))


@settings(max_examples=100)
@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(2, 9))
def test_ticks_are_round_and_inside(low, width, most):
    high = low + width
    if high - low < 1e-9 * max(abs(low), abs(high), 1.0):
        return
    found = ticks(low, high, most)
    assert len(found) <= most
    step = max(width, 1.0) * 1e-6
    assert all(low - step <= tick <= high + step for tick in found)
    assert found == sorted(found)


def test_numbers_are_short():
    assert [short(v) for v in (0.0, 12.0, 1234567.0, 0.123456, -3.5e-7)] == [
        "0",
        "12",
        "1,234,567",
        "0.1235",
        "-3.5e-07",
    ]
