"""A comparison of backends gathers what a guess needs: the layer, the statistic, the formula, the update that went wrong."""

import pytest

from ganspec.spec import load_system
from ganspec.tools import backends
from ganspec.tools.agreement import crosscheck_system
from ganspec.tools.agreement.mutants.computing import (
    biased_variance,
    flipped_mode,
    replace_layer,
    replace_operation,
    spectral_vector,
    sum_for_mean,
)

SYSTEM = "wgan_gp_mlp_mnist"
MISTAKES = {
    "layer": (SYSTEM, replace_layer("batch_norm", flipped_mode), "batch norm is in inference mode, not in training mode"),
    "statistic": (SYSTEM, replace_layer("batch_norm", biased_variance), "the running variance takes the biased variance"),
    "vector": ("sndcgan_cifar10", spectral_vector(2), "moves 2 times in this step, not 1"),
    "formula": (SYSTEM, replace_operation("mean", sum_for_mean), "a sum over everything"),
}  # fmt: skip


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize(
    "what", ["statistic", *(pytest.param(w, marks=pytest.mark.slow) for w in MISTAKES if w != "statistic")]
)
def test_the_mistake_is_named(what, patch):
    name, mistake, words = MISTAKES[what]
    backends.load("chainer")
    mistake(patch, "chainer")
    first = crosscheck_system(load_system(name, reduced=True), iterations=1).first
    assert first.odd == "chainer"
    assert words in first.guess
    assert first.difference.source.partition(":")[2].isdecimal()
