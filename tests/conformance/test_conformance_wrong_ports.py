"""Wrong ports: each is rejected, at the place where it is wrong."""

from __future__ import annotations

import pytest

from ganspec import conformance

pytest.importorskip("torch")

import torch

from support.conformance import gan_torch, wrong_torch

WGAN = {
    # a step that is wrong, and what the report or the message must say
    "NormOfTheBatch": "report gradient_penalty",
    "NormOverSamples": "report gradient_penalty",
    "SumForMean": "report gradient_penalty",
    "WrongPenaltyWeight": "report gradient_penalty",
    "NoDoubleBackprop": "gradient of loss_D by D/l4/W",
    "OneEpsForTheBatch": "torch.rand([1])",
    "EpsForEachPixel": "torch.rand_like([3, 36])",
    "NormalEps": "the spec still has: eps: 3 numbers of uniform(0, 1)",
    "UnscaledNoise": "draw %0 draw z",
    "NormalNoise": "torch.randn([3, 5])",
    "SameNoiseEachStep": "not drawn: z",
    "NoiseAnewForThePenalty": "torch.rand([3, 5])",
    "SignOfG": "iteration 0, step 1, repeat 0: loss %4 loss_G",
    "NoZeroGrad": "iteration 0, step 0, repeat 1: gradient of loss_D by D/l4/W",
    "GeneratorFirst": "update 1 of G in this iteration comes where the spec updates D (iteration 0, step 0, repeat 0)",
    "OneCriticStepLess": "update 1 of G in this iteration comes where the spec updates D (iteration 0, step 0, repeat 1)",
    "OneCriticStepMore": "no draw of the spec fits this one at iteration 0, step 1, repeat 0, where it updates G",
    "WrongReport": "report distance",
}
OPTIMIZERS = [
    ({"lr": 2e-4}, "repeat 0: parameter D/l1/W"),
    ({"betas": (0.5, 0.9)}, "repeat 0: moment D/m/l1/W"),
    ({"betas": (0.0, 0.99)}, "repeat 0: moment D/v/l1/W"),
    ({"eps": 1e-6}, "repeat 0: parameter D/l1/W"),
    ({"weight_decay": 0.1}, "repeat 0: moment D/m/l1/W"),
    ({"amsgrad": True}, "repeat 1: parameter D/l1/W"),
]
NETWORKS = {
    ("G", "BiasedMomentum"): "statistic G/bn1/mean",
    ("G", "OtherEpsilon"): "G(%0): bn2",
    ("G", "SigmoidAtTheEnd"): "G(%0): tanh_1",
    ("G", "NormBeforeActivation"): "G(%0): leaky_relu_1",
    ("D", "OtherSlope"): "D(%1): leaky_relu_1",
    ("D", "OtherRate"): "keeps each number with probability 0.7; the spec's dropout there drops 0.5 and keeps 0.5",
    ("D", "DropoutBeforeActivation"): "D(%1): leaky_relu_1",
    ("D", "NoDropout"): "D(%1): dropout_1",
    ("D", "SwappedLayers"): "D(%1): l2",
}
BEGAN = {
    "Unclamped": ("report k", ["loss.lambda_k=50"]),
    "OtherSign": ("report k", ["loss.lambda_k=0.05"]),
    "SquaredLoss": ("report L_real", []),
    "SumOfPixels": ("report L_real", []),
    "KNotUsed": ("iteration 1, step 0, repeat 0: loss %13 loss_D", []),
}


def said(system, step, settings, iterations=1, **networks):
    """Returns: what a user reads of a step."""
    try:
        report = conformance.check(
            system, step, settings=settings, reduced=True, iterations=iterations, suggest=False, **networks
        )
    except conformance.ConformanceError as error:
        return str(error)
    assert not report.agrees, report
    return str(report)


def first_of(text):
    """Returns: the place that a report names first, or a whole message."""
    lines = text.split("\n")
    return lines[2].strip() if "the first difference" in "".join(lines[1:2]) else text


def wgan_gp(step=gan_torch.WganGp, G=gan_torch.Generator, D=gan_torch.Critic):
    generator, critic = G(5, 8, 36), D(36, 7)
    made = step(generator, critic, 5)
    made.critic_steps = 2
    settings = ["schedule.critic_steps=2", "run.batch=3"]
    return first_of(said("wgan_gp_mlp_mnist", made, settings, G=generator, D=critic))


@pytest.mark.parametrize("name", WGAN)
def test_wrong_step_is_rejected_at_its_place(name):
    text = wgan_gp(getattr(wrong_torch, name))
    assert WGAN[name] in text, text
    if name in ("OneEpsForTheBatch", "EpsForEachPixel", "NormalNoise"):
        assert "wrong_torch.py:" in text.split("\n")[0]  # the line that asked


def with_a_wrong_draw_in_the_second_repeat(port):
    """Returns: a step like another, whose second critic step draws once too often."""

    class Drawing(port):
        calls = 0

        def critic_step(self, x):
            self.calls += 1
            if self.calls == 2:
                torch.rand(len(x), 17)
            return super().critic_step(x)

    return Drawing


def test_what_differs_in_an_earlier_repeat_is_reported_before_a_draw_that_does_not_fit():
    class InferenceMode(gan_torch.WganGp):
        def fakes(self, x):
            self.generator.eval()
            fake = super().fakes(x)
            self.generator.train()
            return fake

    step = with_a_wrong_draw_in_the_second_repeat
    assert "iteration 0, step 0, repeat 0: layer %1 G(%0): bn1" in wgan_gp(step(InferenceMode))
    for wrong, wanted in (("SumForMean", "loss %25 loss_D"), ("WrongReport", "torch.rand([3, 17])")):
        assert wanted in wgan_gp(step(getattr(wrong_torch, wrong)))
    assert "torch.rand([3, 17])" in wgan_gp(step(gan_torch.WganGp))  # nothing differs before it


def test_report_says_why_nothing_was_compared_after_the_first_difference():
    generator, critic = gan_torch.Generator(5, 8, 36), gan_torch.Critic(36, 7)
    step = with_a_wrong_draw_in_the_second_repeat(wrong_torch.SumForMean)(generator, critic, 5)
    step.critic_steps = 2
    text = said("wgan_gp_mlp_mnist", step, ["schedule.critic_steps=2", "run.batch=3"], G=generator, D=critic)
    assert "note: after that nothing could be compared: " in text
    assert "no draw of the spec fits this one at iteration 0, step 0, repeat 1" in text


@pytest.mark.parametrize(("changes", "wanted"), OPTIMIZERS, ids=str)
def test_wrong_optimiser_is_rejected_at_its_first_update(changes, wanted):
    assert wanted in wgan_gp(wrong_torch.with_optimizer(**changes))


@pytest.mark.parametrize(("network", "name"), NETWORKS, ids=lambda v: v)
def test_wrong_network_is_rejected_at_its_layer(network, name):
    assert NETWORKS[network, name] in wgan_gp(**{network: getattr(wrong_torch, name)})


@pytest.mark.parametrize("name", BEGAN)
def test_wrong_began_is_rejected_at_its_place(name):
    wanted, settings = BEGAN[name]
    generator = gan_torch.began_decoder(3, 1, 16, 5)
    discriminator = gan_torch.nn.Sequential(gan_torch.began_encoder(3, 1, 16, 5), gan_torch.began_decoder(3, 1, 16, 5))
    step = getattr(wrong_torch, name)(generator, discriminator, 5)
    step.lambda_k = float(settings[0].partition("=")[2]) if settings and "lambda" in settings[0] else step.lambda_k
    text = said("began_mnist", step, [*settings, "run.batch=2"], iterations=2, G=generator, D=discriminator)
    assert wanted in first_of(text), text
