"""What training starts from: the fans of each layer's weights, statistics, moments, averages, carried numbers, rates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import Library
from ganspec.spec.training.state import initial_state
from ganspec.spec.training.streams import Position, Streams

# A layer, the shape it reads, and the fans of its arrays: how many numbers each output is made of, and each input goes into.
FANS = {
    "linear": ('{ kind = "linear", units = 7, WEIGHT, BIAS }', "[5]", {"W": (5, 7), "b": (5, 7)}),
    "conv": (
        '{ kind = "conv", channels = 4, kernel = 3, stride = 2, padding = 1, WEIGHT, BIAS }', "[2, 8, 8]",
        {"W": (2 * 9, 4 * 9), "b": (2 * 9, 4 * 9)},
    ),
    "deconv": (
        '{ kind = "deconv", channels = 4, kernel = 3, stride = 2, padding = 1, WEIGHT, BIAS }', "[2, 8, 8]",
        {"W": (2 * 9, 4 * 9), "b": (2 * 9, 4 * 9)},
    ),
    "embedding": ('{ kind = "embedding", units = 6, WEIGHT }', "{ labels = 3 }", {"W": (3, 6)}),
    "batch_norm": (
        '{ kind = "batch_norm", epsilon = 1, momentum = 0.1, gamma = "FANS", beta = "FANS" }', "[2, 8, 8]",
        {"gamma": (2, 2), "beta": (2, 2)},
    ),
    "batch_norm of a vector": (
        '{ kind = "batch_norm", epsilon = 1, momentum = 0.1, gamma = "FANS", beta = "FANS" }', "[5]",
        {"gamma": (5, 5), "beta": (5, 5)},
    ),
    "conv, groups": (
        '{ kind = "conv", channels = 6, kernel = [1, 3], stride = 1, padding = 0, groups = 2, WEIGHT, BIAS }', "[4, 8, 8]",
        {"W": (2 * 3, 3 * 3), "b": (2 * 3, 3 * 3)},
    ),
    "deconv, rectangle": (
        '{ kind = "deconv", channels = 4, kernel = [3, 2], stride = [1, 2], padding = 0, WEIGHT, BIAS }', "[2, 8, 8]",
        {"W": (2 * 6, 4 * 6), "b": (2 * 6, 4 * 6)},
    ),
    "layer_norm": (
        '{ kind = "layer_norm", epsilon = 1, gamma = "FANS", beta = "FANS" }', "[2, 3]", {"gamma": (6, 6), "beta": (6, 6)},
    ),
    "group_norm": (
        '{ kind = "group_norm", groups = 2, epsilon = 1, gamma = "FANS", beta = "FANS" }', "[4, 8, 8]",
        {"gamma": (4, 4), "beta": (4, 4)},
    ),
}  # fmt: skip
SHAPES = {
    "linear": {"W": (7, 5), "b": (7,)},
    "conv": {"W": (4, 2, 3, 3), "b": (4,)},
    "deconv": {"W": (2, 4, 3, 3), "b": (4,)},
    "embedding": {"W": (3, 6)},
    "batch_norm": {"gamma": (2,), "beta": (2,)},
    "batch_norm of a vector": {"gamma": (5,), "beta": (5,)},
    "conv, groups": {"W": (6, 2, 1, 3), "b": (6,)},
    "deconv, rectangle": {"W": (2, 4, 3, 2), "b": (4,)},
    "layer_norm": {"gamma": (2, 3), "beta": (2, 3)},
    "group_norm": {"gamma": (4,), "beta": (4,)},
}


def network(folder: Path, layer: str, shape: str):
    """Returns: a network of one layer, "l"."""
    text = (
        layer.replace("WEIGHT", 'weight = "FANS"').replace("BIAS", 'bias = "FANS"').replace("kind", 'name = "l", kind')
    )
    (folder / "net.toml").write_text(
        f'title = "t"\nsource = "none"\n[inputs]\nx = {shape}\n[network]\nlayers = [ {text} ]\n'.replace(
            "FANS", "1000 * fan_in + fan_out"
        )
    )
    problems, library = Problems(), Library(folder)
    found = read_architecture(library.find("architectures", "net.toml", "", ""), library, {}, problems)
    problems.stop_if_any()
    return found


@pytest.mark.parametrize("kind", FANS)
def test_the_fans_of_a_layers_arrays(kind: str, tmp_path: Path) -> None:
    layer, shape, fans = FANS[kind]
    values = Streams(0).initial_parameters("D", network(tmp_path, layer, shape))
    assert {path: array.shape for path, array in values.items()} == {f"l/{n}": s for n, s in SHAPES[kind].items()}
    for name, (fan_in, fan_out) in fans.items():
        assert np.array_equal(values[f"l/{name}"], np.full(SHAPES[kind][name], 1000.0 * fan_in + fan_out)), name


def test_a_gain_has_the_fans_of_its_weight(tmp_path: Path) -> None:
    layer, shape, fans = FANS["conv"]
    found = network(tmp_path, layer.replace("WEIGHT", 'WEIGHT, gain = "FANS"'), shape)
    assert found.layers[0].settings["gain"] == 1000 * fans["W"][0] + fans["W"][1]


def test_statistics_start_as_their_layers_say(tmp_path: Path) -> None:
    for kind in ("batch_norm", "batch_norm of a vector"):
        layer, shape, _ = FANS[kind]
        values = Streams(0).initial_statistics("D", network(tmp_path, layer, shape))
        count = SHAPES[kind]["gamma"]
        assert values.keys() == {"l/mean", "l/variance"}
        assert np.array_equal(values["l/mean"], np.zeros(count))
        assert np.array_equal(values["l/variance"], np.ones(count))
    spectral = 'spectral_norm = { iterations = 1, epsilon = 1e-12, advance = "always" }'
    for kind, rows in (("linear", 7), ("conv", 4), ("deconv", 2)):  # the first index of W
        layer, shape, _ = FANS[kind]
        values = Streams(5).initial_statistics(
            "D", network(tmp_path, layer.replace("WEIGHT", f"WEIGHT, {spectral}"), shape)
        )
        assert values.keys() == {"l/u"}
        assert np.array_equal(values["l/u"], Streams(5).normal("initial/D/l/u", Position(), (rows,)))


def test_initial_values_have_streams_of_their_own_by_network_and_path() -> None:
    system, streams = load_system("wgan_gp_mlp_mnist"), Streams(42)
    state = initial_state(system, 42)
    for name, fan_in, shape in (("G/l1/W", 100, (128, 100)), ("G/l2/b", 128, (128,)), ("D/l1/W", 784, (128, 784))):
        bound = 1 / math.sqrt(fan_in)
        expected = -bound + 2 * bound * streams.uniform(f"initial/{name}", Position(), shape)
        np.testing.assert_allclose(state.arrays[f"parameters/{name}"], expected, rtol=1e-13, atol=1e-16)


SETTINGS = ["averages.G=0.9", "optimizers.D.learning_rate=0.25"]


def test_a_new_state_has_counted_nothing_and_remembers_nothing() -> None:
    system = load_system("wgan_gp_mlp_mnist", SETTINGS, reduced=True)
    state = initial_state(system, 3)
    assert state.iteration == 0
    assert state.updates == {"G": 0, "D": 0}
    assert state.learning_rates == {"G": system.optimizers["G"].learning_rate, "D": 0.25}
    own = {**state.of("parameters/G"), **state.of("statistics/G")}
    averages = state.of("averages/G")
    assert averages.keys() == own.keys()
    assert all(np.array_equal(averages[path], own[path]) for path in own)
    assert not state.of("averages/D")
    for network in "GD":
        assert set(state.of(f"moments/{network}/m")) == set(state.of(f"parameters/{network}"))
        assert not any(array.any() for array in state.of(f"moments/{network}").values())


def test_an_accumulator_and_a_carried_number_start_where_their_files_say() -> None:
    tensorflow = ["optimizers={ kind = 'rmsprop', learning_rate = 1e-3, decay = 0.9, start = 0.75, epsilon = 1e-10, "
                  "epsilon_place = 'inside' }"]  # fmt: skip
    state = initial_state(load_system("wgan_gp_mlp_mnist", tensorflow, reduced=True), 0)
    moments = state.of("moments")
    assert moments
    assert all((array == 0.75).all() for array in moments.values())
    for settings, start in (([], 0.0), (["carried.k=0.4"], 0.4)):
        state = initial_state(load_system("began_mnist", settings, reduced=True), 0)
        assert state.of("carried") == {"k": start}
