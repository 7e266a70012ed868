"""The catalogue of wrong variants: the famous bugs of published GAN code, each by name, with the first place where it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganspec.tools.agreement.mutants import computing as c
from ganspec.tools.agreement.mutants import training as t
from ganspec.tools.agreement.mutants.computing import Breaker

WGAN, BEGAN, WARMUP, GROWING = "wgan_gp_mlp_mnist", "began_mnist", "wgan_cifar10", "progressive_cifar10"
DRAGAN, SPECTRAL, MOVING, CGAN = "dragan_cifar10", "sndcgan_cifar10", "dcgan_cifar10", "cgan_mnist"
ACGAN, CRAMER = "ac_wgan_gp_cifar10", "cramer_cifar10"
# With this, k reaches both ends of its interval within three iterations.
WILD_K = ("loss.lambda_k=20",)
# Steps so large that a loss from after an update is another one; a fade other than 1/2; a moving average.
LARGE_STEPS, FADING, AVERAGED = ("optimizers.D.learning_rate=0.1",), ("growth.images=10",), ("averages.G=0.9",)
_EPSILON = "optimizers.epsilon=1e-3"  # one that matters
# Where bugs are told from.
GULRAJANI = "Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1"
DOUBLE = "a penalty whose graph is not kept (create_graph, enable_double_backprop) trains nothing"
BERTHELOT = "Berthelot et al. 2017, arXiv:1703.10717, section 3.4"
KODALI = "Kodali et al. 2017, arXiv:1705.07215, and its published code"
KINGMA = "Kingma and Ba 2015, arXiv:1412.6980, algorithm 1 and the end of section 2"
IOFFE = "Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2"
MIYATO = "Miyato et al. 2018, arXiv:1802.05957, algorithm 1"
ARJOVSKY = "Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, and the authors' code"
KARRAS = "Karras et al. 2018, arXiv:1710.10196"
BELLEMARE = "Bellemare et al. 2017, arXiv:1705.10743, and Chainer-GAN-lib's cramer/updater.py"


@dataclass(frozen=True)
class Mutant:
    """One wrong variant.

    Args:
        name: its name.
        system: packaged system on which it is tried, at its reduced sizes.
        wrong: breaker that makes it.
        kind: kind of the first quantity that is wrong, a key of the table of bounds.
        where: that quantity's layer, "D/bn1" by network and layer, or the function or symbol whose value it is; any of these
            where the bug is in something that several have; empty where the kind says it all.
        source: what it departs from, or where the bug is told from.
        settings: settings of the system, so that the bug matters there.
        iterations: number of iterations after which it has shown.
        read: whether it is in what is read from files, not in a backend's code.
    """

    name: str
    system: str
    wrong: Breaker
    kind: str
    where: str
    source: str
    settings: Sequence[str] = ()
    iterations: int = 3
    read: bool = False


def _number(
    name: str,
    system: str,
    wrong: str | Sequence[str],
    kind: str,
    where: str,
    source: str,
    settings: Sequence[str] = (),
    **more: int,
) -> Mutant:
    """Returns: a mutant that has other numbers."""
    others = [wrong] if isinstance(wrong, str) else wrong
    return Mutant(name, system, t.changed(*others), kind, where, source, settings, read=True, **more)  # type: ignore[arg-type]


def _words(
    name: str, system: str, old: str, new: str, kind: str, where: str, source: str, iterations: int = 3
) -> Mutant:
    """Returns: a mutant that has other words in its formulas."""
    return Mutant(name, system, t.reworded(old, new), kind, where, source, (), iterations, read=True)


def _operation(
    name: str, system: str, op: str, wrong: c.Wrong, source: str, kind: str = "value", settings: Sequence[str] = ()
) -> Mutant:
    return Mutant(name, system, c.replace_operation(op, wrong), kind, op, source, settings)


def _layer(name: str, system: str, kind: str, wrong: Breaker, source: str, settings: Sequence[str] = ()) -> Mutant:
    return Mutant(name, system, wrong, "layer", kind, source, settings)


_DEVIATION = "batch_mean((x - batch_mean(x)) ^ 2)"
CATALOGUE: tuple[Mutant, ...] = (
    # Gradient penalties.
    Mutant("gradient norm over the channel axis only", WGAN, c.wrong_norm(c.norm_over_rows), "value", "norm", GULRAJANI),
    Mutant("one gradient norm for the whole batch", WGAN, c.wrong_norm(c.one_norm_for_the_batch), "value", "norm", GULRAJANI),
    Mutant("penalty without double backprop", WGAN, c.replace_operation("grad", c.no_graph), "parameter gradient", "D", DOUBLE),
    Mutant(
        "one eps for the whole batch", WGAN,
        c.replace_draw("eps", lambda right, s, d, n, p, shape: np.full(shape, right(s, d, n, p, (1,))[0])), "draw", "eps",
        GULRAJANI,
    ),
    Mutant(
        "eps normal instead of uniform", WGAN,
        c.replace_draw("eps", lambda right, s, d, n, p, shape: s.normal(n, p, shape)), "draw", "eps", GULRAJANI,
    ),
    _number("another penalty weight", WGAN, "loss.penalty_weight=9.9", "value", "multiply", GULRAJANI),
    _words(
        "DRAGAN: sigmoid's gradient for the logit's", DRAGAN, "grad(D(x_hat), x_hat)", "grad(sigmoid(D(x_hat)), x_hat)",
        "input gradient", "grad", KODALI, 1,
    ),
    _words(
        "DRAGAN: one deviation for all pixels", DRAGAN, f"sqrt({_DEVIATION})", "sqrt(mean((x - mean(x)) ^ 2))", "value", "",
        KODALI, 1,
    ),
    _words("DRAGAN: unbiased deviation", DRAGAN, _DEVIATION, f"{_DEVIATION} * 5 / 4", "value", "", KODALI, 1),
    Mutant(
        "DRAGAN: one number a sample for one a pixel", DRAGAN,
        c.replace_draw("u", lambda right, s, d, n, p, shape: np.full(shape, 0.5)), "draw", "u", KODALI, iterations=1,
    ),
    Mutant("Cramer: df/dh not held constant", CRAMER, t.edited("losses", t.way_not_constant), "input gradient", "grad", BELLEMARE,
           (), 1, True),
    _words("Cramer: h_2 held constant", CRAMER, "f(h_1, h_2)", "f(h_1, detach(h_2))", "value", "", BELLEMARE, 1),
    # Losses and labels.
    _operation("sum for mean", WGAN, "mean", c.sum_for_mean, "a batch's sum in place of its mean"),
    _operation(
        "generator trained in the wrong direction", WGAN, "negative", lambda right, node, a, graph: a[0], ARJOVSKY, "loss",
    ),
    _operation("squared for absolute difference", BEGAN, "abs", lambda right, node, a, graph: a[0] * a[0], BERTHELOT),
    _operation(
        "softmax before cross-entropy", "gan_mlp_mnist", "cross_entropy", c.softmax_first, "nn.CrossEntropyLoss takes logits",
    ),
    _words("cross-entropy summed", "gan_mlp_mnist", "mean(cross_entropy", "sum(cross_entropy", "value", "", "size_average=False"),
    _words(
        "fakes judged with labels of others", "cwgan_gp_mlp_mnist", "mean(D(G(z, y), y))", "mean(D(G(z, c), y))", "draw", "",
        "Mirza and Osindero 2014, arXiv:1411.1784, section 3.2",
    ),
    Mutant(
        "one-hot codes of 0 and 1 for -1 and 1", ACGAN, c.set_layer("one_hot", off=0.0), "layer", "one_hot",
        "Chainer-GAN-lib's acgan",
    ),
    Mutant("one embedding for both networks", "cwgan_gp_mlp_mnist", c.shared_embedding, "layer", "embedding",
           "a module used twice"),
    Mutant("the gradient of another loss added", BEGAN, t.leaking_generator_loss, "layer gradient", "", BERTHELOT),
    # BEGAN's k.
    _operation("k not clamped", BEGAN, "clip", lambda right, node, a, graph: a[0], BERTHELOT, "report", WILD_K),
    _number("k with the wrong sign", BEGAN, "loss.lambda_k=-20", "value", "", BERTHELOT, WILD_K),
    _number("a hard-coded lambda_k", BEGAN, "loss.lambda_k=0.001", "value", "", BERTHELOT, ("loss.lambda_k=0.01",)),
    _number("a hard-coded gamma", BEGAN, "loss.gamma=0.5", "value", "", BERTHELOT, ("loss.gamma=0.7",)),
    _words("k from the wrong losses", BEGAN, "gamma * L(x) - L(G(z))", "gamma * L(G(z)) - L(x)", "value", "", BERTHELOT),
    # Layers.
    _number("slope of leaky ReLU", WGAN, "networks.D.slope=0.2", "layer", "D", "0.2 in Chainer, 0.01 in PyTorch, 0.3 in Keras"),
    _layer("dropout without its scale", WGAN, "dropout", c.replace_layer("dropout", c.unscaled_dropout),
           "1 / (1 - rate) in training"),
    _number(
        "dropout rate taken for the probability to keep", WGAN, "networks.D.dropout=0.75", "layer", "D",
        "tf.nn.dropout took the probability to keep", ("networks.D.dropout=0.25",),
    ),
    _layer("batch norm in the wrong mode", WGAN, "batch_norm", c.replace_layer("batch_norm", c.flipped_mode), IOFFE),
    _layer("batch norm's epsilon", WGAN, "batch_norm", c.set_layer("batch_norm", epsilon=2e-5),
           "2e-5 in Chainer, 1e-5 in PyTorch"),
    Mutant(
        "batch norm's momentum upside down", WGAN, c.set_layer("batch_norm", momentum=0.9), "statistic", "batch_norm",
        "decay 0.9 in Chainer is momentum 0.1 in PyTorch",
    ),
    Mutant(
        "running variance biased", WGAN, c.replace_layer("batch_norm", c.biased_variance), "statistic", "batch_norm", IOFFE,
    ),
    Mutant(
        "running mean that stands still", WGAN, c.replace_layer("batch_norm", c.forgotten_statistics), "statistic", "batch_norm",
        "a generator that is evaluated without a graph still moves its statistics",
    ),
    _layer("padding on the other side", BEGAN, "conv", c.set_layer("conv", padding=(0, 2, 0, 2)), "TensorFlow pads (0, 1)"),
    _layer("asymmetric padding made symmetric", CGAN, "conv", c.replace_layer("conv", c.symmetric_padding), "Theano pads (1, 1)"),
    _layer("alpha of ELU", BEGAN, "elu", c.set_layer("elu", alpha=0.9), "Clevert et al. 2016, arXiv:1511.07289"),
    _layer("the mean of a window for its maximum", CGAN, "max_pool", c.another_kind("max_pool", "avg_pool"), "another pooling"),
    _layer(
        "minibatch discrimination with the sample itself", "minibatch_cifar10", "minibatch_discrimination",
        c.replace_layer("minibatch_discrimination", c.with_itself), "Salimans et al. 2016, arXiv:1606.03498, section 3.2",
    ),
    _layer("minibatch deviation unbiased", GROWING, "minibatch_std", c.replace_layer("minibatch_std", c.unbiased_deviation),
           KARRAS),
    _layer("equalised layers without their gain", GROWING, "conv", c.set_layer("conv", gain=1.0), KARRAS),
    _layer("the fade in reverse", GROWING, "fade", c.replace_layer("fade", c.reversed_fade), KARRAS, FADING),
    Mutant("spectral norm: u stands still", SPECTRAL, c.spectral_vector(0), "statistic", "D", MIYATO),
    Mutant("spectral norm: u moves twice", SPECTRAL, c.spectral_vector(2), "statistic", "D", MIYATO),
    Mutant(
        "spectral norm: u drawn from another distribution", SPECTRAL,
        c.replace_initial("/u", lambda right, s, d, n, p, shape: s.uniform(n, p, shape)), "initial", "D", MIYATO,
    ),
    _words("the denoiser in training mode", "dfm_cifar10", "inference(R(f_fake))", "R(f_fake)", "layer", "R",
           "Warde-Farley and Bengio 2017, and Chainer-GAN-lib's dfm/updater.py"),
    # Optimisers and averages.
    _number(
        "Adam's epsilon on the other side", WGAN, ("optimizers.epsilon=1e-5", "optimizers.epsilon_place=uncorrected"),
        "parameter", "D", KINGMA, ("optimizers.epsilon=1e-5",),
    ),
    Mutant("Adam without bias correction", WGAN, t.adam_with(t.adam_without_correction), "parameter", "D", KINGMA),
    Mutant("Adam's count off by one", WGAN, t.adam_with(t.adam_counting_on), "parameter", "D", KINGMA),
    Mutant("Adam's count for each parameter", GROWING, t.count_for_each_parameter, "parameter", "", KINGMA, FADING),
    _number("another learning rate", WGAN, "optimizers.learning_rate=1.01e-4", "initial", "", "any default of a framework"),
    _number(
        "RMSProp's epsilon outside the root", CGAN, (_EPSILON, "optimizers.epsilon_place=outside"), "parameter", "D",
        "inside in TensorFlow 1, outside elsewhere", (_EPSILON,),
    ),
    _number("RMSProp from 0 for 1", CGAN, "optimizers.start=0", "initial", "", "TensorFlow 1 starts from 1"),
    _number("weights clipped before the step", WARMUP, "optimizers.D.clip.when=before", "layer", "D", ARJOVSKY, iterations=1),
    _number(
        "weights clipped after the step", WARMUP, "optimizers.D.clip.when=after", "layer", "D", ARJOVSKY,
        ("optimizers.D.clip.when=before",), iterations=1,
    ),
    Mutant("an average without batch norm's statistics", MOVING, t.average_of_parameters_only, "average", "G",
           "an average that copies parameters() and not buffers()", AVERAGED),
    _number("another decay of an average", MOVING, "averages.G=0.8", "average", "G", KARRAS, AVERAGED),
    # Schedules.
    _number("four critic steps for five", WGAN, "schedule.critic_steps=4", "schedule", "", GULRAJANI),
    Mutant("critic steps: one boosted iteration too many", WARMUP,
           t.counted_repeats(lambda override, i: i <= override.first or i % override.every == 0), "schedule", "", ARJOVSKY,
           read=True),
    Mutant("critic steps: boosted iterations counted from 1", WARMUP,
           t.counted_repeats(lambda override, i: (i + 1) % override.every == 0), "schedule", "", ARJOVSKY,
           ("schedule.warmup=0", "schedule.period=3"), read=True),
    Mutant("a gate by the loss from after the update", CGAN, t.gate_after_the_update, "schedule", "",
           "eriklindernoren/Keras-GAN's gated loops, the other way round", LARGE_STEPS, 4),
    Mutant("fakes made anew after the generator moved", ACGAN, t.edited("schedules", t.fakes_made_anew), "value", "kept",
           "Chainer-GAN-lib's acgan/updater.py", read=True),
)  # fmt: skip
BY_NAME = {mutant.name: mutant for mutant in CATALOGUE}
