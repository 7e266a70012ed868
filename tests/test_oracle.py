"""Both backends against the third witness, so that they cannot be wrong together."""

import numpy as np
import pytest

from spec import load_system, system_names
from spec.streams import Position
from tests.oracle import Oracle, unit_direction
from tools import backends
from tools.agreement import random_feed

SEED = 5


@pytest.mark.parametrize("name", system_names())
def test_losses_reports_states_and_directional_derivatives_match_the_oracle(name, backend):
    system = load_system(name, reduced=True)
    data = random_feed(system, SEED)()
    trainer = backends.make_trainer(backend, system, SEED, dtype="float64")
    to_numpy = backends.load(backend).to_numpy
    checked = 0

    for step in range(len(system.schedule.steps)):
        state = trainer.state()
        moment = trainer.compute(step, 0, lambda: data)
        at = Position(0, step, 0)
        oracle = Oracle(system, state, SEED, at, data)
        for network in moment.plan.losses:  # numbers the evaluations, as the plan does: losses first
            oracle.value(system.loss.losses[network].tree)
        for network, node in moment.plan.losses.items():
            direction = unit_direction(state, network, seed=moment.step)
            tilted = Oracle(system, state, SEED, at, data, direction).value(system.loss.losses[network].tree)
            assert float(to_numpy(moment.values[node])) == pytest.approx(float(tilted.f), rel=1e-12)
            gradients = {path: to_numpy(g) for path, g in trainer.gradients_by_path(moment)[network].items()}
            along = sum(float((g * direction[f"parameters/{network}/{p}"]).sum()) for p, g in gradients.items())
            assert along == pytest.approx(float(tilted.b), rel=1e-10, abs=1e-14)
            checked += 1
        for report, node in moment.plan.reports.items():
            if report in system.loss.reports:
                expected = float(oracle.value(system.loss.reports[report].value.tree).f)
                assert float(to_numpy(moment.values[node])) == pytest.approx(expected, rel=1e-12)
        for state_name, node in moment.plan.states.items():
            expected = float(oracle.value(system.loss.states[state_name].next.tree).f)
            assert float(to_numpy(moment.values[node])) == pytest.approx(expected, rel=1e-12)

        trainer.update(moment)
    assert checked == sum(len(step.update) for step in system.schedule.steps)


def test_a_linear_critics_penalty_is_the_square_of_its_norm_minus_one(backend, tmp_path):
    (tmp_path / "linear.toml").write_text(
        'title = "a linear critic"\nsource = "none"\n[parameters]\nside = 3\n[inputs]\nx = [1, "side", "side"]\n'
        '[network]\nlayers = [{ kind = "flatten" }, { kind = "linear", name = "l", units = 1, bias = "none", '
        'weight = "normal(0, 1)" }]\n'
    )
    (tmp_path / "system.toml").write_text(
        'title = "a linear critic"\nsource = "none"\nloss = "wgan_gp"\n'
        'schedule = { use = "critic_repeats", critic_steps = 1 }\n'
        '[networks]\nG = { use = "mlp_generator", size = 3, latent = 2, width = 4 }\nD = "linear.toml"\n'
        '[draws]\nz = { sample = "normal(0, 1)", shape = "G.z" }\n'
        '[optimizers]\nkind = "adam"\nlearning_rate = 1e-3\nbeta1 = 0\nbeta2 = 0.9\nepsilon = 0\n'
        'epsilon_place = "corrected"\n[data]\nshape = [1, 3, 3]\nrange = [-1, 1]\nfit = "exact"\n'
        "[run]\nbatch = 4\nepochs = 1\nsamples_every = 1\ncheckpoint_every = 1\ngrid = [1, 1]\n"
    )
    system = load_system(str(tmp_path / "system.toml"))
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    weight = trainer.state().arrays["parameters/D/l/W"]
    recorded = trainer.iterate(random_feed(system, 0))
    penalty = float(backends.load(backend).to_numpy(recorded["gradient_penalty"]))
    assert penalty == pytest.approx((np.linalg.norm(weight) - 1.0) ** 2, rel=1e-14)
