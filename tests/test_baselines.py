"""The plain hand-written loops that `ganspec bench` compares with are the same systems as ours."""

from __future__ import annotations

import importlib
from collections import defaultdict, deque
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.state import initial_state
from ganspec.tools.backends import load
from ganspec.tools.baselines import MODULES

SEED = 3
ITERATIONS = 2  # the second sees what the first one's updates and k did
TOLERANCE = 1e-10  # relative, float64: far above rounding, far below any difference in what is computed

# A loop's optimiser is the framework's own, so ours starts and puts epsilon where that does.
FRAMEWORKS_OWN = {
    ("adam", "torch"): {"epsilon_place": "corrected"},
    ("adam", "chainer"): {"epsilon_place": "uncorrected"},
    ("rmsprop", "torch"): {"epsilon_place": "outside", "start": 0.0},
    ("rmsprop", "chainer"): {"epsilon_place": "outside", "start": 0.0},
}
RATES = ("dropout", "rate")  # constants of networks: the frameworks' generators cannot be fed our masks


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
    given = Given(system)
    trainer = load(backend).Trainer(system, SEED, dtype="float64", draws=given)
    loop = _loop(system, backend, given)
    for _ in range(_iterations(system)):
        ours, theirs = trainer.iterate(given.next_batch), loop()
        assert sorted(theirs) == sorted(system.plan.columns())
        for key, value in theirs.items():
            assert float(load(backend).to_numpy(ours[key])) == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), key
        assert not any(given.queues.values()), "the loop draws less than ours"


def _system(name, backend):
    """Returns: a reduced system that differs from the loop in nothing, with steps so large that updates show."""
    rates = [
        f"networks.{network}.{rate}=0"
        for network, architecture in load_system(name, reduced=True).networks.items()
        for rate in RATES
        if rate in architecture.constants
    ]
    system = load_system(name, rates, reduced=True)
    optimizers = {
        network: replace(optimizer, learning_rate=1e-3, **FRAMEWORKS_OWN[optimizer.kind, backend])
        for network, optimizer in system.optimizers.items()
    }
    return replace(system, optimizers=optimizers)


def _iterations(system):
    """Returns: as many as every stage of a system that grows begins within."""
    if system.growth is None:
        return ITERATIONS
    return (system.growth.stages - 1) * system.growth.images // system.run.batch + 1


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


def _loop(system, backend, given):
    """Returns: a hand-written loop that starts from our parameters and is given our batches and draws."""
    loop = _make(system, backend, np.zeros((2 * system.run.batch, *system.data.shape), np.uint8))
    state = initial_state(system, SEED)
    for name, network in loop.networks.items():
        _copy(state.of(f"parameters/{name}"), state.of(f"statistics/{name}"), network, backend)
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


def _copy(parameters, statistics, network, backend):
    kept = {path: values for path, values in statistics.items() if path.endswith("/u")}
    if backend == "torch":
        theirs = [p for p in network.parameters() if p.requires_grad]
        vectors = [b for name, b in network.named_buffers() if name.rpartition(".")[2].strip("_") == "u"]
        for target, values in zip([*theirs, *vectors], [*parameters.values(), *kept.values()], strict=True):
            assert target.shape == values.shape
            target.data.copy_(target.new_tensor(values))
    else:
        theirs = {path.removeprefix("/"): p.array for path, p in network.namedparams()}
        vectors = {f"{path}/u".removeprefix("/"): link.u for path, link in network.namedlinks() if hasattr(link, "u")}
        wanted = parameters | kept
        assert {path: a.shape for path, a in (theirs | vectors).items()} == {p: v.shape for p, v in wanted.items()}
        for path, values in wanted.items():
            (theirs | vectors)[path][...] = values


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
