"""What a run measures of itself: a resumed run has what an unbroken one has, and a run that goes wrong says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ganspec.tools.data import embedded_digits, load
from ganspec.tools.quality import warnings
from ganspec.tools.quality.figures import Figure, append_figures, read_figures
from ganspec.tools.quality.warnings import CERTAINTY
from ganspec.tools.quality.watch import recent_mean
from support.programs import SMALL, here

LOOKED_AT = ["--set", "run.samples_every=2", "--set", "run.checkpoint_every=4"]
METRICS = "run.metrics={ measure = ['precision', 'coverage'], every = 3, images = 20, extractor = 'digits' }"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Returns: 40 of MNIST's digits, made small."""
    pytest.importorskip("PIL")
    digits = load(embedded_digits(), shape=(1, 28, 28), fit="exact")
    np.savez(tmp_path / "digits.npz", images=digits.images[:40, 0], labels=digits.labels[:40])
    return tmp_path / "digits.npz"


def train(images: Path, out: Path, *more: str) -> list[Figure]:
    fitted = ["--set", "networks.G.size=28", "--set", "networks.D.size=28", "--set", "data.shape=[1,28,28]"]
    asked = [*SMALL, *fitted, *LOOKED_AT, "--set", METRICS, "--data", str(images), "--out", str(out)]
    assert here("train", "wgan_gp_mlp_mnist", *asked, *more) == 0
    return read_figures(out / "metrics.jsonl")


@pytest.mark.usefixtures("no_pictures")
def test_a_resumed_run_has_the_figures_of_an_unbroken_one(images: Path, tmp_path: Path, backend: str) -> None:
    unbroken = train(images, tmp_path / "a", "--backend", backend, "--iterations", "7")
    assert [f.iteration for f in unbroken if f.metric == "diversity" and "look" in f.protocol] == [2, 4, 6]
    assert [f.iteration for f in unbroken if f.metric == "precision"] == [3, 6]
    assert {f.metric for f in unbroken} == {"diversity", "classes", "class_entropy", "precision", "coverage"}
    first = json.loads((tmp_path / "a" / "metrics.jsonl").read_text().splitlines()[0])
    assert set(first) == {"iteration", "metric", "value", "protocol"}
    train(images, tmp_path / "b", "--backend", backend, "--iterations", "4")
    later = [Figure(5, "diversity", 0.5, {"look": True})]  # of a process that was killed after its last checkpoint
    append_figures(tmp_path / "b" / "metrics.jsonl", later)
    assert here("train", "--resume", tmp_path / "b", "--iterations", "7") == 0
    assert read_figures(tmp_path / "b" / "metrics.jsonl") == unbroken


@pytest.mark.usefixtures("no_pictures")
def test_backends_record_the_same_figures(images: Path, tmp_path: Path, both_backends: None) -> None:
    of = {b: train(images, tmp_path / b, "--backend", b, "--iterations", "3") for b in ("torch", "chainer")}
    for one, other in zip(of["torch"], of["chainer"], strict=True):
        assert (one.iteration, one.metric, one.protocol) == (other.iteration, other.metric, other.protocol)
        assert one.value == pytest.approx(other.value, rel=1e-3, abs=1e-3)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_says_when_it_has_collapsed_and_keeps_it(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(warnings, "SPAN_AT_FIRST", {"diversity": 4, "class_entropy": 10**6})
    dead = ["--set", "draws.z={ sample = 'normal(0, 1e-12)', shape = 'G.z' }"]  # all samples are alike
    figures = train(images, tmp_path / "run", *dead, "--iterations", "9")
    assert max(f.value for f in figures if f.metric == "diversity") < warnings.LEAST_DIVERSITY
    kept = (tmp_path / "run" / "warnings.txt").read_text()
    assert kept.startswith("iteration 6: since iteration 2 all samples are alike")
    assert "warning: iteration 6: since iteration 2 all samples are alike" in capsys.readouterr().err
    assert here("train", "--resume", tmp_path / "run", "--iterations", "11") == 0
    assert (tmp_path / "run" / "warnings.txt").read_text() == kept
    assert "alike" not in capsys.readouterr().err


def test_data_that_look_like_no_digits_need_an_extractor_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    Image = pytest.importorskip("PIL.Image")
    digits = load(embedded_digits(), shape=(1, 6, 6), fit="resize")
    chosen = np.flatnonzero(digits.labels < 3)[:40]
    for label, name in enumerate(["one", "two", "zero"]):  # digits, but one is 0, two is 1, zero is 2
        (tmp_path / "digits" / name).mkdir(parents=True)
        for i in chosen[digits.labels[chosen] == (label + 1) % 3]:
            Image.fromarray(digits.images[i, 0]).save(tmp_path / "digits" / name / f"{i}.png")
    sizes = [*(f"--set=networks.{n}.{k}" for n in "GD" for k in ("width=6", "size=6")), "--set=networks.G.latent=3"]
    more = ["--set=data.shape=[1,6,6]", "--set=run.batch=4", "--set=constants.labels=3", "--iterations", 3]
    given = [*sizes, *more, "--data", tmp_path / "digits", "--out", tmp_path / "run"]
    table = "run.metrics={ measure = ['coverage'], every = 3, images = 20 }"
    assert here("train", "cgan_mlp_mnist", *given, "--set", table) == 2
    said = capsys.readouterr().err
    assert "run.metrics names no extractor. By default it is digits, the packaged classifier" in said
    assert "for the digit that is their label, where the labels are 0 one, 1 two, 2 zero. If they are digits" in said
    assert not (tmp_path / "run").exists()
    named = table.replace("20 }", "20, extractor = 'digits' }")
    assert here("train", "cgan_mlp_mnist", *given, "--set", named) == 0
    (figure,) = [f for f in read_figures(tmp_path / "run" / "metrics.jsonl") if f.metric == "coverage"]
    assert (figure.protocol["extractor"], figure.protocol["labels"]) == ("digits", "of the images")


def test_a_penalty_in_the_loss_of_d_is_recorded(images: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    asked = ["--set", "loss=dragan", "--iterations", "2"]
    marked = [f.protocol.get("penalty") for f in train(images, tmp_path / "a", *asked) if f.metric == CERTAINTY]
    assert marked == [True]


def test_recent_mean_is_that_of_the_last_rows(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("iteration,loss_D,k\n" + "".join(f"{i},{float(i)},\n" for i in range(1, 301)) + "301,99")
    assert recent_mean(log, "loss_D") == np.mean(np.arange(201, 301))
    assert recent_mean(log, "k") is None
    assert recent_mean(log, "absent") is None
    assert recent_mean(tmp_path / "absent", "loss_D") is None
    log.write_text("iteration,loss_D\n1,x\n")
    assert recent_mean(log, "loss_D") is None
    log.write_text("iteration,loss_D\n" + "".join(f"{i},{'0' * 5000}{i}\n" for i in range(1, 301)))
    assert recent_mean(log, "loss_D") is not None
