"""Whole iterations of the reference beside a backend: values, derivatives, statistics, updates, averages, gates, growth."""

from importlib.util import find_spec

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.parts import optimizers as definitions
from ganspec.spec.reference import Reference, optimizers
from ganspec.spec.reference.formulas import unit_direction
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

SEED = 3
# A second iteration begins with other moments, statistics and carried numbers; penalties on images would take long.
TWICE = (
    "gan_mlp_mnist",
    "began_mnist",
    "cgan_mnist",
    "wgan_cifar10",
    "wgan_gp_mlp_mnist",
    "progressive_cifar10",
    "dcgan_cifar10",
)
# Both backends are compared with one another elsewhere; so the second one needs the reference beside it for a few only.
CASES = [
    *(("torch", name) for name in system_names()),
    *(("chainer", name) for name in ("gan_mlp_mnist", "began_mnist", "cgan_mnist", "progressive_cifar10")),
]


def close(found, expected, what, rtol=1e-10):
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-6)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-10 * scale, err_msg=what)


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_an_iteration_in_lockstep_with_a_backend(backend, name):
    if find_spec(backend) is None:  # looked for, not imported: Chainer needs its mends first
        pytest.skip(f"needs {backend}")
    system = load_system(name, reduced=True)
    trainer = backends.make_trainer(backend, system, SEED, dtype="float64")
    to_numpy = backends.load(backend).to_numpy
    reference = Reference(system, SEED)
    ours, theirs = random_feed(system, SEED), random_feed(system, SEED)
    for _ in range(1 + (name in TWICE)):
        repeats = []
        pairs = zip(trainer.repeats(), reference.repeats(), strict=True)
        for (step, repeat), place in pairs:
            assert place == (step, repeat)
            before = trainer.state()
            result, expected = trainer.compute(step, repeat, ours), reference.compute(step, repeat, theirs)
            values = {n: float(to_numpy(result.values[i])) for n, i in result.plan.reports.items()}
            assert values == {n: pytest.approx(v, rel=1e-9, abs=1e-10) for n, v in expected.reports.items()}
            for i, occurrence in result.plan.occurrences.items():
                node = result.plan.nodes[i]
                found = result.values[i] if node.shape is None else {"": result.values[i]}
                outputs = expected.outputs[node.value][occurrence]
                for value, output in zip(found.values(), outputs.values(), strict=True):
                    close(to_numpy(value), output[0], f"{node.value}, evaluation {occurrence}", 1e-9)
            gradients = {
                n: {p: to_numpy(g) for p, g in own.items()} for n, own in trainer.gradients_by_path(result).items()
            }
            for network, own in gradients.items():
                direction = unit_direction(before, network, step)
                product = sum((g * direction[f"parameters/{network}/{p}"]).sum() for p, g in own.items())
                whole = np.sqrt(sum((g**2).sum() for g in own.values()))
                assert product == pytest.approx(expected.slope(network, direction), rel=1e-8, abs=1e-9 * whole)
            trainer.update(result)
            reference.update(expected, gradients)
            repeats.append(place)
        for network, decay in system.averages.items():
            trainer.networks[network].average(decay)
        trainer.iteration += 1
        reference.end_iteration()
        found, expected = trainer.state(), reference.state()
        assert (found.iteration, found.updates) == (expected.iteration, expected.updates)
        for key, array in expected.arrays.items():
            close(found.arrays[key], array, key, 1e-9)
        assert repeats


def test_the_reference_takes_the_state_of_a_run_and_leaves_it_as_it_is():
    system = load_system("began_mnist", reduced=True)
    state = Reference(system, 1).state()
    copies = {name: array.copy() for name, array in state.arrays.items()}
    reference = Reference(system, 2, state)
    for step, repeat in reference.repeats():
        result = reference.compute(step, repeat, random_feed(system, 0))
        gradients = {n: {p: np.ones(a.shape) for p, a in state.of(f"parameters/{n}").items()} for n in result.losses}
        reference.update(result, gradients)
    reference.end_iteration()
    assert all(np.array_equal(state.arrays[name], copies[name]) for name in copies)
    moved = reference.state()
    assert (state.iteration, moved.iteration) == (0, 1)
    assert not np.array_equal(moved.arrays["parameters/D/encoder/c1/W"], copies["parameters/D/encoder/c1/W"])


def test_the_reference_has_every_kind_of_optimiser():
    assert set(optimizers.KINDS) == set(definitions.KINDS)
