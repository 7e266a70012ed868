"""How long a run is, and what its bar says."""

import pytest

from ganspec.spec import load_system
from ganspec.tools.run.progress import End, batches_each
from support.programs import SMALL, SMALL_CGAN, here


@pytest.mark.parametrize(
    ("system", "settings", "batches"),
    [
        ("wgan_gp_mlp_mnist", [], 1),  # one real batch for five critic steps
        ("began_mnist", [], 1),
        ("sndcgan_cifar10", [], 1),  # the generator's step reads no data
        ("sndcgan_cifar10", ["schedule.discriminator_steps=3"], 3),
        ("wgan_cifar10", [], None),  # many at first
        ("wgan_cifar10", ["schedule.warmup_critic_steps=5"], 5),  # as many as ever
        ("cgan_mnist", [], None),  # gated
        ("cgan_mnist", ["schedule.max_steps=1"], 2),
        ("progressive_cifar10", [], 1),
    ],
)
def test_batches_an_iteration_are_known_or_known_to_differ(system, settings, batches):
    assert batches_each(load_system(system, settings)) == batches


def test_end_says_what_it_counts():
    assert str(End(5000, float("inf"))) == "5,000 iterations"
    assert str(End(float("inf"), 3)) == "3 epochs"


@pytest.mark.usefixtures("no_pictures")
def test_gated_run_of_epochs_counts_batches_and_ends_with_the_epoch(digits, tmp_path, capsys):
    out = tmp_path / "run"
    assert here("train", "cgan_mnist", *SMALL_CGAN, "--data", digits, "--out", out, "--epochs", 3) == 0
    printed = capsys.readouterr()
    assert "24/24" in printed.err  # 40 images in batches of 5 are 8 an epoch
    assert "batch" in printed.err
    assert ", 3 epochs" in printed.out
    rows = (out / "log.csv").read_text().splitlines()[1:]
    assert 24 / 10 <= len(rows) <= 24 / 2  # from 2 to 10 batches an iteration
    assert rows[-1].split(",")[1] == "2"


@pytest.mark.usefixtures("no_pictures")
def test_run_goes_on_to_the_end_of_its_system_and_no_further(images, digits, tmp_path, capsys):
    out, settings = tmp_path / "run", ["--set=run.epochs=2", "--data", images]
    assert here("train", "wgan_gp_mlp_mnist", *SMALL, *settings, "--out", out, "--iterations", 5) == 0
    assert "done: 5 iterations, 0 epochs" in capsys.readouterr().out
    assert here("train", "--resume", out) == 0  # 24 images in batches of 4 are 6 an epoch
    printed = capsys.readouterr()
    assert "done: 12 iterations, 2 epochs" in printed.out
    assert "12/12" in printed.err
    assert here("train", "--resume", out) == 0
    assert "done: 12 iterations, 2 epochs; it had them already" in capsys.readouterr().out
    gated = tmp_path / "gated"
    settings = ["--set=run.iterations=4", "--data", digits, "--out", gated]
    assert here("train", "cgan_mnist", *SMALL_CGAN, *settings) == 0
    printed = capsys.readouterr()
    assert "done: 4 iterations" in printed.out
    assert "4/4" in printed.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["cgan_mnist", *SMALL_CGAN], "up to 5,000 iterations"),
     (["cgan_mnist", *SMALL_CGAN, "--epochs", "3"], "up to 3 epochs"),
     (["cgan_mnist", *SMALL_CGAN, "--iterations", "7"], "up to 7 iterations")],
)  # fmt: skip
def test_dry_run_says_how_long(arguments, text, digits, capsys):
    assert here("train", *arguments, "--data", digits, "--dry-run") == 0
    assert text in capsys.readouterr().out
