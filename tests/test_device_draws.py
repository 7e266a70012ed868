"""Draws of the device are those of the host, bit for bit: symbols, labels, masks, whole runs; and a graph can draw them anew."""

import importlib

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.ranks import Share
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.tiny_systems import GENERATOR, critic, write_system

RATES = (0.5, 0.25, 0.3)
DRAWS = """
u = { sample = "uniform(-3, 5)", shape = [7] }
z = { sample = "normal(2, 0.5)", shape = "G.z" }
n = { sample = "normal(-1, 3)", shape = [5, 3] }
c = { sample = "0.25", shape = [7] }
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
def system(tmp_path):
    """Returns: a system that draws from every distribution, with a dropout layer of each of the rates."""
    (tmp_path / "loss.toml").write_text(LOSS)
    layers = "".join(f'{{ kind = "dropout", name = "d{i}", rate = {rate} }}, ' for i, rate in enumerate(RATES))
    code = (
        '{ kind = "embedding", from = "k", name = "e", units = 2, weight = 0 }, { kind = "concat", from = ["z", "e"] },'
    )
    generator = GENERATOR.replace("z = [2] |", f"z = [2]\nk = {{ labels = 4 }} | {code}")
    return write_system(tmp_path, "loss.toml", {"G": generator, "D": critic(code=layers)}, draws=DRAWS)


def draws_of(backend, system, seed, source, device, dtype, share=None):
    backends.load(backend)
    arrays, house = (importlib.import_module(f"ganspec.impl_{backend}.{name}") for name in ("arrays", "draws"))
    return house.Draws(system, seed, source, arrays.ArrayContext(device, dtype), share)


def everything(draws, system, at, batch=6):
    """Returns: a draw of each symbol, and a mask of each rate, by name."""
    found = {name: draws.symbol(name, symbol, at, batch) for name, symbol in system.symbols.items() if name in "uznck"}
    dropouts = [layer for layer in system.networks["D"].layers if layer.kind == "dropout"]
    own = batch // (draws.share.size if draws.share else 1)
    return found | {layer.name: draws.mask("D", layer, at, (own, 2, 11)) for layer in dropouts}


def same_bits(backend, found, right):
    assert found.keys() == right.keys()
    to_numpy = backends.load(backend).to_numpy
    for name in found:
        one, other = to_numpy(found[name]), to_numpy(right[name])
        assert one.dtype == other.dtype, name
        assert np.array_equal(one, other), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [None, Share(1, 3)], ids=["whole", "share"])
def test_every_draw_is_that_of_the_host_bit_for_bit(share, dtype, backend, device, system):
    for seed, at in ((0, Position()), (2**63 - 1, Position(10**6, 3, 4, 5))):
        ours = draws_of(backend, system, seed, "device", device, dtype, share)
        right = draws_of(backend, system, seed, "host", device, dtype, share)
        assert len(everything(ours, system, at)) == 8
        same_bits(backend, everything(ours, system, at), everything(right, system, at))


def test_draws_follow_a_number_on_the_device(backend, device, system):
    ours = draws_of(backend, system, 3, "device", device, "float32")
    right = draws_of(backend, system, 3, "host", device, "float32")
    number, captured = ours.context.array(np.array([8])), Position(0, 1, 2, 3)
    ours.follow(number)
    same_bits(backend, everything(ours, system, captured), everything(right, system, Position(8, 1, 2, 3)))
    number.data += 1  # in its place
    same_bits(backend, everything(ours, system, captured), everything(right, system, Position(9, 1, 2, 3)))
    ours.follow(None)
    same_bits(backend, everything(ours, system, captured), everything(right, system, captured))
    with pytest.raises(ValueError, match="use draws='device'"):
        right.follow(number)
    with pytest.raises(ValueError, match="use draws='device'"):
        draws_of(backend, system, 3, StreamDraws(system, 3), device, "float32").follow(number)


def test_a_run_is_that_of_the_host_bit_for_bit(backend, device):
    system = load_system("cwgan_gp_mlp_mnist", reduced=True)

    def trained(draws):
        trainer = backends.make_trainer(backend, system, 2, device=device, draws=draws)
        trainer.iterate(random_feed(system, 0))
        return trainer.state().arrays

    ours, right = trained("device"), trained("host")
    assert all(np.array_equal(ours[name], right[name]) for name in right)
