"""The reference beside the backends: whole iterations of every system, value by value, and what it is as a backend."""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ganspec.spec import load_system, reference, system_names
from ganspec.spec.parts import optimizers as definitions
from ganspec.spec.reference import DeviceError, Trainer, optimizers, to_numpy
from ganspec.spec.reference.formulas import unit_direction
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.latents import sample_latents
from support.lockstep import assert_close, assert_lockstep
from support.pages import ROOT, rows_under
from support.states import shaken_state
from support.tiny_systems import GENERATOR, critic, write_system

SEED = 3
# Looked for, not imported: Chainer needs its mends first.
FRAMEWORKS = [name for name in ("torch", "chainer") if find_spec(name)]
# A penalty on images takes one evaluation of its network for each pixel: fewer of them here.
SLOW = ("cramer", "wgan_gp_", "ac_wgan_gp_cifar10", "dragan", "progressive")


def smaller(name):
    """Returns: a system at its reduced sizes; a slow one with two samples, and with two critic steps after the first."""
    system = load_system(name, reduced=True)
    if not name.startswith(SLOW):
        return system
    critic = ["schedule.critic_steps=3"] if any(step.repeat == 4 for step in system.schedule.steps) else []
    return load_system(name, ["run.batch=2", *critic], reduced=True)


@pytest.mark.skipif(not FRAMEWORKS, reason="needs torch or chainer")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if "/" in n else []) for n in system_names()]
)  # `test_all_witnesses_agree_in_float64` has the variants
def test_iterations_in_lockstep_with_the_backends(name):
    assert_lockstep(smaller(name), FRAMEWORKS, SEED, 2 if name.startswith(SLOW) else 3)


def tiny(tmp_path, loss):
    """Returns: a tiny system whose critic has this loss."""
    head = 'title = "tiny"\nsource = "none"\n[losses]\n'
    (tmp_path / "loss.toml").write_text(f'{head}G = "-mean(D(G(z)))"\nD = "{loss}"\n')
    return write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic()}, batch=4)


def test_the_reference_takes_the_state_of_a_run_and_leaves_it_as_it_is():
    system = load_system("began_mnist", reduced=True)
    state = Trainer(system, 1).state()
    copies = {name: array.copy() for name, array in state.arrays.items()}
    reference = Trainer(system, 2, state)
    for step, repeat in reference.repeats():
        result = reference.compute(step, repeat, random_feed(system, 0))
        gradients = {n: {p: np.ones(a.shape) for p, a in state.of(f"parameters/{n}").items()} for n in result.losses}
        reference.update(result, gradients)
    reference.end_iteration()
    assert all(np.array_equal(state.arrays[name], copies[name]) for name in copies)
    moved = reference.state()
    assert (state.iteration, moved.iteration) == (0, 1)
    assert not np.array_equal(moved.arrays["parameters/D/encoder/c1/W"], copies["parameters/D/encoder/c1/W"])


def test_the_page_and_the_package_list_its_files():
    files = {path.name for path in Path(reference.__file__).parent.glob("*.py")} - {"__init__.py"}
    assert set(rows_under(ROOT / "docs" / "backends.md", "`spec/reference`")) == files
    assert all(f"\n    {file.removesuffix('.py')} " in (reference.__doc__ or "") for file in files)


def test_the_reference_has_every_kind_of_optimiser():
    assert set(optimizers.KINDS) == set(definitions.KINDS)


@pytest.mark.parametrize("name", ["sndcgan_cifar10", "progressive_cifar10", "cgan_mnist", "gan_mlp_mnist"])
def test_it_generates_what_a_backend_generates(name, backend):
    system = load_system(name, reduced=True)
    state = shaken_state(Trainer(system, SEED).state(), 1)  # averages differ from what they are averages of
    reference = Trainer(system, SEED, state)
    trainer = backends.make_trainer(backend, system, SEED, state, dtype="float64")
    latents = sample_latents(system, 0)
    assert_close(reference.generate(*latents), trainer.generate(*latents), "samples")
    assert all(np.array_equal(reference.state().arrays[key], array) for key, array in state.arrays.items())


def test_what_an_earlier_step_computed_and_an_open_gate_survive_a_load():
    system = load_system("cgan_mnist", reduced=True)  # both steps repeat until a report passes a value
    started, loaded = Trainer(system, SEED), Trainer(system, SEED)
    feeds = random_feed(system, SEED), random_feed(system, SEED)
    places = []
    for place, same in zip(started.repeats(), loaded.repeats(), strict=True):
        assert place == same
        results = [t.compute(*place, feed) for t, feed in zip((started, loaded), feeds, strict=True)]
        assert results[0].reports == results[1].reports
        zeros = {n: {p: np.zeros(a.shape) for p, a in started.state().of(f"parameters/{n}").items()} for n in "GD"}
        for trainer, result in zip((started, loaded), results, strict=True):
            trainer.update(result, zeros)
        loaded.load(loaded.state())
        places.append(place)
    assert {step for step, _ in places} == {0, 1}


def test_without_its_layers_a_result_has_the_recorded_numbers_alone():
    system = load_system("wgan_gp_mlp_mnist", reduced=True)
    reference = Trainer(system, SEED)
    result = reference.compute(0, 0, random_feed(system, SEED))
    recorded = set(result.plan.reports.values())
    assert [i for i, value in enumerate(result.values) if value is not None] == sorted(recorded)
    assert result.layers == result.gradients == {}


def test_batches_are_copied_so_that_a_change_afterwards_reaches_nothing():
    system = load_system("gan_mlp_mnist", reduced=True)
    batch = random_feed(system, SEED)()
    reference = Trainer(system, SEED)
    expected = reference.compute(1, 0, lambda: batch).losses
    reference.load(Trainer(system, SEED).state())
    drawn = reference.compute(0, 0, lambda: batch, keep_layers=True)
    batch["x"][:] = 7.0
    node = next(i for i, n in enumerate(drawn.plan.nodes) if n.op == "draw" and n.value == "x")
    assert not (drawn.values[node] == 7.0).any()
    assert expected


def test_a_gradient_is_that_of_its_own_formula_where_another_has_the_same_values(tmp_path):
    # Both squares have the same values, and their gradients differ by the factor 2.
    system = tiny(tmp_path, "mean(norm(grad(D(x) * detach(D(x)), x))) + 10 * mean(norm(grad(D(x) * D(x), x)))")
    result = Trainer(system, SEED).compute(0, 0, random_feed(system, SEED), keep_layers=True)
    half, whole = (v for n, v in zip(result.plan.nodes, result.values, strict=True) if n.op == "grad")
    np.testing.assert_allclose(2 * half, whole, rtol=1e-14)
    assert np.abs(half).min() > 0


def test_the_curvature_is_how_the_slope_changes(tmp_path):
    system = tiny(tmp_path, "mean(softplus(D(x) ^ 3)) + mean(tanh(D(G(z))) ^ 2)")
    feed = random_feed(system, SEED)()
    state = Trainer(system, SEED).state()
    first, second = unit_direction(state, "D", 1), unit_direction(state, "D", 2)

    def slope(distance):
        arrays = {name: a + distance * first.get(name, 0.0) for name, a in state.arrays.items()}
        moved = Trainer(system, SEED, replace(state, arrays=arrays))
        return moved.compute(0, 0, lambda: feed).slope("D", second)

    found = Trainer(system, SEED).compute(0, 0, lambda: feed)
    expected = (slope(1e-5) - slope(-1e-5)) / 2e-5
    assert found.curvature("D", first, second) == pytest.approx(expected, rel=1e-7)
    assert found.curvature("D", second, first) == pytest.approx(found.curvature("D", first, second), rel=1e-12)
    assert abs(expected) > 1e-3


def test_a_gradient_of_a_gradient_is_refused_with_its_step(tmp_path):
    system = tiny(tmp_path, "mean(norm(grad(sum(grad(D(x), x) ^ 2), x)))")
    with pytest.raises(NotImplementedError, match=r"step G\+D has a grad\(\.\.\.\) of something that is made with"):
        Trainer(system, SEED)
    with pytest.raises(UserError, match="the reference computes first derivatives in formulas alone"):
        backends.make_trainer("reference", system, SEED)


WRONG = [
    ({"dtype": "float32"}, ValueError, "the reference says what is right and computes in 'float64' alone"),
    ({"dtype": "float16"}, ValueError, "dtype is 'float16', expected one of 'float32', 'float64'"),
    ({"device": "cuda"}, DeviceError, "plain NumPy and computes on the CPU alone"),
    ({"device": "tpu"}, ValueError, "device is 'tpu', expected one of"),
    ({"draws": "device"}, ValueError, "the reference has no device to draw on; use 'host', the same numbers"),
    ({"draws": "both"}, ValueError, "draws is 'both', expected one of"),
]


@pytest.mark.parametrize(("options", "error", "text"), WRONG)
def test_what_the_reference_cannot_do_is_said(options, error, text):
    with pytest.raises(error, match=re.escape(text)):
        Trainer(load_system("gan_mlp_mnist", reduced=True), SEED, **options)


def test_there_is_no_step_or_repeat_beyond_the_iterations():
    system = load_system("gan_mlp_mnist", reduced=True)
    with pytest.raises(ValueError, match="step is 2, expected a number from 0 to 1"):
        Trainer(system, SEED).compute(2, 0, random_feed(system, SEED))


def test_numbers_become_arrays_of_their_own():
    array = np.arange(3.0)
    assert to_numpy(array) is not array
    assert to_numpy(2.5).dtype == np.float64
