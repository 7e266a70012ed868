"""Gradients that nothing needs are not compared: D is frozen in G's step in ganspec, and need not be in somebody's code."""

from __future__ import annotations

import pytest

from ganspec import conformance
from ganspec.spec import load_system
from ganspec.tools.conformance.backward import needed_gradients

pytest.importorskip("torch")

import torch
from torch import nn

from support.conformance import gan_torch

LABELS = 10


class Conditional(nn.Module):
    """A network that reads an embedding of the labels beside its other input."""

    def __init__(self, body: nn.Module, code: int) -> None:
        super().__init__()
        self.embedding, self.body = nn.Embedding(LABELS, code), body

    def forward(self, v: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.body(torch.cat([v.flatten(1), self.embedding(y)], 1))


class ConditionalWganGp(gan_torch.WganGp):
    """The networks read labels; D's step uses those of the real images for all, G's step draws some."""

    def fakes(self, x):
        return self.generator(self.noise(x), self.y).detach()

    def critic_loss(self, x, fake):
        critic = self.critic
        self.critic = lambda v: critic(v, self.y)
        found = super().critic_loss(x, fake)
        self.critic = critic
        return found

    def generator_step(self, x):
        z, y = self.noise(x), torch.randint(0, LABELS, (len(x),))
        loss = -self.critic(self.generator(z, y), y).mean()
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()
        return {"loss_G": loss.item()}

    def step(self, x, y):
        self.y = y
        return self(x)


def checked(rate):
    generator = Conditional(gan_torch.Generator(5 + 3, 8, 36), 3)
    critic = Conditional(gan_torch.Critic(36 + 3, 7), 3)
    made = ConditionalWganGp(generator, critic, 5)
    made.critic_steps = 1
    made.opt_g.param_groups[0]["lr"] = rate
    return conformance.check(
        "cwgan_gp_mlp_mnist", made.step, settings=["schedule.critic_steps=1"], reduced=True, iterations=1, suggest=False,
        G=generator, D=critic,
    )  # fmt: skip


def test_conditional_port_whose_critic_is_not_frozen_agrees_layer_by_layer():
    report = checked(1e-4)
    assert report.agrees, report
    assert not report.notes, "inner layers are compared"


def test_what_is_wrong_after_a_critic_that_is_not_frozen_is_named():
    report = checked(3e-4)
    assert (report.first.kind, report.first.network) == ("parameter", "G"), report
    assert "learning rate 0.0003, not 0.0001" in report.comparison.first.guess


def test_gradients_are_needed_where_they_flow_on_to_a_parameter_or_a_variable():
    stage = load_system("cwgan_gp_mlp_mnist").stages[0]
    of_d, of_g = stage.plan.steps
    for step, without in ((of_d, {}), (of_g, {"D": {"embedding"}})):
        needed = needed_gradients(step, stage)
        for i, node in enumerate(step.nodes):
            if node.op == "network" and i in step.tracked:
                missing = {la.name for la in stage.networks[node.value].layers if (i, la.name) not in needed}
                assert missing - {"pixels"} == without.get(node.value, set())
    images = [i for i, node in enumerate(of_d.nodes) if node.op == "network" and node.value == "D"]
    pixels = [(i, "pixels") in needed_gradients(of_d, stage) for i in images]
    assert sum(pixels) == 1, "the penalty differentiates by the mixed images"
