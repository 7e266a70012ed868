"""The plain hand-written loops that `ganspec bench` compares with are the same systems as ours."""

from __future__ import annotations

import importlib
from collections import defaultdict, deque
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.text.files import system_names
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.state import initial_state
from ganspec.tools.backends import load
from ganspec.tools.baselines import MODULES

SEED = 3
ITERATIONS = 2  # the second sees what the first one's updates and k did
STAGES = (0, 3, 6)  # of a system that grows: the first, one that fades in, the last
TOLERANCE = 1e-10  # relative, float64: far above rounding, far below any difference in what is computed

# A loop's optimiser is the framework's own, so ours starts and puts epsilon where that does.
FRAMEWORKS_OWN = {
    ("adam", "torch"): {"epsilon_place": "corrected"},
    ("adam", "chainer"): {"epsilon_place": "uncorrected"},
    ("rmsprop", "torch"): {"epsilon_place": "outside", "start": 0.0},
    ("rmsprop", "chainer"): {"start": 0.0},
}
# Constants of schedules: few repeats, and after a warm-up of one iteration another number of them.
REPEATS = {"critic_steps": 2, "discriminator_steps": 2, "warmup_critic_steps": 3, "warmup": 1}
RATES = ("dropout", "rate")  # constants of networks: the frameworks' generators cannot be fed our masks


def test_every_system_has_a_loop():
    assert sorted(MODULES) == sorted(system_names())


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


def _framework(backend):
    load(backend)  # makes Chainer importable
    return importlib.import_module(backend)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("_float64")
def test_loop_is_the_same_system(name, backend):
    system = _system(name, backend)
    firsts = [system.growth.first_iteration(stage, system.run.batch) for stage in STAGES] if system.growth else [0]
    for first in firsts:
        _check_same_numbers(system, backend, first)
    if system.growth:
        later = replace(system.growth, start_stage=STAGES[-1], start_fade=0.5)
        _check_same_numbers(replace(system, growth=later), backend, 0)


def _check_same_numbers(system, backend, first):
    """Compare from an iteration on. Stages start anew: PyTorch's Adam counts each parameter's updates, ours a network's."""
    given, state, framework = Given(system), initial_state(system, SEED), load(backend)
    state.iteration = first
    trainer = framework.Trainer(system, SEED, state, dtype="float64", draws=given)
    loop = _loop(system, backend, given, state)
    for _ in range(ITERATIONS):
        ours, theirs = trainer.iterate(given.next_batch), loop()
        assert sorted(theirs) == sorted(system.plan.columns())
        for key, value in theirs.items():
            assert float(framework.to_numpy(ours[key])) == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), key
        assert not any(given.queues.values()), "the loop draws less than ours"
    after = trainer.state()
    for name, network in loop.networks.items():
        _check_same_arrays(_arrays(network, after.of(f"parameters/{name}"), backend))
    for name in system.averages:
        _check_same_arrays(_arrays(loop.averages[name], after.of(f"averages/{name}"), backend))


def _check_same_arrays(pairs):
    for path, (theirs, ours) in pairs.items():
        np.testing.assert_allclose(np.asarray(theirs), ours, rtol=TOLERANCE, atol=TOLERANCE, err_msg=path)


def _system(name, backend):
    """Returns: a reduced system that differs from the loop in nothing, with steps so large that updates show."""
    system = load_system(name, reduced=True)
    no_dropout = [
        f"networks.{network}.{rate}=0"
        for network, architecture in system.networks.items()
        for rate in RATES
        if rate in architecture.constants
    ]
    repeats = [f"schedule.{key}={value}" for key, value in REPEATS.items() if key in system.schedule.constants]
    system = load_system(name, no_dropout + repeats, reduced=True)
    gated = any(step.until for step in system.schedule.steps)
    learning_rate = (
        3e-2 if gated else 1e-3
    )  # with the larger one, gates open and close within the iterations of a check
    optimizers = {
        network: replace(optimizer, learning_rate=learning_rate, **FRAMEWORKS_OWN[optimizer.kind, backend])
        for network, optimizer in system.optimizers.items()
    }
    growth = system.growth and replace(system.growth, images=ITERATIONS * system.run.batch)
    return replace(system, optimizers=optimizers, growth=growth)


class Given:
    """What our trainer is given, kept in queues by name for a loop. It is a `DrawSource`."""

    def __init__(self, system):
        self.system, self.draws, self.generator = system, StreamDraws(system, SEED), np.random.default_rng(SEED)
        self.queues = defaultdict(deque)

    def symbol(self, name, symbol, at, batch):
        values = self.draws.symbol(name, symbol, at, batch)
        self.queues[name].append(values)
        return values

    def mask(self, network, layer, at, shape):
        return self.draws.mask(network, layer, at, shape)

    def next_batch(self):
        data, count = self.system.data, self.system.run.batch
        batch = {"x": self.generator.uniform(*data.range, (count, *data.shape))}
        if data.labels:
            batch["y"] = self.generator.integers(0, data.labels, count)
        self.queues["batch"].append(list(batch.values()))
        return batch


def _loop(system, backend, given, state):
    """Returns: a hand-written loop that starts from our state and is given our batches and draws."""
    loop = _make(system, backend, np.zeros((2 * system.run.batch, *system.data.shape), np.uint8))
    modules = {f"parameters/{name}": network for name, network in loop.networks.items()}
    modules |= {f"averages/{name}": loop.averages[name] for name in system.averages}
    for prefix, module in modules.items():
        kept = state.of(prefix.replace("parameters", "statistics"))
        vectors = {path: values for path, values in kept.items() if path.endswith("/u")}
        for theirs, ours in _arrays(module, state.of(prefix) | vectors, backend).values():
            theirs[...] = _like(ours, theirs)
    if system.growth is not None:
        loop.iteration = state.iteration
    for name in system.draws:
        own = getattr(loop, f"draw_{name}")()
        setattr(loop, f"draw_{name}", lambda name=name, own=own: _like(given.queues[name].popleft(), own))
    own = loop.next_batch()
    loop.next_batch = lambda: [_like(a, b) for a, b in zip(given.queues["batch"].popleft(), own, strict=False)]
    return loop


def _make(system, backend, images):
    load(backend)
    make = importlib.import_module(f"ganspec.tools.baselines.{MODULES[system.name]}_{backend}").make
    labels = np.arange(len(images)) * 2 // len(images) if system.data.labels else None
    return make(system, images, labels)


def _like(values, own):
    """Returns: values in the shape, and with the type, of an array of the loop's own."""
    values = values.reshape(own.shape)
    return own.new_tensor(values) if hasattr(own, "new_tensor") else values.astype(own.dtype)


def _arrays(network, ours, backend):
    """Returns: by path, the arrays of a network's parameters, and of the vectors `u` among ours, each with ours."""
    if backend == "torch":
        arrays = [p.data for p in network.parameters() if p.requires_grad]
        if any(path.endswith("/u") for path in ours):
            arrays += [b for name, b in network.named_buffers() if name.rpartition(".")[2].strip("_") == "u"]
        theirs = dict(zip(ours, arrays, strict=True))
    else:
        theirs = {path.removeprefix("/"): p.array for path, p in network.namedparams()}
        theirs |= {path: _linked(network, path).u for path in ours if path.endswith("/u")}
    assert {path: tuple(a.shape) for path, a in theirs.items()} == {path: a.shape for path, a in ours.items()}
    return {path: (theirs[path], values) for path, values in ours.items()}


def _linked(network, path):
    return dict(network.namedlinks())["/" + path.removesuffix("/u")]


@pytest.mark.parametrize("name", MODULES)
def test_loop_goes_through_the_images_again(name, backend):
    system = load_system(name, reduced=True)
    low, high = system.data.range
    images = np.zeros((2 * system.run.batch, *system.data.shape), np.uint8)
    images[system.run.batch :] = 255
    loop = _make(system, backend, images)
    for _ in range(2):
        batches = [loop.next_batch() for _ in range(2)]
        seen = np.concatenate([np.asarray(batch[0]) for batch in batches])
        assert (len(seen), seen.min(), seen.max()) == (len(images), low, high)
        assert np.mean(seen == high) == 0.5
        if len(batches[0]) == 2:
            labels = np.concatenate([np.asarray(batch[1]) for batch in batches])
            assert np.array_equal(labels, seen.reshape(len(seen), -1)[:, 0] == high)
