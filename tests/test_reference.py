"""The reference beside the backends: whole iterations of every system, value by value, and what it is as a backend."""

from importlib.util import find_spec

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec import reference as module
from ganspec.spec.parts import optimizers as definitions
from ganspec.spec.reference import Trainer, optimizers
from ganspec.spec.reference.formulas import unit_direction
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

SEED = 3
FRAMEWORKS = [name for name in ("torch", "chainer") if find_spec(name)]  # looked for, not imported: Chainer needs its mends
# A penalty on images takes one evaluation of its network for each pixel.
SLOW = ("cramer", "wgan_gp_cifar10", "ac_wgan_gp_cifar10", "progressive")


def assert_close(found, expected, what, bound, scale=0.0):
    """Compare two arrays normwise: shape, dtype, and a difference of at most `bound` times the norm."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), what
    size = max(np.linalg.norm(expected), scale)
    assert np.linalg.norm(found - expected) <= bound * size, f"{what}: {np.linalg.norm(found - expected) / size:.1e}"


def parts(value, name=""):
    """Yields: an array and its name; of a network with several outputs each."""
    yield from ((f"{name}.{key}", v) for key, v in value.items()) if isinstance(value, dict) else ((name, value),)


def assert_same_values(result, expected, to_numpy, where):
    """Every layer of every evaluation, and every node of the plan; a difference of means has no more digits than they have."""
    assert result.layers.keys() == expected.layers.keys()
    for i, layers in result.layers.items():
        assert layers.keys() == expected.layers[i].keys()
        for name, value in layers.items():
            assert_close(to_numpy(value), expected.layers[i][name], f"{where}, %{i}: layer {name}", 1e-12)
    scalars = [0.0]
    for i, node in enumerate(result.plan.nodes):
        pairs = zip(parts(result.values[i]), parts(expected.values[i]), strict=True)
        for (name, value), (_, wanted) in pairs:
            found = to_numpy(value)
            scalars += [abs(float(found))] if found.ndim == 0 else []
            scale = 1e-2 * max(scalars) if found.ndim == 0 else 0.0
            assert_close(found, np.asarray(wanted), f"{where}, %{i} {node.op} {name}", 1e-12, scale)


@pytest.mark.skipif(not FRAMEWORKS, reason="needs torch or chainer")
@pytest.mark.parametrize("name", system_names())
def test_iterations_in_lockstep_with_the_backends(name):
    system = load_system(name, reduced=True)
    trainers = {b: backends.make_trainer(b, system, SEED, dtype="float64") for b in FRAMEWORKS}
    convert = {b: backends.load(b).to_numpy for b in FRAMEWORKS}
    reference = Trainer(system, SEED)
    feeds = {b: random_feed(system, SEED) for b in (*FRAMEWORKS, "reference")}
    for iteration in range(2 if name.startswith(SLOW) else 3):
        places = [[*[]] for _ in trainers]
        running = {b: t.repeats() for b, t in trainers.items()}
        for step, repeat in reference.repeats():
            assert all(next(places) == (step, repeat) for places in running.values())
            start = reference.state()
            expected = reference.compute(step, repeat, feeds["reference"], keep_layers=True)
            moved = reference.state()
            directions = {n: unit_direction(start, n, step) for n in expected.losses}
            slopes = {n: expected.slope(n, d) for n, d in directions.items()}
            results, gradients = {}, {}
            for b, trainer in trainers.items():
                where = f"{b}, iteration {iteration}, step {step}, repeat {repeat}"
                trainer.load(start)
                results[b] = result = trainer.compute(step, repeat, feeds[b], keep_layers=True)
                assert_same_values(result, expected, convert[b], where)
                for key, array in trainer.state().arrays.items():
                    assert_close(array, moved.arrays[key], f"{where}: {key}", 1e-12)
                gradients[b] = {
                    n: {p: convert[b](g) for p, g in own.items()} for n, own in trainer.gradients_by_path(result).items()
                }
                for network, own in gradients[b].items():
                    product = sum((g * directions[network][f"parameters/{network}/{p}"]).sum() for p, g in own.items())
                    whole = np.sqrt(sum((g**2).sum() for g in own.values()))
                    assert product == pytest.approx(slopes[network], rel=1e-10, abs=1e-10 * whole), where
            # The update of each backend's own gradients.
            for b, trainer in trainers.items():
                reference.load(moved)
                recorded = reference.update(expected, gradients[b])
                found = {n: convert[b](v) for n, v in trainer.update(results[b]).items()}
                assert found.keys() == recorded.keys()
                after, wanted = trainer.state(), reference.state()
                assert (after.updates, after.learning_rates) == (wanted.updates, wanted.learning_rates)
                for key, array in wanted.arrays.items():
                    scale = wanted.learning_rates[key.split("/")[1]] if key.startswith("parameters/") else 0.0
                    assert_close(after.arrays[key], array, f"{b}, {key}", 1e-12, scale)
        assert all(next(places, None) is None for places in running.values())
        reference.end_iteration()
        for b, trainer in trainers.items():
            trainer.end_iteration()
            assert trainer.iteration == reference.iteration == iteration + 1
