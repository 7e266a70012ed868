"""Evaluations for a log or for samples, without gradients, are left out where all else agrees; wrong ones stay wrong."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ganspec import conformance

pytest.importorskip("torch")

import torch

from support.conformance import gan_torch

SETTINGS = ["schedule.critic_steps=1", "run.batch=3"]


class Looking(gan_torch.WganGp):
    """Calls a function at three places of an iteration: at its start, between the updates, and at its end."""

    def __call__(self, x):
        x = x.flatten(1)
        fixed = torch.linspace(-1, 1, 3 * self.latent, dtype=x.dtype).reshape(3, self.latent)
        modules = self.generator, self.critic
        reports = {}
        for number, part in enumerate((self.critic_step, self.generator_step, lambda x: {})):
            if number == self.at:
                for module in modules:
                    module.eval()
                with torch.set_grad_enabled(self.recorded):
                    self.look(x, fixed)
                for module in modules:
                    module.train()
            reports |= part(x)
        return reports


LOOKS = {
    "samples": lambda self, x, fixed: self.generator(fixed),
    "score": lambda self, x, fixed: self.critic(x),
    "both": lambda self, x, fixed: self.critic(torch.cat([x, self.generator(fixed)])),
}


def report_on(look, at, step=Looking, *, recorded=False):
    generator, critic = gan_torch.Generator(5, 8, 36), gan_torch.Critic(36, 7)
    made = type("Step", (step,), {"look": LOOKS[look], "at": at, "recorded": recorded})(generator, critic, 5)
    made.critic_steps = 1
    return conformance.check(
        "wgan_gp_mlp_mnist", made, settings=SETTINGS, reduced=True, iterations=1, suggest=False, G=generator, D=critic
    )


def counts(report):
    return {row.kind: row.compared for row in report.comparison.rows}


@pytest.fixture(scope="module")
def without_looks():
    """What is compared of a port that does not look."""
    report = report_on("score", at=3)
    assert report.agrees
    assert not report.notes
    return counts(report)


@pytest.mark.parametrize(("look", "at"), [("samples", 0), ("samples", 1), ("score", 0), ("both", 0), ("both", 1)])
def test_port_that_looks_at_its_networks_agrees(look, at, without_looks):
    report = report_on(look, at)
    assert report.agrees, report
    assert counts(report) == without_looks
    assert f"were left out, first at iteration 0, step {at}, repeat 0" in report.notes[-1]


def test_port_in_chainer_that_looks_at_its_networks_agrees():
    if find_spec("chainer") is None:
        pytest.skip("needs chainer")
    from support.conformance import gan_chainer

    chainer = gan_chainer.chainer
    generator, critic = gan_chainer.Generator(5, 8, 36), gan_chainer.Critic(36, 7)
    made = gan_chainer.WganGp(generator, critic, 5)

    def step(x):
        with chainer.using_config("train", False), chainer.no_backprop_mode():
            critic(x.reshape(len(x), -1))
        return made(x)

    report = conformance.check(
        "wgan_gp_mlp_mnist", step, settings=["optimizers.epsilon=1e-30", "run.batch=3"], reduced=True, iterations=1,
        suggest=False, G=generator, D=critic, optimizers={"G": made.opt_g, "D": made.opt_d},
    )  # fmt: skip
    assert report.agrees, report
    assert "evaluations of D that record no gradients" in report.notes[-1]


def test_evaluation_that_records_gradients_is_not_left_out():
    assert not report_on("score", 0, recorded=True).agrees


@pytest.mark.parametrize("at", [0, 1])
def test_wrong_port_that_looks_stays_wrong(at):
    class Scaled(Looking):
        def fakes(self, x):
            with torch.no_grad():
                return self.generator(0.5 * self.noise(x))

    class Cut(Looking):
        def generator_step(self, x):
            with torch.no_grad():
                fake = self.generator(self.noise(x))
            loss = -self.critic(fake).mean() + 0 * sum(p.sum() for p in self.generator.parameters())
            self.opt_g.zero_grad()
            loss.backward()
            self.opt_g.step()
            return {"loss_G": loss.item()}

    for wrong in (Scaled, Cut):
        report = report_on("samples", at, wrong)
        assert not report.agrees
        assert "were left out" not in str(report)


def test_evaluation_of_the_spec_that_is_made_by_nothing_else_is_not_left_out():
    class Reconstructing(Looking):
        """Takes the right fakes from elsewhere, and gives G wrong noise for nothing."""

        def fakes(self, x):
            generator, z = self.generator, self.noise(x)
            generator.eval()
            with torch.no_grad():
                generator(-z)
            generator.train()
            h = z
            with torch.no_grad():
                for layer in generator.body:
                    h = layer(h)
            return h

    assert not report_on("samples", 3, Reconstructing).agrees
