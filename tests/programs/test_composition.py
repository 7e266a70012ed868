"""Parts put together from the command line and in small files of one's own, and what is said where they do not fit."""

import csv
import tomllib
from pathlib import Path

import numpy as np
import pytest

from support.programs import here

WRONG = tomllib.loads((Path(__file__).parent / "composition.toml").read_text())
TINY = [
    "--set=networks.G={ use = 'dcgan_generator', latent = 6, ch = 16, bottom = 1 }", "--set=networks.D.ch=16",
    "--set=networks.D.bottom=1", "--set=data.shape=[3, 8, 8]", "--set=run.batch=4", "--set=run.grid=[2, 2]",
]  # fmt: skip
# Losses over one number an image, with the schedules that update G and D, and discriminators of one output.
LOSSES = ("non_saturating", "minimax", "hinge", "lsgan", "wgan", "wgan_gp", "dragan", "dragan_official")
SCHEDULES = (
    "alternating", "simultaneous", "same_noise", "generator_then_discriminator", "discriminator_then_generator",
    "critic_repeats", "critic_warmup", "simultaneous_then_critic",
)  # fmt: skip
DISCRIMINATORS = (
    "dcgan_discriminator",
    "sndcgan_discriminator",
    "wgan_critic",
    "minibatch_discriminator",
    "resnet_critic",
)


def test_loss_network_and_size_are_chosen_on_the_command_line(capsys):
    chosen = ["--set", "loss=hinge", "--set", "networks.D=sndcgan_discriminator", "--set", "networks.G.ch=64"]
    assert here("show", "dcgan_cifar10", *chosen) == 0
    shown = capsys.readouterr().out
    assert "relu(" in shown
    assert "loss hinge: " in shown
    assert "network D: sndcgan_discriminator" in shown
    assert "ch = 64" in shown


def test_every_loss_goes_with_every_schedule_and_every_discriminator(capsys):
    for loss in LOSSES:
        for schedule in SCHEDULES:
            assert here("show", "dcgan_cifar10", *sets(loss=loss, schedule=schedule)) == 0, (loss, schedule)
        for network in DISCRIMINATORS:
            chosen = sets(**{"loss": loss, "networks.D": network})
            assert here("show", "dcgan_cifar10", *chosen) == 0, (loss, network)


def sets(**chosen):
    return [f"--set={key}={value}" for key, value in chosen.items()]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("loss", ["lsgan", "dragan", "wgan_gp"])
def test_what_is_composed_trains(loss, backend, colours, tmp_path):
    out = tmp_path / "run"
    arguments = ["--data", colours, "--out", out, "--iterations", 2, "--backend", backend]
    chosen = sets(**{"loss": loss, "schedule": "critic_repeats", "networks.D": "sndcgan_discriminator"})
    assert here("train", "dcgan_cifar10", *chosen, *TINY, *arguments) == 0
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert len(rows) == 2
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())


def test_six_lines_make_a_system_of_ones_own(colours, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        'title = "Hinge loss, spectral norm, small batches"\n'
        'source = "my thesis"\n'
        'like = "dcgan_cifar10"\n'
        'loss = "hinge"\n'
        'networks.D = "sndcgan_discriminator"\n'
        "run.batch = 5\n"
    )
    assert here("show", "mine.toml") == 0
    assert "batches of 5" in capsys.readouterr().out
    arguments = [setting for setting in TINY if "batch" not in setting]
    assert here("train", "mine.toml", *arguments, "--data", colours, "--iterations", 2) == 0
    assert "Hinge loss, spectral norm, small batches" in capsys.readouterr().out
    run = next((tmp_path / "runs").iterdir())
    monkeypatch.chdir(tmp_path.parent)  # the run remembers where the file is
    assert here("train", "--resume", run, "--iterations", 3) == 0
    assert len((run / "log.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_with_its_reason(case, capsys):
    wrong = WRONG[case]
    settings = [f"--set={setting}" for setting in wrong["set"]]
    assert here("train", wrong["system"], *settings, "--dry-run") == 2
    printed = capsys.readouterr()
    assert printed.err == wrong["message"]
    assert printed.out == ""
