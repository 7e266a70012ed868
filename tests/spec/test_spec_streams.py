"""Facts of the random streams: addressed, not drawn in turn; and of what is made of them."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system, system_names
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.state import array_shapes, initial_state
from ganspec.spec.training.streams import Position, Streams

GOLDEN_WORDS = [13068798888813920189, 4760137489204650051, 9529883361472836255]
GOLDEN_UNIFORM = [0.4607251172507979, 0.15560416767741359, 0.3137243465636368]
GOLDEN_NORMAL = [-0.36882994842954747, -0.8147609479790026, 0.5690147936980915]
GOLDEN_MASKS = [[210, 15], [186, 61], [191, 255]]
GOLDEN_PERMUTATION = [2, 6, 0, 3, 4, 1, 5, 7]

SMALL = st.integers(0, 3)
ADDRESSES = st.tuples(
    SMALL, st.sampled_from(["z", "eps", "mask/D/l1"]), st.builds(Position, SMALL, SMALL, SMALL, SMALL)
)


@given(st.lists(ADDRESSES, min_size=2, max_size=8, unique=True))
def test_numbers_depend_on_their_address_only(addresses: list[tuple[int, str, Position]]) -> None:
    first = [Streams(seed).words(name, position, 4) for seed, name, position in addresses]
    again = [Streams(seed).words(name, position, 4) for seed, name, position in reversed(addresses)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) == len(addresses), "another address, other numbers"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_shorter_draw_of_words_is_the_beginning_of_a_longer_one(count: int) -> None:
    words = Streams(5).words("z", Position(1, 2, 3, 4), 9)
    assert np.array_equal(words[:count], Streams(5).words("z", Position(1, 2, 3, 4), count))


def test_streams_are_those_of_every_run_before() -> None:
    """Written down once; whoever changes these numbers makes every recorded run and checkpoint another one."""
    position = Position(7, 1, 2, 3)
    assert Streams(0).words("z", Position(), 3).tolist() == GOLDEN_WORDS
    assert Streams(42).uniform("eps", position, (3,)).tolist() == GOLDEN_UNIFORM
    assert Streams(42).normal("z", position, (3,)).tolist() == GOLDEN_NORMAL
    assert np.packbits(Streams(1).mask(0.5, "m", position, (16,))).tolist() == GOLDEN_MASKS[0]
    assert np.packbits(Streams(1).mask(0.25, "m", position, (16,))).tolist() == GOLDEN_MASKS[1]
    assert np.packbits(Streams(1).mask(0.3, "m", position, (16,))).tolist() == GOLDEN_MASKS[2]
    assert Streams(3).permutation("data", Position(2), 8).tolist() == GOLDEN_PERMUTATION


COUNT = 100_000
SEEDS = [0, 1, 2]
FAR = 5.0  # standard errors: a right stream strays so far once in two million


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_is_uniform(seed: int) -> None:
    u = np.sort(Streams(seed).uniform("z", Position(), (COUNT,)))
    assert u[0] >= 0
    assert u[-1] < 1
    assert np.array_equal(u * 2.0**53, np.floor(u * 2.0**53))
    # Kolmogorov and Smirnov: sqrt(n) D > 2.7 has probability 2 exp(-2 * 2.7^2), one in a million.
    assert math.sqrt(COUNT) * np.abs(u - (np.arange(COUNT) + 0.5) / COUNT).max() < 2.7


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_is_normal(seed: int) -> None:
    v = Streams(seed).normal("z", Position(), (COUNT,))
    assert abs(v.mean()) < FAR / math.sqrt(COUNT)
    assert abs(v.var() - 1) < FAR * math.sqrt(2 / COUNT)
    assert abs((v**3).mean()) < FAR * math.sqrt(15 / COUNT)
    assert abs((v**4).mean() - 3) < FAR * math.sqrt(96 / COUNT)
    cdf = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in np.sort(v)[::10]])
    assert math.sqrt(COUNT) * np.abs(cdf - (np.arange(COUNT)[::10] + 0.5) / COUNT).max() < 2.7
    assert abs(np.corrcoef(v[: COUNT // 2], v[COUNT // 2 :])[0, 1]) < FAR / math.sqrt(COUNT / 2)


@pytest.mark.parametrize("rate", [0.5, 0.25, 0.3, 0.0, 0.999])
@pytest.mark.parametrize("seed", SEEDS)
def test_mask_drops_at_its_rate(rate: float, seed: int) -> None:
    kept = Streams(seed).mask(rate, "m", Position(), (COUNT // 10, 10))
    assert kept.dtype == np.bool_
    assert kept.shape == (COUNT // 10, 10)
    error = FAR * math.sqrt(rate * (1 - rate) / COUNT)
    assert abs(kept.mean() - (1 - rate)) <= error
    pairs = kept.reshape(-1)[:-1] & kept.reshape(-1)[1:]  # neighbours are dropped independently
    assert abs(pairs.mean() - (1 - rate) ** 2) <= 3 * error


@given(st.integers(0, 2**63), st.integers(0, 200))
def test_permutation_is_a_permutation(seed: int, count: int) -> None:
    order = Streams(seed).permutation("data", Position(), count)
    assert sorted(order.tolist()) == list(range(count))


def test_labels_are_even() -> None:
    counts = np.bincount(Streams(0).labels(Distribution("uniform", 0, 10), "y", Position(), COUNT), minlength=10)
    assert len(counts) == 10
    assert np.abs(counts - COUNT / 10).max() < FAR * math.sqrt(COUNT * 0.1 * 0.9)


def test_sample_is_of_its_distribution() -> None:
    streams, shape = Streams(0), (COUNT,)
    u = streams.sample(Distribution("uniform", -3, 5), "z", Position(), shape)
    assert -3 <= u.min() < -2.99
    assert 4.99 < u.max() < 5
    v = streams.sample(Distribution("normal", 2, 0.02), "z", Position(), shape)
    assert abs(v.mean() - 2) < FAR * 0.02 / math.sqrt(COUNT)
    assert abs(v.std() / 0.02 - 1) < FAR / math.sqrt(2 * COUNT)
    assert np.array_equal(streams.sample(Distribution("constant", 7, 0), "z", Position(), (2, 3)), np.full((2, 3), 7.0))


def test_initial_values_of_wgan_gp_are_those_of_torch() -> None:
    system = load_system("wgan_gp_mlp_mnist")
    for network, path, fan_in in [("G", "l1", 100), ("G", "l4", 128), ("D", "l1", 784), ("D", "l4", 128)]:
        values = Streams(0).initial_parameters(network, system.networks[network])
        bound = 1 / math.sqrt(fan_in)  # torch.nn.Linear: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), weight and bias
        for name in ("W", "b"):
            assert np.abs(values[f"{path}/{name}"]).max() <= bound
        assert np.abs(values[f"{path}/W"]).max() > 0.95 * bound
        assert values[f"{path}/W"].std() == pytest.approx(bound / math.sqrt(3), rel=0.15)
    values = Streams(0).initial_parameters("G", system.networks["G"])
    assert np.all(values["bn1/gamma"] == 1)
    assert np.all(values["bn1/beta"] == 0)


def test_initial_values_of_began_are_those_of_keras() -> None:
    system = load_system("began_mnist")
    values = Streams(0).initial_parameters("D", system.networks["D"])
    # Glorot and Bengio 2010: U(-b, b), b = sqrt(6 / (fan_in + fan_out)); the fans of a convolution count its window.
    for path, fans in [("encoder/c1", 9 * 1 + 9 * 16), ("encoder/c3", 9 * 16 + 9 * 32), ("encoder/code", 64 * 16 + 32)]:
        bound = math.sqrt(6 / fans)
        assert 0.95 * bound < np.abs(values[f"{path}/W"]).max() <= bound
        assert np.all(values[f"{path}/b"] == 0)


@pytest.mark.parametrize("name", system_names())
def test_initial_state_has_every_array(name: str) -> None:
    system = load_system(name, reduced=True)
    state, other = initial_state(system, 0), initial_state(system, 1)
    assert {key: a.shape for key, a in state.arrays.items()} == array_shapes(system)
    assert {a.dtype for a in state.arrays.values()} == {np.dtype(np.float64)}
    weights = [key for key in state.arrays if key.startswith("parameters/") and key.endswith("/W")]
    assert weights
    assert not any(np.array_equal(state.arrays[key], other.arrays[key]) for key in weights), (
        "another seed, other weights"
    )
    assert len({state.arrays[key].tobytes() for key in weights}) == len(weights)
    for key, array in state.arrays.items():
        if key.startswith("moments/"):
            start = system.optimizers[key.split("/")[1]].moments()[key.split("/")[2]].start
            assert (array == start).all()


def test_threads_draw_beside_one_another():
    with ThreadPoolExecutor(4) as threads:
        places = [("a" * (i % 3), Position(i), 1000, i % 7) for i in range(2000)]
        drawn = list(threads.map(lambda place: Streams(5).words(*place), places))
    for (name, position, count, start), words in zip(places, drawn, strict=True):
        fresh = np.random.Philox(key=Streams(5).key(name), counter=list(position.counter()))
        assert np.array_equal(words, fresh.random_raw(start + count)[start:])
