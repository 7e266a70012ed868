"""Every packaged loss against a NumPy formula written from the papers, not from the loss files.

The networks are tiny, so that everything can be written by hand. The formulas stand in `support.formulas`. Gradients are compared
with central differences.
"""

from __future__ import annotations

import numpy as np
import pytest

from ganspec.spec.text.files import names
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.loss_systems import LOSSES, PAIR, TWO_LATENTS
from support.tiny_systems import GENERATOR, compute, write_system


def test_every_packaged_loss_has_a_formula_here():
    assert sorted(LOSSES) == sorted(names("losses"))


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_its_gradients_are_those_of_its_source(name, backend, tmp_path):
    formula, networks, options = LOSSES[name]
    # A batch in which samples lie on both sides of a kink, and some are classified right and some wrong.
    computed = compute(backend, write_system(tmp_path, name, networks, batch=24, **options), k=0.4)
    drawn = {**computed.drawn, "statistics": computed.state.of("statistics/R/bn")}
    p = computed.parameters
    expected = formula(p, p, drawn)
    found = computed.losses | {n: v for n, v in computed.reports.items() if not n.startswith("loss_")}
    assert set(found) <= set(expected)
    assert found == {n: pytest.approx(expected[n], rel=1e-12, abs=1e-13) for n in found}
    for path, gradient in computed.gradients.items():
        role = path.partition("/")[0]
        differences = central_differences(lambda moved, role=role: formula(moved, p, drawn)[role], p, path)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-8, err_msg=path)


def central_differences(function, p, path, step=3e-6):
    """Returns: the gradient of a function of the parameters along one array.

    The differences are of the fourth order: where an interpolate is near an image, the Cramer GAN's interpolation bends sharply.
    """
    found = np.zeros_like(p[path])
    for place in np.ndindex(found.shape):
        for distance, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = p[path].copy()
            moved[place] += distance * step
            found[place] += weight * function({**p, path: moved}) / (12 * step)
    return found


LINEAR = (
    'x = [1, 2, 2] | { kind = "flatten" }, '
    '{ kind = "linear", name = "l", units = 1, bias = "none", weight = "normal(0, 1)" }'
)
PENALTIES = {"wgan_gp": (1, 1), "dragan": (1, 1), "dragan_official": (1, 1), "progressive_wgan_gp": (750, 750**2)}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_linear_critics_penalty_is_the_distance_of_its_weight_from_the_target(name, backend, tmp_path):
    target, divisor = PENALTIES[name]
    _, networks, options = LOSSES[name]
    computed = compute(backend, write_system(tmp_path, name, {**networks, "D": LINEAR}, **options))
    length = np.linalg.norm(computed.parameters["D/l/W"])
    assert computed.reports["gradient_penalty"] == pytest.approx((length - target) ** 2 / divisor, rel=1e-13)


@pytest.mark.parametrize(("stabiliser", "penalty"), [(0, 1), (1e-4, 0.9801), (1e-12, (1 - 1e-6) ** 2)])
def test_the_penalty_of_a_critic_without_slope_is_that_of_the_stabiliser(stabiliser, penalty, backend, tmp_path):
    networks = {"G": GENERATOR, "D": LINEAR.replace("normal(0, 1)", "uniform(0, 1e-300)")}
    system = write_system(tmp_path, f'{{ use = "wgan_gp", stabiliser = {stabiliser} }}', networks)
    assert computed_initially(backend, system)["gradient_penalty"] == pytest.approx(penalty, rel=1e-12)


def computed_initially(backend, system):
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    recorded = trainer.iterate(random_feed(system, 0))
    assert all(np.isfinite(array).all() for array in trainer.state().arrays.values())
    return {name: float(backends.load(backend).to_numpy(value)) for name, value in recorded.items()}


@pytest.mark.parametrize("loss", ["began", "began_paper"])
@pytest.mark.parametrize(("gamma", "k"), [(1000, 1.0), (0, 0.0)])
def test_k_stays_between_0_and_1(loss, gamma, k, backend, tmp_path):
    given = f'{{ use = "{loss}", lambda_k = 20, gamma = {gamma} }}'
    assert compute(backend, write_system(tmp_path, given, LOSSES[loss][1]), k=0.5).reports["k"] == k


def test_the_three_cramer_gans_differ_in_what_they_hold_constant(backend, tmp_path):
    found = {}
    for name in ("cramer", "cramer_paper", "cramer_v2"):
        (tmp_path / name).mkdir()
        found[name] = compute(backend, write_system(tmp_path / name, name, PAIR, draws=TWO_LATENTS))
    ours, paper, second = found["cramer"], found["cramer_paper"], found["cramer_v2"]
    # Version 1 as published and as Chainer-GAN-lib computes it have the same values, and other gradients.
    assert ours.losses == pytest.approx(paper.losses, rel=1e-13)
    assert abs(ours.gradients["D/l2/W"] - paper.gradients["D/l2/W"]).max() > 0.01
    assert abs(second.losses["D"] - paper.losses["D"]) > 0.01
    assert second.losses["G"] == pytest.approx(paper.losses["G"], rel=1e-13)


DRAWS = {
    "wgan_gp": {"eps": ("uniform(0.0, 1.0)", (5,))},
    "dragan": {"u": ("uniform(0.0, 1.0)", (5, 1, 2, 2))},
    "dragan_official": {"u": ("uniform(0.0, 1.0)", (5, 1, 2, 2)), "alpha": ("uniform(0.0, 1.0)", (5,))},
    "denoising_feature_matching": {"noise": ("normal(0.0, 1.0)", (5, 3))},
    "cramer": {
        "eps": ("uniform(0.0, 1.0)", (5,)),
        "z": ("normal(0.0, 1.0)", (5, 2)),
        "z2": ("normal(0.0, 1.0)", (5, 2)),
    },
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_per_sample_or_per_number_as_in_the_source(name, backend, tmp_path):
    _, networks, options = LOSSES[name]
    system = write_system(tmp_path, name, networks, batch=5, **options)
    drawn = compute(backend, system).drawn
    for symbol, (distribution, shape) in DRAWS[name].items():
        assert (str(system.draws[symbol].distribution), drawn[symbol].shape) == (distribution, shape)
    assert len({values.tobytes() for values in drawn.values()}) == len(drawn)  # no two are the same numbers
