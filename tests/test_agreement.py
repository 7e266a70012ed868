"""Both backends compute the same numbers: every packaged system, and systems that hypothesis draws."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ganspec.spec import load_system, system_names
from ganspec.tools.agreement import Trace, compare, compare_float32, relative_difference
from support.agreement import both, disagreements
from support.drawn import reproducible, write_variant

pytestmark = pytest.mark.usefixtures("both_backends")

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking a difference in the last digits takes minutes


@pytest.mark.parametrize("name", system_names())
def test_backends_agree_in_float64_over_many_iterations(name, device):
    findings = compare(*both(load_system(name, reduced=True), device=device, iterations=25))
    assert disagreements(findings) == []
    assert {"output", "loss", "parameter gradient", "state, all iterations"} <= {f.kind for f in findings}


@pytest.mark.parametrize("name", system_names())
def test_backends_agree_in_float32_as_far_as_float32_can(name, device):
    system = load_system(name, reduced=True)
    judge, _ = both(system, device=device)
    assert disagreements(compare_float32(judge, *both(system, dtype="float32", device=device))) == []


@settings(max_examples=15, phases=QUICK)
@given(data=st.data())
def test_backends_agree_on_any_wgan_gp(data, tmp_path_factory):
    draw = data.draw
    channels, size = draw(st.integers(1, 3)), draw(st.integers(2, 9))
    chosen = {f"networks.{network}.{key}": v for network in "GD" for key, v in (("channels", channels), ("size", size))}
    chosen |= {
        "data.shape": [channels, size, size],
        "networks.G.latent": draw(st.integers(1, 9)),
        "networks.G.width": draw(st.integers(1, 9)),
        "networks.D.width": draw(st.integers(1, 9)),
        "networks.D.slope": draw(st.floats(0.05, 0.9)),
        "networks.D.dropout": draw(st.sampled_from([0, 0.25, 0.3, 0.5])),
        "loss.penalty_weight": draw(st.floats(0.01, 20.0)),
        "schedule.critic_steps": draw(st.integers(1, 3)),
        "optimizers.D.epsilon_place": draw(st.sampled_from(["corrected", "uncorrected"])),
        "optimizers.learning_rate": draw(st.floats(1e-5, 1e-2)),
        # Before a batch norm over a few samples true gradients are often 0, and Adam with a small epsilon steps along their
        # rounding. The packaged systems have larger gradients.
        "optimizers.epsilon": 1e-2,
        "run.batch": draw(st.integers(4, 7)),
    }
    file, seed = (
        write_variant(tmp_path_factory.mktemp("drawn"), "wgan_gp_mlp_mnist", chosen),
        draw(st.integers(0, 2**40)),
    )
    with reproducible(file, seed=seed, iterations=2):
        assert disagreements(compare(*both(load_system(str(file)), seed=seed))) == []


@settings(max_examples=10, phases=QUICK)
@given(data=st.data())
def test_backends_agree_on_any_began_and_k_stays_in_its_interval(data, tmp_path_factory):
    draw = data.draw
    channels, size = draw(st.sampled_from([1, 3])), draw(st.sampled_from([8, 16, 24]))
    sizes = {"n": draw(st.integers(1, 4)), "channels": channels, "size": size, "code": draw(st.integers(1, 6))}
    chosen = {f"networks.{network}.{key}": value for network in "GD" for key, value in sizes.items()}
    chosen |= {
        "data.shape": [channels, size, size],
        "loss.gamma": draw(st.floats(0.1, 1.0)),
        "loss.lambda_k": draw(st.floats(0.001, 50.0)),
        "run.batch": draw(st.integers(1, 4)),
    }
    file, seed = write_variant(tmp_path_factory.mktemp("drawn"), "began_mnist", chosen), draw(st.integers(0, 2**40))
    with reproducible(file, seed=seed, iterations=2):
        torch, chainer = both(load_system(str(file)), seed=seed)
        assert disagreements(compare(torch, chainer)) == []
        k = torch.values["report, all iterations"]["k"]
        assert ((k >= 0.0) & (k <= 1.0)).all()


def test_nan_agrees_with_nothing():
    nan = np.array([1.0, np.nan])
    assert relative_difference(nan, nan) == np.inf
    assert relative_difference(np.array([np.inf]), np.array([np.inf])) == np.inf


def test_shapes_and_dtypes_must_be_equal():
    assert relative_difference(np.ones(4), np.ones((2, 2))) == np.inf
    assert relative_difference(np.ones(4), np.ones(4, np.float32)) == np.inf


def test_the_same_values_in_another_order_do_not_agree():
    a = np.arange(6.0)
    assert relative_difference(a, a[::-1].copy()) > 0.1
    assert relative_difference(a, a) == 0.0


def test_a_quantity_that_one_backend_lacks_is_a_disagreement():
    ours, theirs = Trace(), Trace()
    ours.add("loss", "loss of D", np.ones(()))
    assert [f.agrees for f in compare(ours, theirs)] == [False]
