"""A draft of loss and schedule is lifted from what an updater does, and proved or refused by the lockstep."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("chainer") is None:
    pytest.skip("Chainer is not installed", allow_module_level=True)

from ganspec.spec import load_system
from ganspec.tools.__main__ import main
from support.updaters.command import RIGHT, command, line_of, systems

ARGUMENTS = {name: (RIGHT[name][1], RIGHT[name][2]) for name in RIGHT}
X_HAT = "detach(eps * x + (1 - eps) * detach(G(z)))"
# For each updater: the losses of D and G in the draft.
LOSSES = {
    "Gan": ("mean(softplus(-D(x))) + mean(softplus(D(G(z))))", "mean(softplus(-D(G(z))))"),
    "GanSummed": ("mean(softplus(-D(x))) + mean(softplus(D(G(z))))", "sum(softplus(-D(G(z))))"),
    "GanUncleared": (
        "mean(softplus(-D(x))) + mean(softplus(-D(G(z)))) + mean(softplus(D(G(z))))",
        "mean(softplus(-D(G(z))))",
    ),
    "Lsgan": (
        "0.5 * (mean((D(x) - 1) ^ 2) + mean(D(detach(G(z))) ^ 2))",
        "0.5 * mean((D(G(z)) - 1) ^ 2)",
    ),
    "HingeOrder": ("mean(relu(1 - D(x))) + mean(relu(D(detach(G(z))) + 1))", "-mean(D(G(z)))"),
    "SharedFakes": ("mean(softplus(-D(x))) + mean(softplus(D(detach(G(z)))))", "mean(softplus(-D(G(z))))"),
    "WganGpNumpy": ("mean(-D(x)) + mean(D(G(z))) + 10 * mean((norm(grad(D(x_hat), x_hat)) - 1) ^ 2)", "mean(-D(G(z)))"),
    "Began": ("mean(abs(x - D(x))) - k * mean(abs(G(z) - D(G(z))))", "mean(abs(G(z) - D(G(z))))"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_draft_has_the_losses_and_is_proved(name, tmp_path, capsys):
    arguments, discriminator = ARGUMENTS.get(name, ("n_dis=3, lam=10" if "Wgan" in name else "", "Discriminator"))
    variant = "began" if name == "Began" else ""
    words = command(
        name, variant, arguments, "--draft", str(tmp_path), discriminator=discriminator, system=systems(tmp_path)
    )
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "proved over 2 iterations" in shown
    for network, text in zip("DG", LOSSES[name], strict=True):
        assert f"loss of {network}: {text}\n" in shown
    assert (tmp_path / "loss.toml").read_text().startswith("# DRAFT")


def test_schedule_has_order_repeats_and_lives(tmp_path):
    main(command("WganGp", "", "n_dis=3, lam=10", "--draft", str(tmp_path), system=systems(tmp_path)))
    schedule = load_system(str(tmp_path / "system.toml")).schedule
    assert [(step.update, step.repeat) for step in schedule.steps] == [(("D", "G"), 1), (("D",), 2)]
    assert (schedule.data, schedule.noise) == ("repeat", "repeat")


def test_values_of_an_earlier_step_are_reused(tmp_path):
    main(command("SharedFakes", "", "", "--draft", str(tmp_path), system=systems(tmp_path)))
    schedule = load_system(str(tmp_path / "system.toml")).schedule
    assert [(step.update, step.reuse) for step in schedule.steps] == [(("D",), ()), (("G",), ("G",))]
    assert schedule.noise == "iteration"


def test_labels_of_the_batch_are_lifted(tmp_path, capsys):
    words = ["--draft", str(tmp_path)]
    system = systems(tmp_path)
    assert main(command("LabelledGan", "labelled", "", *words, discriminator="Labelled", system=system)) == 0
    assert "mean(softplus(-D(x, y))) + mean(softplus(D(G(z), y)))" in capsys.readouterr().out


def test_carried_number_has_its_start_and_its_movement(tmp_path):
    system = systems(tmp_path)
    words = ["--draft", str(tmp_path)]
    main(command("Began", "began", "gamma=0.5, lambda_k=0.1", *words, discriminator="Autoencoder", system=system))
    text = (tmp_path / "loss.toml").read_text()
    assert 'next = "clip(k + 0.05 * mean(abs(x - D(x))) - 0.1 * mean(abs(G(z) - D(G(z)))), 0, 1)"' in text


def test_optimisers_have_their_numbers(tmp_path):
    adam = "alpha=3e-4, beta1=0.1, eps=1e-6"
    main(command("Gan", "", "", "--draft", str(tmp_path), system=systems(tmp_path), adam=adam))
    optimizers = load_system(str(tmp_path / "system.toml")).optimizers
    assert (optimizers["G"].learning_rate, optimizers["G"].beta1, optimizers["G"].epsilon) == (3e-4, 0.1, 1e-6)
    assert (optimizers["D"].learning_rate, optimizers["D"].beta1, optimizers["D"].epsilon) == (2e-4, 0.5, 1e-8)


def test_draft_that_does_not_hold_is_refused(tmp_path, capsys):
    words = command("Rootless", "", "", "--draft", str(tmp_path), system=systems(tmp_path))
    assert main(words) == 1
    shown = "".join(capsys.readouterr())
    assert f"the loss of G: {line_of('F.arctan(', 'class Rootless(')}" in shown.replace(f"{tmp_path}/", "").replace(
        "tests/support/updaters/", ""
    )


def test_gradient_that_is_written_out_is_named(tmp_path, capsys):
    system = systems(tmp_path)
    assert main(command("WganGpByHand", "", "n_dis=1, lam=10", "--draft", str(tmp_path), system=system)) == 1
    said = capsys.readouterr().err
    assert "not lifted: the loss of D: " in said
    assert line_of("F.matmul(", "class WganGpByHand(") in said
    assert "a parameter of D is neither data, a draw, a constant nor a mixture of these" in said


def test_a_draft_is_never_written_over_a_file_of_yours(tmp_path, capsys):
    system = systems(tmp_path)
    (tmp_path / "loss.toml").write_text("mine")
    assert main(command("Gan", "", "", "--draft", str(tmp_path), system=system)) == 2
    assert "loss.toml is there already and is no draft" in capsys.readouterr().err
    assert (tmp_path / "loss.toml").read_text() == "mine"
