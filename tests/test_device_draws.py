"""Draws of a device's own generator: of the right distribution, of their address alone, and resumed exactly."""

import math

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.tiny_systems import GENERATOR, critic, write_system

COUNT = 100_000
FAR = 5.0  # standard errors: a right generator strays so far once in two million
DRAWS = """
u = { sample = "uniform(-3, 5)", shape = [1000] }
z = { sample = "normal(2, 0.5)", shape = "G.z" }
n = { sample = "normal(-1, 3)", shape = [1000] }
c = { sample = "0.25", shape = [1000] }
k = { sample = "uniform(0, 4)", shape = "G.k" }
"""
LOSS = """
title = "draws of every kind"
source = "none"
[losses]
D = "mean(D(G(z, k))) - mean(D(x)) + mean(u) + mean(n) + mean(c)"
G = "-mean(D(G(z, k)))"
"""


@pytest.fixture
def make(backend, tmp_path):
    """Returns: a function of a seed and a dtype that gives functions for symbols and for masks, as NumPy arrays."""
    (tmp_path / "loss.toml").write_text(LOSS)
    layers = "".join(f'{{ kind = "dropout", name = "d{rate}", rate = 0.{rate} }}, ' for rate in (5, 25, 3))
    code = (
        '{ kind = "embedding", from = "k", name = "e", units = 2, weight = 0 }, { kind = "concat", from = ["z", "e"] },'
    )
    generator = GENERATOR.replace("z = [2] |", f"z = [2]\nk = {{ labels = 4 }} | {code}")
    system = write_system(tmp_path, "loss.toml", {"G": generator, "D": critic(code=layers)}, draws=DRAWS)
    house = backends.load(backend)
    dropouts = {layer.settings["rate"]: layer for layer in system.networks["D"].layers if layer.kind == "dropout"}

    def made(seed=0, dtype="float64"):
        draws = house.Trainer(system, seed, dtype=dtype, draws="device").draws
        symbols = system.symbols

        def symbol(name, at=Position(), batch=100):  # noqa: B008
            return house.to_numpy(draws.symbol(name, symbols[name], at, batch))

        def mask(rate, at=Position(), shape=(100, 1000), network="D"):  # noqa: B008
            return house.to_numpy(draws.mask(network, dropouts[rate], at, shape))

        return symbol, mask

    return made


def distance(values, cdf):
    """Returns: Kolmogorov and Smirnov's: sqrt(n) times the largest difference of the distribution functions."""
    ranks = (np.arange(values.size) + 0.5) / values.size
    return math.sqrt(values.size) * np.abs(cdf(np.sort(values.ravel().astype(np.float64))) - ranks).max()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_symbols_are_of_their_distributions(dtype, make):
    symbol, _ = make(3, dtype)
    u, n, c = (symbol(name) for name in "unc")
    assert {a.shape for a in (u, n, c)} == {(100, 1000)}
    assert {a.dtype for a in (u, n, c)} == {np.dtype(dtype)}
    assert -3 <= u.min() < -2.99
    assert 4.99 < u.max() <= 5
    # sqrt(n) D > 2.7 has probability 2 exp(-2 * 2.7^2), one in a million.
    assert distance(u, lambda v: (v + 3) / 8) < 2.7
    normal = np.vectorize(lambda v: 0.5 * (1 + math.erf((v + 1) / 3 / math.sqrt(2))))
    assert distance(n, normal) < 2.7
    assert abs(n.std() / 3 - 1) < FAR / math.sqrt(2 * COUNT)
    assert (c == 0.25).all()
    for a in (u, n):
        flat = a.ravel().astype(np.float64)
        assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) < FAR / math.sqrt(COUNT)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.5, 0.25, 0.3])
def test_masks_drop_at_their_rate_and_scale_the_rest(rate, dtype, make):
    _, mask = make(3, dtype)
    found = mask(rate)
    assert found.dtype == np.dtype(dtype)
    assert found.shape == (100, 1000)
    kept = found > 0
    assert set(np.unique(found)) == {found.dtype.type(0), found.dtype.type(1 / (1 - rate))}
    error = math.sqrt(rate * (1 - rate) / COUNT)
    assert abs(kept.mean() - (1 - rate)) < FAR * error
    pairs = kept.ravel()[:-1] & kept.ravel()[1:]
    assert abs(pairs.mean() - (1 - rate) ** 2) < 3 * FAR * error
    assert abs(kept.mean(axis=1) - (1 - rate)).max() < FAR * math.sqrt(rate * (1 - rate) / 1000)


def test_each_address_has_numbers_of_its_own_and_has_them_again(make):
    symbol, mask = make(0)
    other, other_mask = make(1)
    places = [Position(), Position(1), Position(0, 1), Position(0, 0, 1), Position(1, 0, 0), Position(0, 0, 0, 1)]
    places = list(dict.fromkeys(places))
    for draw in (lambda f, at: f[0]("u", at), lambda f, at: f[0]("n", at), lambda f, at: f[1](0.5, at)):
        found = [draw((symbol, mask), at).ravel() for at in places] + [draw((other, other_mask), places[0]).ravel()]
        again = [draw((symbol, mask), at).ravel() for at in reversed(places)][::-1]
        assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=False))
        between = np.corrcoef(found) - np.eye(len(found))
        assert np.abs(between).max() < FAR / math.sqrt(COUNT)
    # Names count, too: those of symbols, of networks and of layers.
    standard = [(symbol("u") - 1) / 8, (symbol("n") + 1) / 3, mask(0.5), mask(0.25), mask(0.5, network="G")]
    between = np.corrcoef([a.ravel() for a in standard]) - np.eye(5)
    assert np.abs(between).max() < FAR / math.sqrt(COUNT)


def test_many_addresses_have_many_seeds(make):
    symbol, _ = make(0)
    firsts = [symbol("u", Position(i // 50, 0, i % 50), 1)[0, 0] for i in range(2000)]
    assert len(set(firsts)) == 2000
    assert distance(np.array(firsts), lambda v: (v + 3) / 8) < 2.7


def test_labels_are_those_of_the_specs_streams(make):
    symbol, _ = make(5)
    at = Position(4, 1, 2)
    assert np.array_equal(symbol("k", at, 50), np.floor(4 * Streams(5).uniform("k", at, (50,))))


def test_a_trainer_uses_them_and_is_resumed_exactly(backend):
    system = load_system("cwgan_gp_mlp_mnist", reduced=True)
    house = backends.load(backend)

    def trained(iterations, draws="device", seed=2, state=None, feed=None):
        trainer = backends.make_trainer(backend, system, seed, state, draws=draws)
        feed, values = feed or random_feed(system, 0), []
        for _ in range(iterations):
            trainer.iterate(feed, lambda r: values.append((Position(trainer.iteration, r.step, r.repeat), r)))
        return trainer, values

    whole, values = trained(3)
    for at, result in values:
        draws = {n.value: v for n, v in zip(result.plan.nodes, result.values, strict=True) if n.op == "draw"}
        z = whole.draws.symbol("z", system.symbols["z"], at, system.run.batch)
        assert np.array_equal(house.to_numpy(draws["z"]), house.to_numpy(z))
    feed = random_feed(system, 0)
    half, _ = trained(1, feed=feed)
    resumed, _ = trained(2, state=half.state(), feed=feed)
    host, _ = trained(3, "host")
    other, _ = trained(3, seed=3)
    for name, array in whole.state().arrays.items():
        assert np.array_equal(resumed.state().arrays[name], array), name
    weights = "parameters/D/l1/W"
    assert not np.array_equal(host.state().arrays[weights], whole.state().arrays[weights])
    assert not np.array_equal(other.state().arrays[weights], whole.state().arrays[weights])
