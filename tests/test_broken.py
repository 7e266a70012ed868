"""Tests of the tests: each named wrong variant, put into one backend, must be rejected by the comparison.

The variants are the famous bugs of published GAN code.
"""

from functools import cache

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools import backends
from ganspec.tools.agreement import compare, compare_float32, trace
from support import layer_systems
from support.breakers import (
    another_kind,
    biased_variance,
    cover_all,
    flipped_mode,
    forgotten_statistics,
    module,
    no_graph,
    norm_over_rows,
    one_norm_for_the_batch,
    other_vector,
    replace_draw,
    replace_layer,
    replace_operation,
    reversed_fade,
    set_layer,
    shared_embedding,
    softmax,
    spectral_vector,
    square_sum,
    symmetric_padding,
    total,
    unbiased_deviation,
    unscaled_dropout,
    with_settings,
    wrong_norm,
)
from support.breakers_training import (
    adam_without,
    average_of_parameters_only,
    changed,
    count_for_each_parameter,
    fakes_made_anew,
    gate_after_the_update,
    leaking_generator_loss,
    remade,
    repeats,
    reworded,
    way_not_constant,
)

pytestmark = pytest.mark.usefixtures("both_backends")

WGAN, BEGAN, WARMUP, GROWING = "wgan_gp_mlp_mnist", "began_mnist", "wgan_cifar10", "progressive_cifar10"
# With this, k reaches both ends of its interval within three iterations.
WILD_K = ["loss.lambda_k=20"]
# An epsilon that matters; steps so large that a loss from after an update is another one; a fade other than 1/2.
EPSILON, LARGE_STEPS, FADING = ["optimizers.epsilon=1e-3"], ["optimizers.D.learning_rate=0.1"], ["growth.images=10"]

# name: (system, its settings, what is wrong: a breaker, or the settings of another system, iterations if not 3)
CATALOGUE = {
    "gradient norm over the channel axis only": (WGAN, [], wrong_norm(norm_over_rows)),
    "one gradient norm for the whole batch": (WGAN, [], wrong_norm(one_norm_for_the_batch)),
    "penalty without double backprop": (WGAN, [], replace_operation("grad", no_graph)),
    "one eps for the whole batch": (
        WGAN, [], replace_draw("eps", lambda s, d, n, p, shape, right: np.full(shape, right(s, d, n, p, (1,))[0])),
    ),
    "eps normal instead of uniform": (
        WGAN, [], replace_draw("eps", lambda s, d, n, p, shape, right: s.normal(n, p, shape)),
    ),
    "another penalty weight": (WGAN, [], changed("loss.penalty_weight=9.9")),
    "four critic steps for five": (WGAN, [], changed("schedule.critic_steps=4")),
    "mean for sum": (WGAN, [], replace_operation("mean", lambda right, node, a, create_graph: total(a[0]))),
    "generator trained in the wrong direction": (
        WGAN, [], replace_operation("negative", lambda right, node, a, create_graph: a[0]),
    ),
    "slope of leaky ReLU": (WGAN, [], changed("networks.D.slope=0.2")),
    "dropout without its scale": (WGAN, [], replace_layer("dropout", unscaled_dropout)),
    "dropout rate taken for the probability to keep": (
        WGAN, ["networks.D.dropout=0.25"], changed("networks.D.dropout=0.75"),
    ),
    "batch norm in the wrong mode": (WGAN, [], replace_layer("batch_norm", flipped_mode)),
    "batch norm's epsilon": (
        WGAN, [], replace_layer("batch_norm", lambda right, layer, *rest: with_settings(right, layer, rest, epsilon=2e-5)),
    ),
    "batch norm's momentum upside down": (
        WGAN, [], replace_layer("batch_norm", lambda right, layer, *rest: with_settings(right, layer, rest, momentum=0.9)),
    ),
    "running variance biased": (WGAN, [], replace_layer("batch_norm", biased_variance)),
    "running mean that stands still": (WGAN, [], replace_layer("batch_norm", forgotten_statistics)),
    "Adam's epsilon on the other side": (
        WGAN, ["optimizers.epsilon=1e-5"], changed("optimizers.epsilon=1e-5", "optimizers.epsilon_place=uncorrected"),
    ),
    "Adam without bias correction": (WGAN, [], adam_without("bias correction")),
    "Adam's count off by one": (WGAN, [], adam_without("count")),
    "another learning rate": (WGAN, [], changed("optimizers.learning_rate=1.01e-4")),
    "k not clamped": (BEGAN, WILD_K, replace_operation("clip", lambda right, node, a, create_graph: a[0])),
    "k with the wrong sign": (BEGAN, WILD_K, changed("loss.lambda_k=-20")),
    "a hard-coded lambda_k": (BEGAN, ["loss.lambda_k=0.01"], changed("loss.lambda_k=0.001")),
    "a hard-coded gamma": (BEGAN, ["loss.gamma=0.7"], changed("loss.gamma=0.5")),
    "squared for absolute difference": (BEGAN, [], replace_operation("abs", lambda right, node, a, create_graph: a[0] * a[0])),
    "the gradient of another loss added": (BEGAN, [], leaking_generator_loss),
    "padding on the other side": (
        BEGAN, [],
        replace_layer("conv", lambda right, layer, *rest: with_settings(right, layer, rest, padding=(0, 2, 0, 2))),
    ),
    "alpha of ELU": (BEGAN, [], replace_layer("elu", lambda right, layer, *rest: with_settings(right, layer, rest, alpha=0.9))),
    # From here on: one system each.
    "DRAGAN: sigmoid's gradient for the logit's": (
        "dragan_cifar10", [], reworded("grad(D(x_hat), x_hat)", "grad(sigmoid(D(x_hat)), x_hat)"), 1,
    ),
    "DRAGAN: one deviation for all pixels": (
        "dragan_cifar10", [], reworded("sqrt(batch_mean((x - batch_mean(x)) ^ 2))", "sqrt(mean((x - mean(x)) ^ 2))"), 1,
    ),
    "DRAGAN: unbiased deviation": (
        "dragan_cifar10", [], reworded("batch_mean((x - batch_mean(x)) ^ 2)", "batch_mean((x - batch_mean(x)) ^ 2) * 5 / 4"), 1,
    ),
    "DRAGAN: one number a sample for one a pixel": (
        "dragan_cifar10", [], replace_draw("u", lambda s, d, n, p, shape, right: np.full(shape, 0.5)), 1,
    ),
    "k from the wrong losses": (BEGAN, [], reworded("gamma * L(x) - L(G(z))", "gamma * L(G(z)) - L(x)")),
    "weights clipped before the step": (WARMUP, [], changed("optimizers.D.clip.when=before"), 1),
    "weights clipped after the step": (
        WARMUP, ["optimizers.D.clip.when=before"], changed("optimizers.D.clip.when=after"), 1,
    ),
    "critic steps: one boosted iteration too many": (
        WARMUP, [], repeats(lambda override, i: i <= override.first or i % override.every == 0),
    ),
    "critic steps: boosted iterations counted from 1": (
        WARMUP, ["schedule.warmup=0", "schedule.period=3"], repeats(lambda override, i: (i + 1) % override.every == 0),
    ),
    "spectral norm: u stands still": ("sndcgan_cifar10", [], spectral_vector(0)),
    "spectral norm: u moves twice": ("sndcgan_cifar10", [], spectral_vector(2)),
    "spectral norm: u drawn from another distribution": ("sndcgan_cifar10", [], other_vector),
    "an average without batch norm's statistics": ("dcgan_cifar10", ["averages.G=0.9"], average_of_parameters_only),
    "another decay of an average": ("dcgan_cifar10", ["averages.G=0.9"], changed("averages.G=0.8")),
    "RMSProp's epsilon outside the root": (
        "cgan_mnist", EPSILON, changed(*EPSILON, "optimizers.epsilon_place=outside"),
    ),
    "RMSProp from 0 for 1": ("cgan_mnist", [], changed("optimizers.start=0")),
    "the mean of a window for its maximum": ("cgan_mnist", [], another_kind("max_pool", "avg_pool")),
    "asymmetric padding made symmetric": ("cgan_mnist", [], replace_layer("conv", symmetric_padding)),
    "a gate by the loss from after the update": ("cgan_mnist", LARGE_STEPS, gate_after_the_update, 4),
    "minibatch discrimination with the sample itself": (
        "minibatch_cifar10", [],
        replace_layer("minibatch_discrimination", lambda right, *rest: right(*rest) + 1.0),
    ),
    "minibatch deviation unbiased": (GROWING, [], replace_layer("minibatch_std", unbiased_deviation)),
    "equalised layers without their gain": (GROWING, [], set_layer("conv", gain=1.0)),
    "the fade in reverse": (GROWING, FADING, replace_layer("fade", reversed_fade)),
    "Adam's count for each parameter": (GROWING, FADING, count_for_each_parameter),
    "one-hot codes of 0 and 1 for -1 and 1": ("ac_wgan_gp_cifar10", [], set_layer("one_hot", off=0.0)),
    "fakes made anew after the generator moved": ("ac_wgan_gp_cifar10", [], remade("schedules", fakes_made_anew)),
    "one embedding for both networks": ("cwgan_gp_mlp_mnist", [], shared_embedding),
    "fakes judged with labels of others": ("cwgan_gp_mlp_mnist", [], reworded("mean(D(G(z, y), y))", "mean(D(G(z, c), y))")),
    "the denoiser in training mode": ("dfm_cifar10", [], reworded("inference(R(f_fake))", "R(f_fake)")),
    "softmax before cross-entropy": (
        "gan_mlp_mnist", [],
        replace_operation("cross_entropy", lambda right, node, a, graph: right(node, [softmax(a[0]), *a[1:]], graph)),
    ),
    "cross-entropy summed": ("gan_mlp_mnist", [], reworded("mean(cross_entropy", "sum(cross_entropy")),
    "Cramer: df/dh not held constant": ("cramer_cifar10", [], remade("losses", way_not_constant), 1),
    "Cramer: h_2 held constant": ("cramer_cifar10", [], reworded("f(h_1, h_2)", "f(h_1, detach(h_2))"), 1),
}  # fmt: skip


@cache
def reference(system_name, settings, backend, iterations):
    """Returns: the other backend's trace, with which this backend agrees."""
    system = load_system(system_name, settings, reduced=True)
    options = {"seed": 0, "dtype": "float64", "device": "cpu", "iterations": iterations}
    found = trace("chainer" if backend == "torch" else "torch", system, **options)
    assert all(f.agrees for f in compare(found, trace(backend, system, **options, states=found.states)))
    return found


def compared(name, catalogue, backend, monkeypatch):
    """Returns: whether a backend with something wrong agrees with the other one."""
    system_name, settings, wrong, *iterations = catalogue[name]
    options = {"seed": 0, "dtype": "float64", "device": "cpu", "iterations": iterations[0] if iterations else 3}
    right = reference(system_name, tuple(settings), backend, options["iterations"])
    if callable(wrong):
        wrong(monkeypatch, backend)
        wrong = settings
    broken = trace(backend, load_system(system_name, wrong, reduced=True), **options, states=right.states)
    return all(f.agrees for f in compare(right, broken))


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_comparison_rejects(name, backend, monkeypatch):
    assert not compared(name, CATALOGUE, backend, monkeypatch)


# The same breakers where they change nothing: so it is the bug that is rejected, and not the breaker.
HARMLESS = {
    "spectral norm: u moves once": ("sndcgan_cifar10", [], spectral_vector(1)),
    "critic steps as they are": (
        WARMUP,
        [],
        repeats(lambda override, i: i < override.first or i % override.every == 0),
    ),
    "the same words": ("dragan_cifar10", [], reworded("x_hat", "x_hat"), 1),
    "a gate that is reached at once": (
        "cgan_mnist",
        ["schedule.good_enough=9", "schedule.too_good=-9"],
        gate_after_the_update,
    ),
    "Adam's count for each parameter of a network that does not grow": ("dcgan_cifar10", [], count_for_each_parameter),
    "an average of a network without batch norm": ("began_cifar10", ["averages.G=0.9"], average_of_parameters_only),
    "padding that is symmetric": (BEGAN, [], replace_layer("conv", symmetric_padding)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_the_comparison_accepts_what_changes_nothing(name, backend, monkeypatch):
    assert compared(name, HARMLESS, backend, monkeypatch)


def test_max_pooling_of_windows_that_do_not_fit_whole_is_rejected(backend, tmp_path, monkeypatch):
    """They make a larger map, which the next layer does not take."""
    system = load_system(layer_systems.write_system(tmp_path, "max_pool", size=5, stride=2))
    backends.load(backend)
    cover_all(monkeypatch, backend)
    with pytest.raises(Exception, match=r"(?i)shape|invalid operation"):
        trace(backend, system, seed=0, dtype="float64", device="cpu", iterations=1)


def test_a_float32_implementation_with_too_large_an_error_is_rejected(backend, monkeypatch):
    system = load_system(BEGAN, reduced=True)
    options = {"seed": 0, "device": "cpu", "iterations": 2}
    judge = trace("torch", system, dtype="float64", **options)
    reference = trace("torch", system, dtype="float32", **options)
    replace_operation("abs", lambda right, node, a, create_graph: right(node, a, create_graph) * (1.0 + 1e-4))(
        monkeypatch, backend
    )
    broken = trace(backend, system, dtype="float32", **options)
    assert not all(f.agrees for f in compare_float32(judge, reference, broken))


def test_the_norm_has_the_gradient_zero_at_zero_where_the_naive_one_has_nan(backend):
    operations = module(backend, "operations")
    arrays = module(backend, "arrays")
    context = arrays.ArrayContext("cpu", "float64")
    zero = context.array(np.zeros((2, 3)))
    if backend == "torch":
        zero.requires_grad_()
    else:
        zero = arrays.Array(zero.array, requires_grad=True)
    right = operations.gradient(operations.norm(zero, 0.0), zero, False)
    assert np.array_equal(arrays.to_numpy(right), np.zeros((2, 3)))
    with np.errstate(invalid="ignore", divide="ignore"):
        naive = arrays.to_numpy(operations.gradient(square_sum(zero, 1), zero, False))
    assert np.isnan(naive).all()
