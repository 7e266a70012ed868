"""The script that times what ganspec chose against what it did not: docs/bench_choices.py."""

import importlib
import runpy
from pathlib import Path
from unittest import mock

import pytest

from ganspec.tools.benchmarks.request import Request
from ganspec.tools.errors import UserError

SCRIPT = Path(__file__).parents[1] / "docs" / "bench_choices.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("choice", ["sharing", "passes", "vectors", "gradients", "draws"])
def test_both_sides_train_alike(script, backend, choice):
    ours, other = script["CHOICES"][choice](
        Request("cwgan_gp_mlp_mnist", backend, settings=("run.batch=9",), reduced=True)
    )
    assert ours() == pytest.approx(other(), rel=1e-3, abs=1e-3)  # float32, after five steps of Adam


def test_only_the_other_side_has_the_rules_of_pytorch(script):
    pytest.importorskip("torch")
    from ganspec.impl_torch import double_backward

    with mock.patch.object(double_backward, "leaky_relu", wraps=double_backward.leaky_relu) as rule:
        ours, other = script["penalties"](Request("wgan_gp_mlp_mnist", "torch", reduced=True))
        other()
        assert not rule.called
        ours()
        assert rule.called


@pytest.mark.parametrize(
    ("choice", "module", "name"),
    [("products", "patches", "convolve"), ("updates", "optimizers", "_move_in_one")],
)
def test_only_ours_does_what_the_choice_is_about(script, choice, module, name, monkeypatch):
    pytest.importorskip("torch")
    where = importlib.import_module(f"ganspec.impl_torch.{module}")
    if module == "patches":
        monkeypatch.setattr(where, "WORTH", 1)  # the reduced system's kernels are small
    with mock.patch.object(where, name, wraps=getattr(where, name)) as chosen:
        ours, other = script["CHOICES"][choice](Request("dcgan_cifar10", "torch", reduced=True))
        other()
        assert not chosen.called
        ours()
        assert chosen.called


def test_one_side_has_one_pass_and_the_other_none(script):
    """Of a network whose pass makes more numbers than pays, too."""
    groups = []
    with mock.patch.object(script["sides"], "make_trainer", lambda _, system, *rest, **named: groups.append(system)):
        script["one_pass"](Request("wgan_gp_cifar10", "torch", settings=("run.batch=64",)))
    longest = [max(len(unit) for step in system.plan.steps for unit in step.order) for system in groups]
    assert longest == [2, 1]


def test_words_that_it_does_not_know_are_answered(script):
    with pytest.raises(UserError, match=r"no choice 'memroy': expected one of .*; did you mean 'memory'\?"):
        script["main"](["memroy", "began_mnist"])
    with pytest.raises(UserError, match=r"these rules are PyTorch's alone"):
        script["main"](["penalties", "wgan_gp_mlp_mnist", "--backend", "chainer"])
    with pytest.raises(SystemExit):
        script["main"](["draws", "wgan_gp_mlp_mnist", "--device", "cuad"])
