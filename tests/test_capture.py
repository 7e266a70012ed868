"""An iteration as a function of arrays that stay where they are: done again from a record, it gives what it gives afresh."""

import importlib

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.training.inputs import repeats_of, why_host_decides
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.tiny_systems import GENERATOR, critic, write_system

SEED = 3
# Families: penalties, carried numbers, spectral norm, labels, several steps that share a network, dropout, weight clipping,
# averages of weights, batch norm, a learned embedding.
SYSTEMS = [
    "wgan_gp_mlp_mnist",
    "began_mnist",
]
SCHEDULE = "optimizers.learning_rate_schedule={ kind = 'linear', over = 9, to = 0.1 }"


def graphs(backend):
    """Returns: the class of graphs with which iterations are done again on the CPU."""
    replaying = importlib.import_module("support.replaying")
    return replaying.Operators if backend == "torch" else replaying.Again


def captured(backend, system, graph, **options):
    """Returns: a trainer whose iterations are captured, on the CPU."""
    trainer = backends.make_trainer(backend, system, SEED, **options)
    capture = importlib.import_module(f"ganspec.impl_{backend}.capture").Capture
    trainer.capture = capture(trainer, graph)
    return trainer


def numbers(backend, recorded):
    return backends.load(backend).arrays.to_numbers([recorded])[0]


def assert_same_state(a, b):
    assert (a.iteration, a.updates, a.learning_rates) == (b.iteration, b.updates, b.learning_rates)
    different = [name for name in a.arrays if a.arrays[name].tobytes() != b.arrays[name].tobytes()]
    assert not different


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_iteration_that_is_done_again_gives_the_same_bits(name, backend):
    system = load_system(name, [SCHEDULE], reduced=True)
    trainer, plain = captured(backend, system, graphs(backend)), backends.make_trainer(backend, system, SEED)
    feed, same = random_feed(system, SEED), random_feed(system, SEED)
    for _ in range(6):
        assert numbers(backend, trainer.iterate(feed)) == numbers(backend, plain.iterate(same))
    assert trainer.capture.reason == ""
    assert_same_state(trainer.state(), plain.state())
