"""`ganspec train --dry-run`: what would be done, on which data, at what cost; and nothing is done."""

import re

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools.run.rehearsal import duration
from support.programs import SMALL, SMALL_BEGAN, SMALL_PROGRESSIVE, here

SYSTEM = "wgan_gp_mlp_mnist"


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def find(start, printed):
    (line,) = (line for line in printed if line.startswith(start))
    return line


def test_dry_run_looks_at_the_data_measures_an_iteration_and_writes_nothing(backend, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = np.full((26, 6, 6), 51, np.uint8)
    images[0, 0, 0] = 255
    np.savez("images.npz", images=images, labels=[3] * 13 + [7] * 12 + [9])
    before = sorted(tmp_path.rglob("*"))
    length = ["--epochs", 1000, "--backend", backend]
    assert here("train", SYSTEM, *SMALL, "--data", "images.npz", *length, "--dry-run") == 0
    printed = lines(capsys)
    assert "minimise" in "\n".join(printed)
    assert "images: 26, 6 whole batches per epoch" in printed
    assert "first image: 1x6x6 uint8, values from 51 to 255, which the networks see as -0.6 to 1" in printed
    assert find("labels: ", printed) == (
        "labels: 3 different, from 3 to 9, 1 to 13 images each; the first image has 3; this system does not use them"
    )
    seconds = float(re.match(r"measured: (\S+) s for one iteration", find("measured: ", printed))[1])
    assert 0 < seconds < 60
    assert " s x 6,000 iterations, without pictures and checkpoints" in find("time: about ", printed)
    assert int(re.match(r"memory: ([\d,]+) MiB", find("memory: ", printed))[1].replace(",", "")) > 20
    assert sorted(tmp_path.rglob("*")) == before


def test_dry_run_of_a_run_that_is_resumed_counts_what_is_left_and_checks_the_checkpoint(run, capsys):
    content = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert here("train", "--resume", run, "--iterations", 108, "--dry-run") == 0
    assert "x 100 iterations" in find("time: about ", lines(capsys))
    assert here("train", "--resume", run, "--iterations", 108, "--dry-run", "--set", "loss.penalty_weight=5") == 2
    assert "penalty_weight: 10.0 became 5.0" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == content


def test_dry_run_without_data_says_how_to_get_some_and_measures_with_random_images(capsys):
    assert here("train", "progressive_cifar10", *SMALL_PROGRESSIVE, "--dry-run") == 0
    printed = lines(capsys)
    assert "--download fetches cifar10" in find("data: none yet: ", printed)
    assert "of the last and largest stage" in find("measured: ", printed)
    assert (load_system("progressive_cifar10").run.epochs > 0) == any("time: not known" in line for line in printed)


def test_dry_run_finds_what_is_wrong_with_the_data(tmp_path, capsys):
    assert here("train", SYSTEM, *SMALL, "--data", tmp_path / "none.npz", "--dry-run") == 2
    assert "none.npz: does not exist" in capsys.readouterr().err
    np.savez(tmp_path / "few.npz", images=np.zeros((3, 6, 6), np.uint8))
    assert here("train", SYSTEM, *SMALL, "--data", tmp_path / "few.npz", "--dry-run") == 2
    assert "3 images are fewer than one batch of 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "1 s"), (59.4, "59 s"), (61, "1 min 1 s"), (7320, "2 h 2 min"), (86400 * 3 + 7300, "3 days 2 h")],
)
def test_a_duration_is_said_in_two_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.usefixtures("no_pictures")
def test_learning_rates_stand_in_the_log_where_they_decay_and_resuming_goes_on_with_them(images, tmp_path):
    out, whole = tmp_path / "run", tmp_path / "whole"
    settings = [
        *SMALL_BEGAN,
        "--set=run.checkpoint_every=20",
        "--set=learning_rate_decay.factor=0.5",
        "--set=optimizers.learning_rate=0.02",
        "--data",
        images,
    ]
    assert here("train", "began_mnist", *settings, "--out", out, "--iterations", 20) == 0
    assert here("train", "--resume", out, "--iterations", 60) == 0
    assert here("train", "began_mnist", *settings, "--out", whole, "--iterations", 60) == 0
    assert (out / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    heading, *rows = [line.split(",") for line in (whole / "log.csv").read_text().splitlines()]
    assert heading[-2:] == ["learning_rate_G", "learning_rate_D"]
    rates, epochs = [float(row[-1]) for row in rows], [int(row[1]) for row in rows]
    assert rates[0] == 0.02
    assert len(set(rates)) > 1  # it decayed within 10 epochs, or this test sees nothing
    for before, after, a, b in zip(rates, rates[1:], epochs, epochs[1:], strict=False):
        assert after in (before, before / 2, 1e-5)
        assert after == before or b == a + 1  # only from epoch to epoch
