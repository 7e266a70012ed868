"""Parts alone: a network, a loss, an optimiser, right and wrong, in both frameworks."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ganspec import conformance

QUICK = {"reduced": True, "settings": ["run.batch=3"]}


@pytest.fixture
def gans():
    pytest.importorskip("torch")
    from support.conformance import gan_torch

    return gan_torch


@pytest.fixture
def chainer_gans():
    if find_spec("chainer") is None:
        pytest.skip("needs chainer")
    from support.conformance import gan_chainer

    return gan_chainer


def test_networks_of_torch_agree(gans):
    for name, network in (("G", gans.Generator(5, 8, 36)), ("D", gans.Critic(36, 7))):
        report = conformance.check_network("wgan_gp_mlp_mnist", name, network, **QUICK)
        assert report.agrees, report
        kinds = {row.kind for row in report.comparison.rows}
        assert {"draw", "layer", "input gradient", "report", "parameter gradient"} <= kinds
        assert ("statistic" in kinds) == (name == "G")


def test_convolutional_networks_of_torch_agree(gans):
    discriminator = gans.nn.Sequential(gans.began_encoder(3, 1, 16, 5), gans.began_decoder(3, 1, 16, 5))
    assert conformance.check_network("began_mnist", "D", discriminator, **QUICK).agrees
    for name, network in (("G", gans.dcgan_generator(6, 16, 1, 3)), ("D", gans.dcgan_discriminator(16, 1, 3))):
        report = conformance.check_network("dcgan_cifar10", name, network, **QUICK)
        assert report.agrees, report


def test_wrong_momentum_is_seen_in_the_statistic_first(gans):
    report = conformance.check_network("dcgan_cifar10", "G", gans.dcgan_generator(6, 16, 1, 3, momentum=0.2), **QUICK)
    assert report.first.name == "statistic G/bn0/mean"
    assert report.first.source.startswith("architectures/dcgan_generator.toml:")


def test_network_is_left_in_its_mode(gans):
    network = gans.Critic(36, 7).eval()
    assert conformance.check_network("wgan_gp_mlp_mnist", "D", network, **QUICK).agrees
    assert not network.training


def test_networks_of_chainer_agree(chainer_gans):
    for name, network in (("G", chainer_gans.Generator(5, 8, 36)), ("D", chainer_gans.Critic(36, 7))):
        report = conformance.check_network("wgan_gp_mlp_mnist", name, network, **QUICK)
        assert report.agrees, report
    report = conformance.check_network("wgan_gp_mlp_mnist", "D", chainer_gans.Critic(36, 7, slope=0.2), **QUICK)
    assert report.first.layer == "leaky_relu_1"


def penalty(torch, norm, create_graph=True):
    def gradient_penalty(D, x, x_fake, eps):
        eps = eps.reshape(-1, 1, 1, 1)
        x_hat = (eps * x + (1 - eps) * x_fake).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=create_graph)
        return ((norm(gradient) - 1) ** 2).mean()

    return gradient_penalty


def test_penalty_agrees_and_one_with_a_wrong_norm_does_not():
    torch = pytest.importorskip("torch")
    how = {"formula": "penalty", "arguments": {"x_fake": "G(z)"}, **QUICK}
    right = penalty(torch, lambda g: g.flatten(1).norm(dim=1))
    report = conformance.check_loss("wgan_gp_mlp_mnist", "D", right, **how)
    assert report.agrees, report
    assert "parameter gradient" in {row.kind for row in report.comparison.rows}
    wrong = penalty(torch, lambda g: g.norm(dim=1))
    assert conformance.check_loss("wgan_gp_mlp_mnist", "D", wrong, **how).first.name.startswith("%17 penalty = loss_D")


def test_loss_whose_graph_is_cut_is_rejected_at_the_gradient():
    torch = pytest.importorskip("torch")

    def half(D, x, x_fake):
        return D(x_fake).mean() - D(x).mean().detach()

    how = {"formula": "mean(D(G(z))) - mean(D(x))", "arguments": {"x_fake": "detach(G(z))"}, **QUICK}
    report = conformance.check_loss("wgan_gp_mlp_mnist", "D", half, **how)
    assert report.first.name.startswith("gradient of loss_D by D/l4"), report
    assert torch is not None


def test_loss_with_a_carried_number_agrees():
    pytest.importorskip("torch")

    def loss(D, x, fake, k):
        return (x - D(x)).abs().mean() - k * (fake - D(fake)).abs().mean()

    assert conformance.check_loss("began_mnist", "D", loss, arguments={"fake": "G(z)"}, **QUICK).agrees


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "the function's parameter 'real' is nothing that wgan_gp_mlp_mnist has"),
        ({"real": "D(x"}, "arguments: real = 'D(x'"),
        ({"real": "E(x)"}, "arguments: real = 'E(x)' is nothing"),
        ({"reel": "x"}, "the function has no parameter 'reel'"),
        ({"real": "D(x)"}, "the loss of D gives a tensor of shape [3, 1], expected a tensor of one number"),
    ],
)
def test_loss_that_cannot_be_called_says_why(arguments, message):
    pytest.importorskip("torch")
    with pytest.raises(conformance.ConformanceError) as error:
        conformance.check_loss("wgan_gp_mlp_mnist", "D", lambda real: real, arguments=arguments, **QUICK)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, None),
        ({"betas": (0.1, 0.9)}, "moment D/m/l1/W"),
        ({"eps": 1e-6}, "parameter D/l1/W"),
        ({"lr": 1.1e-4}, "parameter D/l1/W"),
        ({"weight_decay": 1e-3}, "moment D/m/l1/W"),
    ],
)
def test_optimiser_of_torch_is_compared_update_by_update(changes, first):
    torch = pytest.importorskip("torch")
    given = {"lr": 1e-4, "betas": (0.0, 0.9), "eps": 1e-8, **changes}
    report = conformance.check_optimizer("wgan_gp_mlp_mnist", "D", lambda p: torch.optim.Adam(p, **given), **QUICK)
    assert (report.first.name if report.first else None) == first, report


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": 0}, "updates is 0, expected a whole number from 1 to 1000"),
        ({"updates": 2.5}, "updates is 2.5, expected a whole number from 1 to 1000"),
        ({"seed": "a"}, "seed is 'a', expected a whole number from 0 to 2^63 - 1"),
        ({"dtype": "float16"}, "dtype is 'float16', expected one of 'float32', 'float64'"),
    ],
)
def test_argument_of_another_kind_is_named(options, message):
    with pytest.raises(conformance.ConformanceError) as error:
        conformance.check_optimizer("wgan_gp_mlp_mnist", "D", lambda p: None, reduced=True, **options)
    assert str(error.value) == message


def test_place_of_chainers_epsilon_is_seen(chainer_gans):
    make = lambda: chainer_gans.chainer.optimizers.Adam(1e-4, beta1=0.0, beta2=0.9, eps=1e-8)  # noqa: E731
    settings = ["optimizers.epsilon_place=uncorrected"]
    how = {"framework": "chainer", "reduced": True}
    assert conformance.check_optimizer("wgan_gp_mlp_mnist", "D", make, settings=settings, **how).agrees
    assert not conformance.check_optimizer("wgan_gp_mlp_mnist", "D", make, **how).agrees
