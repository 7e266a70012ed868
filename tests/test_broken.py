"""The suite is itself tested: each named wrong variant, put into one backend, must be rejected by the comparison.

Sources: the famous bugs of published GAN code, collected in the design's list of traps.
"""

import dataclasses
import importlib

import numpy as np
import pytest

from spec import load_system
from spec.streams import Streams
from tools.agreement import compare, compare_float32, trace

WGAN, BEGAN = "wgan_gp_mlp_mnist", "began_mnist"
# A k that reaches both ends of its interval within three iterations.
WILD_K = ["loss.lambda_k=20"]


def module(backend, name):
    return importlib.import_module(f"impl_{backend}.{name}")


def square_sum(a, axis):
    squares = (
        (a * a).sum(axis) if hasattr(a, "detach") else importlib.import_module("chainer.functions").sum(a * a, axis)
    )
    return squares**0.5


def replace_operation(op, wrong):
    """Returns: a breaker that gives a formula's operation another meaning."""

    def breaker(patch, backend):
        trainer = module(backend, "trainer")
        right = trainer.evaluate_operation

        def evaluate(node, a, again):
            return wrong(right, node, a, again) if node.op == op else right(node, a, again)

        patch.setattr(trainer, "evaluate_operation", evaluate)

    return breaker


def replace_layer(kind, wrong):
    """Returns: a breaker that gives a kind of layer another meaning."""

    def breaker(patch, backend):
        layers = module(backend, "layers").LAYERS
        right = layers[kind]
        patch.setitem(layers, kind, lambda layer, *rest: wrong(right, layer, *rest))

    return breaker


def with_settings(right, layer, rest, **changed):
    return right(dataclasses.replace(layer, settings={**layer.settings, **changed}), *rest)


def replace_draw(name, wrong):
    def breaker(patch, backend):
        right = Streams.sample

        def sample(self, distribution, stream, position, shape):
            if stream == name:
                return wrong(self, distribution, stream, position, shape, right)
            return right(self, distribution, stream, position, shape)

        patch.setattr(Streams, "sample", sample)

    return breaker


def wrong_norm(shape_of_norm):
    return replace_operation("norm", lambda right, node, a, again: shape_of_norm(a[0]))


def total(a):
    return a.sum() if hasattr(a, "detach") else importlib.import_module("chainer.functions").sum(a)


def memory(statistic):
    """Returns: the array behind a running statistic, without PyTorch's watch over in-place changes."""
    return statistic.array if hasattr(statistic, "array") else statistic.data


def one_norm_for_the_batch(a):
    flat = a.reshape(1, -1)
    return square_sum(flat, 1)


def norm_over_rows(a):
    return square_sum(square_sum(a, 1), 1)[:, 0] if a.ndim == 4 else square_sum(a, 1)


def no_graph(right, node, a, again):
    return right(node, a, False)


def biased_variance(right, layer, x, parameters, statistics, mode):
    """Running variance from the biased batch variance."""
    n = x[0].shape[0]
    raw = memory(statistics["variance"])
    before = raw * 1.0
    result = right(layer, x, parameters, statistics, mode)
    if mode.training:
        momentum = layer.settings["momentum"]
        moved = (raw - (1 - momentum) * before) * ((n - 1) / n)
        raw[...] = (1 - momentum) * before + moved
    return result


def forgotten_statistics(right, layer, x, parameters, statistics, mode):
    """The statistics of an evaluation without a graph are thrown away."""
    raw = memory(statistics["mean"])
    before = raw * 1.0
    result = right(layer, x, parameters, statistics, mode)
    raw[...] = before
    return result


def flipped_mode(right, layer, x, parameters, statistics, mode):
    return right(layer, x, parameters, statistics, dataclasses.replace(mode, training=not mode.training))


def unscaled_dropout(right, layer, x, parameters, statistics, mode):
    return right(layer, x, parameters, statistics, mode) * (1.0 - layer.settings["rate"])


def leaking_generator_loss(patch, backend):
    """D also minimises G's loss: both were summed and propagated together."""
    trainer = module(backend, "trainer").Trainer
    right = trainer._gradients

    def gradients(self, planned, values):
        (network,) = planned.losses
        i = planned.losses[network]
        changed = list(values)
        changed[i] = values[i] * 2.0
        return right(self, planned, changed)

    patch.setattr(trainer, "_gradients", gradients)


def adam_without(correction):
    def breaker(patch, backend):
        from spec.optimizers import Adam

        right = Adam.step_size

        def step_size(self, t, learning_rate):
            if correction == "bias correction":
                return learning_rate, self.epsilon
            return right(self, t + 1, learning_rate)  # the count is off by one

        patch.setattr(Adam, "step_size", step_size)

    return breaker


def changed(*settings):
    """Returns: the settings that a wrong implementation behaves as if it had."""
    return list(settings)


# name: (system, its settings, what is wrong: a breaker, or the settings of another system)
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
    "mean for sum": (WGAN, [], replace_operation("mean", lambda right, node, a, again: total(a[0]))),
    "generator trained in the wrong direction": (
        WGAN, [], replace_operation("negative", lambda right, node, a, again: a[0]),
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
    "k not clamped": (BEGAN, WILD_K, replace_operation("clip", lambda right, node, a, again: a[0])),
    "k with the wrong sign": (BEGAN, WILD_K, changed("loss.lambda_k=-20")),
    "a hard-coded lambda_k": (BEGAN, ["loss.lambda_k=0.01"], changed("loss.lambda_k=0.001")),
    "a hard-coded gamma": (BEGAN, ["loss.gamma=0.7"], changed("loss.gamma=0.5")),
    "squared for absolute difference": (BEGAN, [], replace_operation("abs", lambda right, node, a, again: a[0] * a[0])),
    "the gradient of another loss added": (BEGAN, [], leaking_generator_loss),
    "padding on the other side": (
        BEGAN, [],
        replace_layer("conv", lambda right, layer, *rest: with_settings(right, layer, rest, padding=(0, 2, 0, 2))),
    ),
    "alpha of ELU": (BEGAN, [], replace_layer("elu", lambda right, layer, *rest: with_settings(right, layer, rest, alpha=0.9))),
}  # fmt: skip


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_comparison_rejects(name, backend, monkeypatch):
    system_name, settings, wrong = CATALOGUE[name]
    right = load_system(system_name, settings, reduced=True)
    options = {"seed": 0, "dtype": "float64", "device": "cpu", "iterations": 3}
    reference = trace("chainer" if backend == "torch" else "torch", right, **options)
    options["states"] = reference.states
    assert all(f.agrees for f in compare(reference, trace(backend, right, **options)))
    if callable(wrong):
        wrong(monkeypatch, backend)
        broken = trace(backend, right, **options)
    else:
        broken = trace(backend, load_system(system_name, wrong, reduced=True), **options)
    assert not all(f.agrees for f in compare(reference, broken))


def test_a_float32_implementation_with_too_large_an_error_is_rejected(backend, monkeypatch):
    system = load_system(BEGAN, reduced=True)
    options = {"seed": 0, "device": "cpu", "iterations": 2}
    judge = trace("torch", system, dtype="float64", **options)
    reference = trace("torch", system, dtype="float32", **options)
    replace_operation("abs", lambda right, node, a, again: right(node, a, again) * (1.0 + 1e-4))(monkeypatch, backend)
    broken = trace(backend, system, dtype="float32", **options)
    assert not all(f.agrees for f in compare_float32(judge, reference, broken))


def test_the_norm_has_the_gradient_zero_at_zero_where_the_naive_one_has_nan(backend):
    operations = module(backend, "operations")
    arrays = module(backend, "arrays")
    place = arrays.Place("cpu", "float64")
    zero = place.array(np.zeros((2, 3)))
    if backend == "torch":
        zero.requires_grad_()
    else:
        zero = arrays.Array(zero.array, requires_grad=True)
    right = operations.gradient(operations.norm(zero), zero, False)
    assert np.array_equal(arrays.to_numpy(right), np.zeros((2, 3)))
    with np.errstate(invalid="ignore", divide="ignore"):
        naive = arrays.to_numpy(operations.gradient(square_sum(zero, 1), zero, False))
    assert np.isnan(naive).all()
