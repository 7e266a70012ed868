"""Networks as modules and chains: their values and averages are those of a state, and their dropout drops, scales and stops."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.description import describe
from ganspec.spec.training.checkpoint import Record, write_checkpoint
from ganspec.spec.training.record import write_record
from ganspec.spec.training.state import array_shapes, initial_state
from ganspec.spec.training.streams import Streams
from ganspec.tools import backends
from support.tiny_systems import GENERATOR, write_system

COUNT = 100_000
NAME = "wgan_gp_mlp_mnist"


class Module:
    """A network of either backend, used as its own users do."""

    def __init__(self, backend, network):
        self.backend, self.network, self.house = backend, network, backends.load(backend)

    def __call__(self, *inputs, training=False):
        """Returns: the output, for NumPy inputs."""
        if self.backend == "torch":
            import torch

            return self.house.to_numpy(self.network.train(training)(*(torch.tensor(x) for x in inputs)))
        import chainer

        with chainer.using_config("train", training):
            return self.house.to_numpy(self.network(*inputs))

    def arrays(self):
        """Returns: parameters and statistics by their neutral paths."""
        if self.backend == "torch":
            return {path.replace(".", "/"): self.house.to_numpy(a) for path, a in self.network.state_dict().items()}
        parameters = {path.removeprefix("/"): p.array for path, p in self.network.namedparams()}
        statistics = {path: self.network._statistic(path) for path in self.network.architecture.statistic_paths()}
        return parameters | statistics

    def seed(self, seed):
        if self.backend == "torch":
            import torch

            torch.manual_seed(seed)
        else:
            np.random.seed(seed)


def equal(found, expected, dtype):
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        assert found[path].dtype == np.dtype(dtype)
        assert np.array_equal(found[path], array.astype(dtype)), path
    return True


def marked_state(system):
    """Returns: a state whose every array is filled with a number of its own."""
    state = initial_state(system, 0)
    numbers = {name: np.full(a.shape, 0.5 + i / 1024) for i, (name, a) in enumerate(state.arrays.items())}
    return replace(state, arrays=numbers, iteration=3)


def expected_arrays(state, network, averaged):
    plain = {**state.of(f"parameters/{network}"), **state.of(f"statistics/{network}")}
    return state.of(f"averages/{network}") if averaged else plain


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_values_are_those_of_the_seed_and_of_the_networks_name(dtype, backend):
    architecture = load_system(NAME).networks["G"]
    house = backends.load(backend)
    for name, seed in (("G", 0), ("G", 3), ("D", 0)):
        streams = Streams(seed)
        expected = streams.initial_parameters(name, architecture) | streams.initial_statistics(name, architecture)
        assert equal(Module(backend, house.Network(architecture, name, seed, dtype)).arrays(), expected, dtype)
    made = house.Network.from_system(NAME, "G", seed=3, dtype=dtype)
    streams = Streams(3)
    expected = streams.initial_parameters("G", architecture) | streams.initial_statistics("G", architecture)
    assert equal(Module(backend, made).arrays(), expected, dtype)


@pytest.mark.parametrize("averaged", [True, False])
def test_a_state_s_averages_or_its_own_values_are_taken_statistics_among_them(averaged, backend):
    system = load_system(NAME, ["averages.G=0.9"], reduced=True)
    state, house = marked_state(system), backends.load(backend)
    for name in "GD":  # D has no average, so its own values are taken
        module = Module(backend, house.Network(system.networks[name], name, 0, "float64"))
        module.network.load_training_state(state, name, averaged=averaged)
        assert equal(module.arrays(), expected_arrays(state, name, averaged and name == "G"), "float64")
    default = Module(backend, house.Network(system.networks["G"], "G", 0, "float64"))
    default.network.load_training_state(state, "G")
    assert equal(default.arrays(), expected_arrays(state, "G", True), "float64")


@pytest.fixture
def run(tmp_path):
    """Returns: the folder of a run with a checkpoint of a marked state, and the state."""
    settings = ["averages.G=0.9", "networks.G.width=4", "networks.D.width=4"]
    system = load_system(NAME, settings)
    state = marked_state(system)
    record = {
        "system": NAME, "settings": settings, "data": "none", "backend": "torch", "device": "cpu", "dtype": "float64",
        "draws": "host", "seed": 0,
    }  # fmt: skip
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    write_record(folder, record)
    kept = Record(describe(system), 0, "float64", "host", 3, "", {"sum": 0.0, "count": 0, "last": None})
    write_checkpoint(folder / "checkpoints" / "00000003.safetensors", state, kept)
    assert state.arrays.keys() == array_shapes(system).keys()
    return folder, state


@pytest.mark.parametrize(("name", "options", "averaged"), [
    ("G", {}, True), ("G", {"averaged": True}, True), ("G", {"averaged": False}, False), ("D", {}, False),
])  # fmt: skip
def test_a_network_of_a_run_has_the_averages_unless_told_otherwise(name, options, averaged, backend, run):
    folder, state = run
    network = backends.load(backend).Network.from_run(folder, name, **options)
    assert equal(Module(backend, network).arrays(), expected_arrays(state, name, averaged), "float64")


DROPS = '{ kind = "dropout", name = "drop", rate = RATE }, '


@pytest.fixture
def dropping(backend, tmp_path):
    """Returns: a function of a rate and a dtype that gives a network which reads 1000 numbers and is a dropout layer alone."""

    def made(rate, dtype):
        critic = (
            'x = [1, 2, 2] | { kind = "flatten" }, { kind = "linear", name = "l", units = 1, weight = 1, bias = 0 }'
        )
        noise = f'x = [1000] | {DROPS.replace("RATE", str(rate))} {{ kind = "scale", factor = 1 }}'
        (tmp_path / "loss.toml").write_text(
            'title = "t"\nsource = "none"\n[draws]\nu = { sample = "normal(0, 1)", shape = "R.x" }\n[losses]\n'
            'D = "mean(D(G(z))) - mean(D(x)) + mean(R(u))"\nG = "-mean(D(G(z)))"\n'
        )
        system = write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic, "R": noise})
        return Module(backend, backends.load(backend).Network(system.networks["R"], "R", 0, dtype))

    return made


@pytest.mark.parametrize(("rate", "dtype"), [(0.5, "float32"), (0.25, "float64"), (0.3, "float32"), (0.3, "float64")])
def test_dropout_drops_at_its_rate_scales_the_rest_and_is_nothing_in_inference(rate, dtype, dropping):
    module = dropping(rate, dtype)
    x = np.random.default_rng(0).uniform(1, 2, (COUNT // 1000, 1000)).astype(dtype)
    assert np.array_equal(module(x), x)
    module.seed(1)
    found = module(x, training=True)
    kept = found != 0
    np.testing.assert_allclose(found[kept], x[kept] / (1 - rate), rtol=1e-6 if dtype == "float32" else 1e-14)
    error = math.sqrt(rate * (1 - rate) / COUNT)
    assert abs(kept.mean() - (1 - rate)) < 5 * error
    pairs = kept.ravel()[:-1] & kept.ravel()[1:]
    assert abs(pairs.mean() - (1 - rate) ** 2) < 15 * error
    # Each evaluation has a mask of its own, from the global generator.
    second = module(x, training=True)
    assert abs(((second != 0) & kept).mean() - (1 - rate) ** 2) < 15 * error
    module.seed(1)
    assert np.array_equal(module(x, training=True), found)
    assert np.array_equal(module(x), x), "inference again"
