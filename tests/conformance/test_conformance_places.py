"""Mistakes are named where they are: in a network's mode or end, between updates, in a backward pass, in a loss."""

from __future__ import annotations

import pytest

from ganspec import conformance

pytest.importorskip("torch")

from support.conformance import gan_torch, wrong_places, wrong_torch

SETTINGS = ["schedule.critic_steps=2", "run.batch=3"]
STEPS = {
    # a wrong step, the place that is named first, and the cause
    "GeneratorInInference": ("step 0, repeat 0: layer %1 G(%0): bn1", "batch norm is in inference mode"),
    "CriticInInference": ("step 1, repeat 0: layer %2 D(%1): dropout_1", "dropout is in inference mode"),
    "ClippedByHand": ("step 0, repeat 0: parameter D/l1/W, changed between updates", "clipped to 0.01 outside"),
    "ClippedFirst": ("step 0, repeat 0: parameter D/l1/W, changed between updates", "clipped to 0.01 outside"),
    "GradientsClipped": ("step 0, repeat 0: gradient of loss_D by D/l4/W", "clipped to the norm 1 of all"),
    "SignOfDistance": ("step 0, repeat 0: loss %25 loss_D", "the sign of everything but the penalty is wrong"),
    "SigmoidInLoss": (
        "step 0, repeat 0: loss %25 loss_D",
        "a sigmoid is applied to what a network gives in the loss of D",
    ),
    "FakesScaled": ("step 0, repeat 0: value %2 D(%1): what it reads", "0.9 times"),
}
FAMOUS = {
    "NoDoubleBackprop": ("gradient of loss_D by D/l4/W", "create_graph=True"),
    "NoZeroGrad": ("repeat 1: gradient of loss_D by D/l4/W", "the gradient of the step before is still in it"),
    "WrongPenaltyWeight": ("step 0, repeat 0: report gradient_penalty", "0.1 times"),
}
NETWORKS = {
    ("D", "SigmoidOfCritic"): ("layer %2 D(%1): l4", "sigmoid is applied to what the linear layer gives"),
    ("D", "CutCritic"): ("gradient of loss_D by %5 D(%4): dropout_2", "no gradient arrives"),
    ("G", "NoTanh"): ("layer %1 G(%0): tanh_1", "the identity, where tanh is meant"),
}


def report_on(step=gan_torch.WganGp, G=gan_torch.Generator, D=gan_torch.Critic):
    generator, critic = G(5, 8, 36), D(36, 7)
    made = step(generator, critic, 5)
    made.critic_steps = 2
    return conformance.check(
        "wgan_gp_mlp_mnist", made, settings=SETTINGS, reduced=True, iterations=1, suggest=False, G=generator, D=critic
    )


def check_story(report, place, cause):
    text = str(report)
    assert place in text.split("\n")[2], text
    assert cause in report.comparison.first.guess, text


@pytest.mark.parametrize("name", STEPS)
def test_wrong_step_is_named_with_its_cause(name):
    check_story(report_on(getattr(wrong_places, name)), *STEPS[name])


@pytest.mark.parametrize("name", FAMOUS)
def test_famous_mistake_is_named_with_its_cause(name):
    check_story(report_on(getattr(wrong_torch, name)), *FAMOUS[name])


@pytest.mark.parametrize(("network", "name"), NETWORKS, ids=lambda v: v)
def test_wrong_network_is_named_with_its_cause(network, name):
    check_story(report_on(**{network: getattr(wrong_places, name)}), *NETWORKS[network, name])


def test_dropout_that_is_missing_is_reported_with_the_masks_that_nobody_drew():
    report = report_on(wrong_places.CriticInInference)
    assert "not drawn: the mask of D's layer dropout_1" in report.notes[-1]


def test_harmless_layers_of_one_network_do_not_hide_a_mistake_elsewhere():
    class OtherLayers(gan_torch.Critic):
        """Drops before the activation, which commutes with a scale that is not negative."""

        def forward(self, x):
            import torch.nn.functional as F

            h = x.flatten(1)
            for layer in (self.fc1, self.fc2, self.fc3):
                h = F.leaky_relu(F.dropout(layer(h), self.dropout, self.training), self.slope)
            return self.fc4(h)

    report = report_on(wrong_torch.SumForMean, D=OtherLayers)
    assert report.first.name == "report gradient_penalty", report
    assert "what D gives agrees, so it is the same function by other layers" in report.notes[-1]


def test_gradients_by_layer_are_compared_also_where_several_networks_move_at_once():
    import torch
    import torch.nn.functional as F

    def checked(times):
        generator, discriminator = gan_torch.dcgan_generator(6, 16, 1, 3), gan_torch.dcgan_discriminator(16, 1, 3)
        opt_g, opt_d = (
            torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.0, 0.9), eps=1e-4) for m in (generator, discriminator)
        )

        def step(x):
            real, fake = discriminator(x), discriminator(generator(2 * torch.rand(len(x), 6) - 1))
            loss_d, loss_g = F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()
            opt_d.zero_grad()
            opt_g.zero_grad()
            (times * loss_d).backward(inputs=list(discriminator.parameters()), retain_graph=True)
            loss_g.backward(inputs=list(generator.parameters()))
            opt_d.step()
            opt_g.step()

        settings = ["run.batch=4", "optimizers.epsilon_place=corrected"]
        return conformance.check(
            "dcgan_cifar10", step, settings=settings, reduced=True, iterations=1, suggest=False,
            G=generator, D=discriminator,
        )  # fmt: skip

    right = checked(times=1)
    assert right.agrees, right
    assert {row.kind: row.compared for row in right.comparison.rows}["layer gradient"] > 20
    wrong = checked(times=3)
    assert (wrong.first.kind, wrong.first.name.split()[1]) == ("loss", "loss_D"), wrong


def test_gradients_that_are_only_looked_at_count_for_nothing():
    import torch

    class Logging(gan_torch.WganGp):
        def critic_loss(self, x, fake):
            loss, distance, penalty = super().critic_loss(x, fake)
            for _ in range(2):
                torch.autograd.grad(loss, list(self.critic.parameters()), retain_graph=True)
            return loss, distance, penalty

    report = report_on(Logging)
    assert report.agrees, report
    assert "layer gradient" in {row.kind for row in report.comparison.rows}
