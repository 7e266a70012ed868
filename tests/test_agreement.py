"""The backends and the reference compute the same numbers: every packaged system, and systems that hypothesis draws."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ganspec.spec import load_system, system_names
from ganspec.tools.agreement import random_feed
from ganspec.tools.backends import make_trainer
from support.agreement import assert_witnesses_agree, quick_system
from support.drawn import reproducible, write_variant

pytestmark = pytest.mark.usefixtures("both_backends")

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking a difference in the last digits takes minutes


@pytest.mark.parametrize("name", system_names())
def test_all_witnesses_agree_in_float64(name, device):
    system = quick_system(name)
    comparison = assert_witnesses_agree(system, device=device, iterations=3 if system.growth else 2)
    kinds = {row.kind for row in comparison.rows}
    assert kinds >= {"layer", "value", "loss", "layer gradient", "parameter gradient", "slope", "moment", "parameter"}
    assert len({row.pair for row in comparison.rows}) == 3


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if "/" in n else []) for n in system_names()]
)  # of a variant the quick tests show it in float64
def test_backends_agree_in_float32_as_far_as_float32_can(name, device):
    assert_witnesses_agree(quick_system(name), dtype="float32", device=device, iterations=1)


@settings(max_examples=6, phases=QUICK)
@given(data=st.data())
def test_witnesses_agree_on_any_wgan_gp(data, tmp_path_factory):
    draw = data.draw
    channels, size = draw(st.integers(1, 3)), draw(st.integers(2, 7))
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
        # A batch norm over two samples gives 1 and -1, whatever it is given: its gradient is rounding that no movement shows, and
        # Adam with a small epsilon steps along it.
        "optimizers.epsilon": draw(st.sampled_from([1e-6, 1e-2])),
        "run.batch": draw(st.integers(4, 7)),
    }
    folder, seed = tmp_path_factory.mktemp("drawn"), draw(st.integers(0, 2**40))
    file = write_variant(folder, "wgan_gp_mlp_mnist", chosen)
    with reproducible(file, seed=seed, iterations=2):
        assert_witnesses_agree(load_system(str(file)), seed=seed)


@settings(max_examples=4, phases=QUICK)
@given(data=st.data())
def test_witnesses_agree_on_any_began_and_k_stays_in_its_interval(data, tmp_path_factory):
    draw = data.draw
    channels, size = draw(st.sampled_from([1, 3])), draw(st.sampled_from([8, 16]))
    sizes = {"n": draw(st.integers(1, 3)), "channels": channels, "size": size, "code": draw(st.integers(1, 6))}
    chosen = {f"networks.{network}.{key}": value for network in "GD" for key, value in sizes.items()}
    chosen |= {
        "data.shape": [channels, size, size],
        "loss.gamma": draw(st.floats(0.1, 1.0)),
        "loss.lambda_k": draw(st.floats(0.001, 50.0)),
        "run.batch": draw(st.integers(1, 4)),
    }
    file, seed = write_variant(tmp_path_factory.mktemp("drawn"), "began_mnist", chosen), draw(st.integers(0, 2**40))
    system = load_system(str(file))
    with reproducible(file, seed=seed, iterations=2):
        assert_witnesses_agree(system, seed=seed)
        trainer, feed = make_trainer("torch", system, seed, dtype="float64"), random_feed(system, seed)
        k = [float(trainer.iterate(feed)["k"]) for _ in range(3)]
        assert (np.array(k) >= 0.0).all()
        assert (np.array(k) <= 1.0).all()
