"""Every packaged system's numbers, against those of its source."""

import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.parts.optimizers import Adam, Clip, RMSProp

# Rates and Adam's betas; PyTorch's defaults are .9 and .999.
CIFAR = {"data": ((3, 32, 32), (-1, 1), 0), "batch": 64, "z": ("uniform(-1.0, 1.0)", 128)}
MNIST = {"data": ((1, 28, 28), (-1, 1), 0), "batch": 300, "z": ("uniform(-1.0, 1.0)", 100)}
FACES = {"data": ((3, 64, 64), (0, 1), 0), "batch": 16, "z": ("uniform(-1.0, 1.0)", 64)}


def adam(rate, beta1, beta2, place="uncorrected", epsilon=1e-8):
    return Adam(rate, None, beta1, beta2, epsilon, place)


def chainer_adam(rate=2e-4, beta1=0.0, beta2=0.9):
    return {"D": adam(rate, beta1, beta2), "G": adam(rate, beta1, beta2)}


def torch_adam(rates, beta1, beta2):
    return {name: adam(rate, beta1, beta2, "corrected") for name, rate in rates.items()}


def wgan(when):
    # torch.optim.RMSprop: decay .99, epsilon 1e-8 outside the root.
    rule = (0.99, 0, 1e-8, "outside")
    return {"D": RMSProp(5e-5, Clip(0.01, when), *rule), "G": RMSProp(5e-5, None, *rule)}


KERAS_BEGAN = {"D": adam(1e-4, 0.9, 0.999), "G": adam(1e-4, 0.9, 0.999)}
TENSORFLOW = {"D": RMSProp(1e-4, None, 0.9, 1, 1e-10, "inside"), "G": RMSProp(3e-4, None, 0.9, 1, 1e-10, "inside")}
CONDITIONAL = {**MNIST, "data": ((1, 28, 28), (-1, 1), 10)}
CLASSES = {**CIFAR, "data": ((3, 32, 32), (-1, 1), 10)}
THREE = {name: adam(2e-4, 0, 0.9) for name in "CDG"}
DFM = {name: adam(1e-4, 0.5, 0.9) for name in "DGR"}
RATES = {"D": 1e-4, "G": 1e-4}
# name: optimisers, what it is trained on, loss, schedule with the numbers that differ from its file
SYSTEMS = {
    "gan_mlp_mnist": (torch_adam({"D": 4e-5, "G": 1e-4}, 0.9, 0.999), MNIST, "two_class", "same_noise", {}),
    "wgan_gp_mlp_mnist": (torch_adam(RATES, 0, 0.9), MNIST, "wgan_gp", "critic_repeats", {"critic_steps": 5}),
    "cwgan_gp_mlp_mnist": (
        torch_adam(RATES, 0, 0.9), CONDITIONAL, "conditional_wgan_gp", "critic_repeats", {"critic_steps": 5},
    ),
    "cgan_mnist": (
        TENSORFLOW, {"data": ((1, 28, 28), (0, 1), 10), "batch": 256, "z": ("normal(0.0, 1.0)", 2)},
        "cgan_probabilities", "gated", {"max_steps": 5, "good_enough": 1.0, "too_good": 0.4},
    ),
    "began_faces64": (KERAS_BEGAN, FACES, "began", "discriminator_then_generator", {}),
    "began_faces64/paper": (
        KERAS_BEGAN, {**FACES, "data": ((3, 64, 64), (-1, 1), 0)}, "began_paper", "discriminator_then_generator", {},
    ),
    "began_mlp_mnist": (
        torch_adam({"D": 5e-4, "G": 5e-4}, 0.5, 0.999),
        {"data": ((1, 28, 28), (0, 1), 0), "batch": 64, "z": ("uniform(-1.0, 1.0)", 32)},
        "began", "alternating", {},
    ),
    "ac_wgan_gp_cifar10": (THREE, CLASSES, "ac_wgan_gp", "classifier_generator_critic", {}),
    "ac_wgan_gp_cifar10/acgan": (
        chainer_adam(2e-4, 0.5, 0.999), {**CLASSES, "batch": 100}, "acgan", "alternating", {},
    ),
    "acgan_mnist": (
        chainer_adam(5e-4, 0.5, 0.999), {**CIFAR, "data": ((1, 32, 32), (-1, 1), 10)}, "acgan", "alternating", {},
    ),
    "dcgan_mnist": (
        chainer_adam(5e-4, 0.5, 0.999), {**CIFAR, "data": ((1, 32, 32), (-1, 1), 0)}, "non_saturating", "alternating", {},
    ),
    "dcgan_cifar10": (chainer_adam(), CIFAR, "non_saturating", "simultaneous", {}),
    "sndcgan_cifar10": (
        chainer_adam(2e-4, 0.5, 0.999), CIFAR, "non_saturating", "generator_then_discriminator", {"discriminator_steps": 1},
    ),
    "wgan_gp_cifar10": (chainer_adam(), CIFAR, "wgan_gp", "simultaneous_then_critic", {"critic_steps": 5}),
    "dragan_cifar10": (chainer_adam(1e-4), CIFAR, "dragan", "simultaneous_then_critic", {"critic_steps": 2}),
    "dragan_cifar10/official": (
        chainer_adam(1e-4), CIFAR, "dragan_official", "simultaneous_then_critic", {"critic_steps": 2},
    ),
    "cramer_cifar10": (
        chainer_adam(1e-4, 0.5), CIFAR, "cramer", "simultaneous_then_critic", {"critic_steps": 5},
    ),
    "began_cifar10": (chainer_adam(), CIFAR, "began", "simultaneous", {}),
    "dfm_cifar10": (DFM, CIFAR, "denoising_feature_matching", "simultaneous_with_denoiser", {}),
    "minibatch_cifar10": (chainer_adam(1e-4), CIFAR, "non_saturating", "simultaneous", {}),
    "progressive_cifar10": (
        chainer_adam(1e-3, 0, 0.99), {**CIFAR, "batch": 16, "z": ("normal(0.0, 1.0)", 512)},
        "progressive_wgan_gp", "alternating", {},
    ),
    "wgan_cifar10": (wgan("after"), CIFAR, "wgan", "critic_warmup", {"critic_steps": 5, "warmup_critic_steps": 100}),
    "wgan_cifar10/authors": (wgan("before"), CIFAR, "wgan", "critic_warmup", {"warmup": 25, "period": 500}),
}  # fmt: skip


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_systems_numbers_are_those_of_its_source(name):
    system = load_system(name)
    optimizers, trained, loss, schedule, numbers = SYSTEMS[name]
    assert dict(system.optimizers) == optimizers
    shape, span, labels = trained["data"]
    assert (system.data.shape, system.data.range, system.data.labels) == (shape, span, labels)
    assert system.run.batch == trained["batch"]
    distribution, size = trained["z"]
    assert (str(system.draws["z"].distribution), system.symbols["z"].shape) == (distribution, (size,))
    assert (system.loss.name, system.schedule.name) == (loss, schedule)
    assert {key: system.schedule.constants[key] for key in numbers} == numbers


def test_the_lengths_of_runs_are_those_of_the_sources():
    epochs = {name: load_system(name).run.epochs for name in ("gan_mlp_mnist", "wgan_gp_mlp_mnist", "began_faces64")}
    assert epochs == {"gan_mlp_mnist": 500, "wgan_gp_mlp_mnist": 300, "began_faces64": 500}
    assert load_system("cgan_mnist").run.iterations == 5000
    assert load_system("dcgan_cifar10").run.iterations == 100_000


def test_began_on_faces_shrinks_its_learning_rates_when_m_stalls():
    decay, paper = load_system("began_faces64").decay, load_system("began_faces64/paper").decay
    assert (decay.watch, decay.factor, decay.minimum) == ("M", 0.9, 1e-5)
    assert paper.factor == 0.5


def test_progressive_growing_has_a_stage_every_400_000_images_and_an_average_of_its_generator():
    system = load_system("progressive_cifar10")
    assert dict(system.averages) == {"G": 0.999}
    stages = [system.at(iteration)[0] for iteration in (0, 24_999, 25_000, 49_999, 50_000, 150_000, 10**6)]
    assert stages == [0, 0, 1, 1, 2, 6, 6]
    assert system.at(37_500) == (1, 0.5)
    assert [stage.networks["G"].output_shape("out")[1] for stage in system.stages] == [4, 8, 8, 16, 16, 32, 32]


def test_the_latent_manifold_of_the_cgan_is_15_by_15_quantiles():
    manifold = load_system("cgan_mnist").manifold
    assert (manifold.side, manifold.low, manifold.high) == (15, 0.05, 0.95)


def test_pictures_of_the_cgan_come_after_rounds_1_21_41_for_100_periods_then_every_tenth():
    run = load_system("cgan_mnist").run
    shown = [i for i in range(1, 5001) if run.shows(i)]
    assert shown == [*range(1, 2002, 20), *range(2201, 5001, 200)]


@pytest.mark.parametrize("name", system_names())
def test_a_reduced_system_has_the_full_ones_loss_schedule_and_kinds_of_layers(name):
    full, reduced = load_system(name), load_system(name, reduced=True)
    assert (full.loss.name, full.schedule.name) == (reduced.loss.name, reduced.schedule.name)
    assert len(full.stages) == len(reduced.stages)
    for role, network in full.networks.items():
        assert [layer.kind for layer in network.layers] == [layer.kind for layer in reduced.networks[role].layers]
