"""Whole training steps that are right: they agree, and everything is left as it was."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from ganspec import conformance
from support.tiny_systems import GENERATOR, critic, write_system

QUICK = ["schedule.critic_steps=2", "run.batch=4"]


@pytest.fixture
def gans():
    pytest.importorskip("torch")
    from support.conformance import gan_torch

    return gan_torch


def wgan_gp(gans, loop=None, critic=None, **options):
    """Returns: the report on a WGAN-GP of the reduced system."""
    generator, critic = gans.Generator(5, 8, 36), critic or gans.Critic(36, 7)
    step = (loop or gans.WganGp)(generator, critic, 5)
    step.critic_steps = 2
    optimizers = {"G": step.opt_g, "D": step.opt_d}
    given = {"settings": QUICK, "reduced": True, "iterations": 1, **options}
    return conformance.check("wgan_gp_mlp_mnist", step, G=generator, D=critic, optimizers=optimizers, **given)


def test_wgan_gp_in_torch_agrees_in_every_kind_of_quantity(gans):
    report = wgan_gp(gans, iterations=2)
    assert report.agrees, report
    kinds = {row.kind: row.compared for row in report.comparison.rows}
    wanted = (
        "draw",
        "layer",
        "value",
        "input gradient",
        "report",
        "statistic",
        "parameter gradient",
        "moment",
        "parameter",
    )
    assert set(wanted) <= set(kinds)
    assert kinds["parameter gradient"] == 2 * (2 * 8 + 14)  # two iterations of two critic steps and a generator step
    assert kinds["layer"] == 2 * (2 * (12 + 3 * 11) + 12 + 11)


def test_a_step_is_not_called_again_to_find_out_what_rounding_costs(gans, capsys):
    """A rate that is wrong in its tenth digit is near enough to rounding to be measured by more runs."""

    class Printing(gans.WganGp):
        def __call__(self, batches):
            print("called")  # which cannot be put back
            for group in self.opt_d.param_groups:
                group["lr"] = 1e-4 * (1 + 1e-10)
            return super().__call__(batches)

    report = wgan_gp(gans, Printing, suggest=False)
    difference = report.first
    assert (difference.kind, difference.network) == ("parameter", "D")
    assert 1 < difference.ratio < 1e4
    assert capsys.readouterr().out.count("called") == 1


def test_same_function_by_other_layers_agrees_and_the_report_says_so(gans):
    import torch.nn.functional as F

    class OtherLayers(gans.Critic):
        """Drops before the activation, which commutes with a scale that is not negative."""

        slopes = (0.3, 0.3, 0.3)

        def forward(self, x):
            h = x.flatten(1)
            for layer, slope in zip((self.fc1, self.fc2, self.fc3), self.slopes, strict=True):
                h = F.leaky_relu(F.dropout(layer(h), self.dropout, self.training), slope)
            return self.fc4(h)

    class OtherFunction(OtherLayers):
        slopes = (0.3, 0.3, 0.31)

    report = wgan_gp(gans, critic=OtherLayers(36, 7), iterations=2)
    assert report.agrees, report
    kinds = {row.kind: row.compared for row in report.comparison.rows}
    assert {"parameter gradient", "parameter", "report"} <= set(kinds)
    assert kinds["layer"] == 2 * (2 * (1 + 3) + 1 + 1)  # what each evaluation of a network gives
    assert "layer gradient" not in kinds
    assert report.notes[-1].startswith(
        "inner layers differ and were left out, first %2 D(%1): leaky_relu_1 at iteration 0"
    )
    wrong = wgan_gp(gans, critic=OtherFunction(36, 7))
    assert wrong.first.kind == "layer", wrong
    assert not wrong.notes


def test_wgan_gp_agrees_in_float32(gans):
    report = wgan_gp(gans, dtype="float32")
    assert report.agrees, report


def test_optimisers_are_found_when_they_are_not_given(gans):
    generator, critic = gans.Generator(5, 8, 36), gans.Critic(36, 7)
    step = gans.WganGp(generator, critic, 5)
    step.critic_steps = 2
    report = conformance.check(
        "wgan_gp_mlp_mnist", step, G=generator, D=critic, settings=QUICK, reduced=True, iterations=1
    )
    assert report.agrees, report


def test_everything_is_as_it_was_afterwards(gans):
    import torch

    generator, critic = gans.Generator(5, 8, 36), gans.Critic(36, 7)
    step = gans.WganGp(generator, critic, 5)
    step.critic_steps = 2
    step(torch.rand(4, 1, 6, 6))
    before = {k: v.clone() for m in (generator, critic) for k, v in m.state_dict().items()}
    moments = {k: v["exp_avg"].clone() for k, v in step.opt_d.state_dict()["state"].items()}
    numbers, kept = np.random.get_state()[1].copy(), torch.get_rng_state()
    conformance.check(
        "wgan_gp_mlp_mnist", step, G=generator, D=critic, optimizers={"G": step.opt_g, "D": step.opt_d},
        settings=QUICK, reduced=True, iterations=1,
    )  # fmt: skip
    after = {k: v for m in (generator, critic) for k, v in m.state_dict().items()}
    assert all(torch.equal(before[k], after[k]) and before[k].dtype == after[k].dtype for k in before)
    assert all(torch.equal(m, step.opt_d.state_dict()["state"][k]["exp_avg"]) for k, m in moments.items())
    assert torch.get_default_dtype() == torch.float32
    assert np.array_equal(np.random.get_state()[1], numbers)
    assert torch.equal(torch.get_rng_state(), kept)


def test_modes_and_switches_are_put_back(gans):
    import torch

    generator, critic = gans.Generator(5, 8, 36), gans.Critic(36, 7).eval()
    generator.body[3].bias.requires_grad_(False)

    class Switching(gans.WganGp):
        """Leaves everything in another state than it found it in."""

        def __call__(self, x):
            self.critic.train()
            self.generator.body[3].bias.requires_grad_(True)
            reports = super().__call__(x)
            self.generator.eval()
            for parameter in self.critic.parameters():
                parameter.requires_grad_(False)
            self.critic.fc1.bias = torch.nn.Parameter(torch.ones(7))
            self.generator.body[2].running_mean = torch.ones(8)
            torch.set_grad_enabled(False)
            return reports

    step = Switching(generator, critic, 5)
    step.critic_steps = 2
    held = {name: id(t) for m in (generator, critic) for name, t in [*m.named_parameters(), *m.named_buffers()]}
    report = conformance.check(
        "wgan_gp_mlp_mnist", step, G=generator, D=critic, settings=QUICK, reduced=True, iterations=1
    )
    recording = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    assert recording
    assert report.agrees, report
    assert all(m.training for m in generator.modules())
    assert not any(m.training for m in critic.modules())
    frozen = [n for m in (generator, critic) for n, p in m.named_parameters() if not p.requires_grad]
    assert frozen == ["body.3.bias"]
    assert held == {n: id(t) for m in (generator, critic) for n, t in [*m.named_parameters(), *m.named_buffers()]}


def test_switches_of_chainer_are_put_back():
    if find_spec("chainer") is None:
        pytest.skip("needs chainer")
    from support.conformance import gan_chainer

    chainer = gan_chainer.chainer
    generator, critic = gan_chainer.Generator(5, 8, 36), gan_chainer.Critic(36, 7)

    class Switching(gan_chainer.WganGp):
        def __call__(self, x):
            reports = super().__call__(x)
            self.critic.disable_update()
            chainer.config.train = False
            chainer.config.enable_backprop = False
            return reports

    step = Switching(generator, critic, 5)
    critic.fc1.W.update_rule.enabled = False
    with chainer.using_config("train", True), chainer.using_config("enable_backprop", True):
        conformance.check(
            "wgan_gp_mlp_mnist", step, G=generator, D=critic, optimizers={"G": step.opt_g, "D": step.opt_d}, reduced=True,
            settings=["optimizers.epsilon=1e-30", "run.batch=16"], iterations=1, suggest=False,
        )  # fmt: skip
        assert chainer.config.train
        assert chainer.config.enable_backprop
    assert [p.name for p in critic.params() if not p.update_rule.enabled] == ["W"]


def test_began_agrees_and_its_k_is_put_back(gans):
    from torch import nn

    generator = gans.began_decoder(3, 1, 16, 5)
    discriminator = nn.Sequential(gans.began_encoder(3, 1, 16, 5), gans.began_decoder(3, 1, 16, 5))
    step = gans.Began(generator, discriminator, 5)
    report = conformance.check("began_mnist", step, G=generator, D=discriminator, reduced=True)
    # Keras evaluates G in inference mode for D's step; without batch norm or dropout that is the same.
    assert report.agrees, report
    assert step.k == 0.0


def test_dcgan_of_one_simultaneous_step_agrees(gans):
    import torch
    import torch.nn.functional as F

    generator, discriminator = gans.dcgan_generator(6, 16, 1, 3), gans.dcgan_discriminator(16, 1, 3)
    opt_g, opt_d = (
        torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.0, 0.9), eps=1e-4) for m in (generator, discriminator)
    )

    def step(x):
        real, fake = discriminator(x), discriminator(generator(2 * torch.rand(len(x), 6) - 1))
        loss_d = F.softplus(-real).mean() + F.softplus(fake).mean()
        opt_d.zero_grad()
        opt_g.zero_grad()
        loss_d.backward(inputs=list(discriminator.parameters()), retain_graph=True)
        F.softplus(-fake).mean().backward(inputs=list(generator.parameters()))
        opt_d.step()
        opt_g.step()
        return loss_d

    report = conformance.check(
        "dcgan_cifar10", step, G=generator, D=discriminator, optimizers={"G": opt_g, "D": opt_d}, reduced=True,
        settings=["optimizers.epsilon_place=corrected"], iterations=1,
    )  # fmt: skip
    assert report.agrees, report
    assert "Tensor" in report.notes[0]  # what it returns has no name


def test_wgan_gp_in_chainer_agrees():
    if find_spec("chainer") is None:
        pytest.skip("needs chainer")
    from support.conformance import gan_chainer

    generator, critic = gan_chainer.Generator(5, 8, 36), gan_chainer.Critic(36, 7)
    step = gan_chainer.WganGp(generator, critic, 5)
    report = conformance.check(
        "wgan_gp_mlp_mnist", step, G=generator, D=critic, optimizers={"G": step.opt_g, "D": step.opt_d}, reduced=True,
        settings=["optimizers.epsilon=1e-30", "run.batch=16"], iterations=1,
    )  # fmt: skip
    assert report.agrees, report
    assert generator.l1.W.dtype == np.float32
    assert generator.bn1.avg_mean.dtype == np.float32


@pytest.mark.usefixtures("a_framework")
@pytest.mark.parametrize(("rate", "agrees"), [(0.01, True), (0.011, False)])
def test_gan_in_numpy_is_compared_from_outside(tmp_path, rate, agrees):
    from support.conformance import gan_numpy

    system = write_system(tmp_path, "lsgan", {"G": GENERATOR, "D": critic()})
    generator, discriminator = gan_numpy.networks()
    step = gan_numpy.Lsgan(generator, discriminator, rate)
    report = conformance.check(system, step, G=generator, D=discriminator, mapping=gan_numpy.MAPPING, iterations=3)
    assert report.agrees == agrees, report
    assert not generator["W"].any()
    assert isinstance(step.rng, np.random.Generator)
    assert type(step.rng) is np.random.Generator
    assert (step.t, step.m) == (0, {})


@pytest.fixture
def a_framework():
    if find_spec("torch") is None and find_spec("chainer") is None:
        pytest.skip("needs a framework")


def test_step_takes_an_iterator_where_an_iteration_takes_several_batches(gans):
    import torch

    generator, critic = gans.Generator(5, 8, 36), gans.Critic(36, 7)
    loop = gans.WganGp(generator, critic, 5)

    def step(batches):
        reports = {}
        for _ in range(2):
            reports |= loop.critic_step(next(batches).flatten(1))
        return reports | loop.generator_step(torch.empty(4, 1))

    report = conformance.check(fresh_batches(), step, G=generator, D=critic, iterations=1)
    assert report.agrees, report


def fresh_batches():
    """Returns: WGAN-GP whose critic steps each take a batch of their own."""
    from dataclasses import replace

    from ganspec.spec import load_system

    system = load_system("wgan_gp_mlp_mnist", QUICK, reduced=True)
    return replace(system, schedule=replace(system.schedule, data="repeat"))


def test_nothing_is_suggested_while_a_mutant_is_tried(gans, monkeypatch):
    """Its verdict counts, and other conventions take several times as long as that."""
    from ganspec.tools.conformance import check

    tried = []
    monkeypatch.setattr(check, "_suggestion", lambda *arguments: tried.append(1) or "")
    assert not wgan_gp(gans, critic=gans.Critic(36, 7, 0.2)).agrees
    assert len(tried) == 1
    monkeypatch.setenv("GANSPEC_MUTANT", "sum for mean")
    assert not wgan_gp(gans, critic=gans.Critic(36, 7, 0.2)).agrees
    assert len(tried) == 1
