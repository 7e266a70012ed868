"""Optimisers, weight clipping and moving averages: numbers worked out by hand, from gradients that the tests choose."""

from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.parts.optimizers import ADAM_PLACES, KINDS, RMSPROP_PLACES
from ganspec.spec.parts.settings import Decay
from ganspec.spec.training.state import initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.optimizer_rules import DEFINITIONS, adam, rmsprop
from support.tiny_systems import GENERATOR, critic, move_along, write_system

NETWORKS = {"G": GENERATOR, "D": critic()}


def trainer_of(backend, system, value=0.5):
    """Returns: a trainer whose every parameter is one value."""
    state = initial_state(system, 0)
    arrays = {n: np.full(a.shape, value) if n.startswith("parameters/") else a for n, a in state.arrays.items()}
    return backends.make_trainer(backend, system, 0, replace(state, arrays=arrays), dtype="float64")


def moved(backend, tmp_path, optimizer, gradients):
    """Returns: how far a parameter of D is from its start after each of several gradients."""
    trainer = trainer_of(backend, write_system(tmp_path, "wgan", NETWORKS, optimizers=optimizer), 0.5)
    found = []
    for gradient in gradients:
        move_along(trainer, gradient)
        values = trainer.state().arrays["parameters/D/l1/W"]
        assert np.ptp(values) == 0
        found.append(values.flat[0] - 0.5)
    return found


@pytest.mark.parametrize("name", DEFINITIONS)
def test_an_optimizer_is_its_rule(name, backend, tmp_path):
    toml, rule = DEFINITIONS[name]
    gradients = [0.3, -0.1, 0.0, 0.02]
    assert moved(backend, tmp_path, toml, gradients) == pytest.approx(rule(gradients), rel=1e-11)


def test_every_kind_of_optimizer_has_a_rule_here():
    assert {name.partition(",")[0] for name in DEFINITIONS} == set(KINDS)


@pytest.mark.parametrize(("kind", "places"), [("adam", ADAM_PLACES), ("rmsprop", RMSPROP_PLACES)])
def test_every_place_of_epsilon_has_a_rule_here(kind, places):
    own = [definition.toml for name, definition in DEFINITIONS.items() if name.startswith(kind)]
    for place in places:
        assert any(f'epsilon_place = "{place}"' in toml for toml in own), place


def test_adams_first_step_at_a_small_gradient_shows_where_epsilon_is(backend, tmp_path):
    # g = 1e-7, t = 1. After the correction: 1e-3 * 1e-7 / (1e-7 + 1e-8) = 9.09e-4.
    (corrected,) = moved(backend, tmp_path, adam("corrected"), [1e-7])
    assert corrected == pytest.approx(-1e-3 / 1.1, rel=1e-9)
    # Beside the uncorrected root: m = 1e-8, sqrt(v) = 1e-7 * sqrt(1e-3) = 3.16e-9, and so
    # 1e-3 * sqrt(1e-3) / 0.1 * 1e-8 / (3.16e-9 + 1e-8) = 2.40e-4.
    (uncorrected,) = moved(backend, tmp_path, adam("uncorrected"), [1e-7])
    assert uncorrected == pytest.approx(-2.4025e-4, rel=1e-4)


def test_adams_two_definitions_are_one_without_epsilon(backend, tmp_path):
    gradients = [0.3, -0.1, 0.02]
    corrected = moved(backend, tmp_path, adam("corrected", 0), gradients)
    assert corrected == pytest.approx(moved(backend, tmp_path, adam("uncorrected", 0), gradients), rel=1e-12)


def test_rmsprop_of_tensorflow_1_makes_a_first_step_300_times_smaller(backend, tmp_path):
    # g = 1e-2. From 0: v = 1e-5, and the step is 1e-3 * 1e-2 / 3.16e-3. From 1: v = 0.90001.
    (plain,) = moved(backend, tmp_path, rmsprop("outside", 0), [1e-2])
    (tensorflow,) = moved(backend, tmp_path, rmsprop("inside", 1), [1e-2])
    assert plain == pytest.approx(-3.1623e-3, rel=1e-4)
    assert tensorflow == pytest.approx(-1e-5 / 0.90001**0.5, rel=1e-8)
    assert plain / tensorflow == pytest.approx(300, rel=1e-3)


@pytest.mark.parametrize(("when", "after"), [("after", 0.1), ("before", 0.1 + 1e-3)])
def test_weights_are_clipped_after_the_step_or_before_it(when, after, backend, tmp_path):
    optimizers = rmsprop("outside", 0, 1e-12, 0.0) + f'\nD.clip = {{ bound = 0.1, when = "{when}" }}'
    trainer = trainer_of(backend, write_system(tmp_path, "wgan", NETWORKS, optimizers=optimizers), 0.5)
    result = trainer.compute(0, 0, random_feed(trainer.system, 0))
    # The evaluation sees D's weights as they are, or clipped; G's are never touched.
    bias = np.full(1, {"after": 0.5, "before": 0.1}[when])
    assert np.array_equal(trainer.state().arrays["parameters/D/l2/b"], bias)
    assert np.isfinite(float(backends.load(backend).to_numpy(result.values[result.plan.losses["D"]])))
    move_along(trainer, -1.0)  # with decay 0 a step is 1e-3, here upwards
    state = trainer.state().arrays
    np.testing.assert_allclose(state["parameters/D/l1/W"], after, rtol=1e-12)
    np.testing.assert_allclose(state["parameters/G/l/W"], 0.5 + 1e-3, rtol=1e-12)


@pytest.mark.parametrize("when", ["after", "before"])
def test_weights_are_clipped_on_both_sides_and_those_within_stay(when, backend, tmp_path):
    optimizers = rmsprop("outside", 0, 1e-12, 0.0) + f'\nD.clip = {{ bound = 0.1, when = "{when}" }}'
    system = write_system(tmp_path, "wgan", NETWORKS, optimizers=optimizers)
    state = initial_state(system, 0)
    state.arrays["parameters/D/l2/W"] = np.array([[0.3, -0.3, 0.05]])
    trainer = backends.make_trainer(backend, system, 0, state, dtype="float64")
    move_along(trainer, 0.0)
    np.testing.assert_allclose(trainer.state().arrays["parameters/D/l2/W"], [[0.1, -0.1, 0.05]], rtol=1e-15)


def test_a_step_that_does_not_update_the_critic_does_not_clip_it(backend, tmp_path):
    optimizers = rmsprop("outside", 0) + '\nD.clip = { bound = 0.1, when = "before" }'
    steps = '[[steps]]\nupdate = ["G"]\n[[steps]]\nupdate = ["D"]'
    trainer = trainer_of(backend, write_system(tmp_path, "wgan", NETWORKS, steps=steps, optimizers=optimizers))
    trainer.compute(0, 0, random_feed(trainer.system, 0))
    assert (trainer.state().arrays["parameters/D/l1/W"] == 0.5).all()


def test_the_average_of_a_network_follows_its_parameters_and_its_batch_norms_statistics(backend, tmp_path):
    bn = '{ kind = "batch_norm", name = "bn", epsilon = 1e-3, momentum = 0.2, gamma = 1, beta = 0 }'
    generator = GENERATOR.replace('{ kind = "reshape"', bn + ', { kind = "reshape"')
    system = write_system(tmp_path, "wgan", {**NETWORKS, "G": generator}, extra="[averages]\nG = 0.75")
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    feed, expected = random_feed(system, 0), None
    for _ in range(3):
        before = trainer.state()
        own = {**before.of("parameters/G"), **before.of("statistics/G")}
        expected = own if expected is None else expected  # it starts as the network does
        trainer.iterate(feed)
        after = trainer.state()
        own = {**after.of("parameters/G"), **after.of("statistics/G")}
        expected = {path: 0.75 * expected[path] + 0.25 * own[path] for path in own}
        for path, value in expected.items():
            np.testing.assert_allclose(after.of("averages/G")[path], value, rtol=1e-13, err_msg=path)
    assert set(expected) == {"l/W", "l/b", "bn/gamma", "bn/beta", "bn/mean", "bn/variance"}
    # Samples are drawn from the average, in inference.
    z = np.array([[0.3, -0.7]])
    y = ((z @ expected["l/W"].T + expected["l/b"]) - expected["bn/mean"]) / np.sqrt(expected["bn/variance"] + 1e-3)
    y = y * expected["bn/gamma"] + expected["bn/beta"]
    np.testing.assert_allclose(trainer.generate(z).reshape(1, -1), y, rtol=1e-12)


def test_adams_count_is_the_networks_also_for_parameters_that_join_later(backend):
    system = load_system("progressive_cifar10", reduced=True)
    start = initial_state(system, 0)
    first = next(i for i in range(100) if system.at(i)[0] == 1)  # the first iteration in which b1 takes part
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    later = replace(start, iteration=first, updates={"G": 7, "D": 7})
    trainer.load(later)
    move_along(trainer, 0.5)
    after = trainer.state()
    # Moments from 0 with t = 8: the step is sqrt(1 - b2^8) / (1 - b1^8) * (1 - b1) g / (sqrt((1 - b2) g^2) + epsilon).
    step = 1e-3 * (1 - 0.99**8) ** 0.5 * 0.5 / ((0.01 * 0.25) ** 0.5 + 1e-4)
    joined, waiting = "parameters/D/b1_c0/W", "parameters/D/b2_c0/W"
    np.testing.assert_allclose(later.arrays[joined] - after.arrays[joined], step, rtol=1e-9)
    assert np.array_equal(later.arrays[waiting], after.arrays[waiting])
    assert after.updates == {"G": 7, "D": 8}


def test_learning_rates_shrink_by_a_factor_and_not_below_the_least(backend, tmp_path):
    trainer = trainer_of(backend, write_system(tmp_path, "wgan", NETWORKS))
    rates = []
    for _ in range(3):
        trainer.scale_learning_rates(Decay("loss_D", 0.5, 0.002))
        rates.append(trainer.state().learning_rates["D"])
    assert rates == pytest.approx([0.005, 0.0025, 0.002], rel=1e-15)
