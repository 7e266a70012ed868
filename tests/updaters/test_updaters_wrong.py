"""A mistake in an updater is found, and named at its line."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("chainer") is None:
    pytest.skip("Chainer is not installed", allow_module_level=True)

from ganspec.tools.__main__ import main
from support.updaters.command import command, line_of

# For each wrong updater: variant, arguments, discriminator; what the report says, and the line of his file that it names.
WRONG = {
    "GanSummed": ("", "", "Discriminator", "a sum for a mean", "loss_gen.backward()"),
    "GanUncleared": (
        "",
        "",
        "Discriminator",
        "mean(softplus(-D(x))) + mean(softplus(-D(G(z)))) +",
        "loss_dis.backward()",
    ),
    "SharedFakesLeaking": ("same_noise", "", "Discriminator", "your loss of G reads: mean(", "loss_gen.backward()"),
    "LsganHalf": ("lsgan", "", "Discriminator", "without a division by 2", 'self.get_optimizer("opt_dis").update()'),
    "WganGpStabilised": (
        "wgan_gp",
        "n_dis=3, lam=10",
        "Discriminator",
        "norm(grad(D(x_hat), x_hat), 1e-10)",
        "loss_gp.backward()",
    ),
    "BeganSign": ("began", "gamma=0.5, lambda_k=0.1", "Autoencoder", "report k", 'chainer.report({"k"'),
}
_BODIES = {
    "GanSummed": "class Gan(",
    "SharedFakesLeaking": "class SharedFakes(",
    "LsganHalf": "class Alternating(",
    "WganGpStabilised": "class WganGp(",
    "BeganSign": "class Began(",
}


@pytest.mark.parametrize("name", WRONG)
def test_mistake_is_found_at_its_line(name, capsys):
    variant, arguments, discriminator, said, line = WRONG[name]
    assert main(command(name, variant, arguments, discriminator=discriminator)) == 1
    shown = capsys.readouterr().out
    assert said in shown
    assert line_of(line, _BODIES.get(name, f"class {name}(")) in shown


def test_epsilon_of_adam_is_recognised(capsys):
    assert main(command("Gan", adam="alpha=2e-4, beta1=0.5, eps=1e-4")) == 1
    shown = capsys.readouterr().out
    assert "parameter G/" in shown
    assert "Adam's epsilon is 0.0001, not 1e-08" in shown
    assert line_of('self.get_optimizer("opt_gen").update()', "class Gan(") in shown


def test_another_order_is_a_difference_with_its_line(capsys):
    assert main(command("HingeOrder", "hinge")) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("your code differs: it leaves the system's order\n")
    assert "update 1 of G in this iteration comes where the spec updates D" in shown
    assert line_of('self.get_optimizer("opt_gen").update()', "class HingeOrder(") in shown


def test_draw_too_many_is_a_difference_with_its_line(capsys):
    assert main(command("DrawsMore")) == 1
    shown = capsys.readouterr().out
    assert "no draw of the spec fits this one" in shown
    assert "nets.py:" in shown


def test_batch_too_many_is_a_difference_with_its_line(capsys):
    assert main(command("TakesTwo")) == 1
    shown = capsys.readouterr().out
    assert "takes a second batch in this iteration" in shown
    assert line_of('self.get_iterator("main").next()', "class Gan(") in shown


def test_batches_too_few_are_noted(capsys):
    assert main(command("WganGp", "wgan_gp", "n_dis=2, lam=10")) == 1
    assert "your step ended where the spec updates D" in capsys.readouterr().out
