"""The hand-written loops are the same systems as ours."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.state import initial_state
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.backends import load
from ganspec.tools.baselines import MODULES

SEED = 3
ITERATIONS = 2  # the second sees what the first one's updates and k did
TOLERANCE = 1e-10  # relative, float64: far above rounding, far below any difference in what is computed

# The baseline's optimiser is the framework's own, so ours puts epsilon where that does. The frameworks' generators
# cannot be fed our masks, so there is no dropout.
SETTINGS = {
    ("wgan_gp", "torch"): ["networks.D.dropout=0", "optimizers.epsilon_place=corrected"],
    ("wgan_gp", "chainer"): ["networks.D.dropout=0", "optimizers.epsilon_place=uncorrected"],
    ("began", "torch"): ["optimizers.epsilon_place=corrected"],
    ("began", "chainer"): ["optimizers.epsilon_place=uncorrected"],
}


def _framework(backend):
    load(backend)  # makes Chainer importable
    return importlib.import_module(backend)


@pytest.fixture
def _float64(backend):
    framework = _framework(backend)
    if backend == "torch":
        before = framework.get_default_dtype()
        framework.set_default_dtype(framework.float64)
        yield
        framework.set_default_dtype(before)
    else:
        with framework.using_config("dtype", np.dtype(np.float64)):
            yield


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("_float64")
def test_baseline_is_the_same_system(name, backend):
    baseline = MODULES[name]
    # Large steps, so that a second iteration shows a wrong optimiser.
    system = load_system(name, [*SETTINGS[baseline, backend], "optimizers.learning_rate=1e-3"], reduced=True)
    x = np.random.default_rng(SEED).uniform(*system.data.range, (system.run.batch, *system.data.shape))
    trainer = load(backend).Trainer(system, SEED, dtype="float64")
    loop = _loop(system, baseline, backend, x)
    for _ in range(ITERATIONS):
        ours, theirs = trainer.iterate(lambda: {"x": x}), loop()
        assert list(theirs) == list(system.plan.columns())
        for key, value in theirs.items():
            assert float(load(backend).to_numpy(ours[key])) == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), key


def _loop(system, baseline, backend, x):
    """Returns: a hand-written loop that starts from our parameters and is fed our draws."""
    make = importlib.import_module(f"ganspec.tools.baselines.{baseline}_{backend}").make
    loop = make(system, np.zeros((2 * system.run.batch, *system.data.shape), np.uint8))
    state = initial_state(system, SEED)
    for name, network in (("G", loop.generator), ("D", getattr(loop, "critic", None) or loop.discriminator)):
        _copy(state.of(f"parameters/{name}"), network, backend)

    def draw(symbol, *shape):
        drawn = [
            Streams(SEED).sample(system.draws[symbol].distribution, symbol, Position(iteration, number, repeat), shape)
            for iteration in range(ITERATIONS)
            for number, planned in enumerate(system.plan.steps)
            for repeat in range(planned.step.repeat)
            if symbol in planned.draws()
        ]
        arrays = iter([_array(values, backend) for values in drawn])
        return lambda: next(arrays)

    batch = system.run.batch
    loop.draw_z = draw("z", batch, *system.symbols["z"].shape)
    loop.draw_eps = draw("eps", batch, 1) if "eps" in system.draws else None
    images = _array(x.reshape(loop.next_x().shape), backend)
    loop.next_x = lambda: images
    return loop


def _copy(parameters, network, backend):
    if backend == "torch":
        torch = _framework(backend)
        theirs = list(network.parameters())
        assert [p.shape for p in theirs] == [v.shape for v in parameters.values()]
        with torch.no_grad():
            for target, values in zip(theirs, parameters.values(), strict=True):
                target.copy_(torch.tensor(values))
    else:
        theirs = {path.removeprefix("/"): p for path, p in network.namedparams()}
        assert {path: p.shape for path, p in theirs.items()} == {path: v.shape for path, v in parameters.items()}
        for path, values in parameters.items():
            theirs[path].array[...] = values


def _array(values, backend):
    return _framework(backend).tensor(values) if backend == "torch" else values


@pytest.mark.parametrize("name", MODULES)
def test_baseline_goes_through_the_images_again(name, backend):
    system = load_system(name, reduced=True)
    load(backend)
    make = importlib.import_module(f"ganspec.tools.baselines.{MODULES[name]}_{backend}").make
    low, high = system.data.range
    images = np.zeros((2 * system.run.batch, *system.data.shape), np.uint8)
    images[: system.run.batch] = 255
    loop = make(system, images)
    for _ in range(2):
        seen = np.concatenate([np.asarray(loop.next_x()) for _ in range(2)])
        assert (len(seen), seen.min(), seen.max()) == (len(images), low, high)
        assert np.mean(seen == high) == 0.5
