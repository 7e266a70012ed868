"""The operations that are counted from a plan are those that PyTorch's own counter finds in a real iteration, exactly."""

from __future__ import annotations

from math import prod

import pytest

from ganspec.spec import load_system
from ganspec.tools.agreement import random_feed
from ganspec.tools.benchmarks.flops import Count, product_sizes
from ganspec.tools.benchmarks.roofline import planned_steps
from ganspec.tools.benchmarks.tape import Bend, Product, Tape, operations

# A gradient penalty with a generator that is shared, a system whose critic reuses what an earlier step kept, an autoencoder, a
# transposed convolution with labels, spectral norm, residual blocks, growth, a loss without a bend, labels' codes
# beside pixels.
SYSTEMS = [
    "wgan_gp_mlp_mnist", "ac_wgan_gp_cifar10", "gan_mlp_mnist", "began_mnist", "acgan_mnist", "sndcgan_cifar10",
    "wgan_gp_cifar10/resnet", "progressive_cifar10", "cramer_cifar10/paper", "dragan_cifar10", "cwgan_gp_mlp_mnist",
]  # fmt: skip


@pytest.mark.parametrize("name", SYSTEMS)
def test_count_is_that_of_torch(name):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from ganspec import impl_torch

    growth = ["growth.start={stage = 3, fade = 0.5}"] if name.startswith("progressive") else []
    rows = ["run.batch=9"] if name.startswith("cwgan") else []  # so many that vectors are not joined
    system = load_system(name, growth + rows, reduced=True)
    trainer, feed, steps = impl_torch.Trainer(system, 0), random_feed(system, 0), []
    with FlopCounterMode(display=False) as counter, torch.random.fork_rng():
        trainer.iterate(feed, lambda result: steps.append(result.step))
    counted = Count(system).repeats(steps)
    count, found = sum(map(operations, counted)), counter.get_total_flops()
    assert count == found


def test_step_of_the_generator_is_forward_and_backward():
    system = load_system("wgan_gp_mlp_mnist", reduced=True)
    _, found = Count(system).repeats([0, 1])
    layers = {n: [x for x in a.layers if x.kind == "linear"] for n, a in system.networks.items()}
    once = {n: [2 * system.run.batch * prod(x.parameters[0].shape) for x in each] for n, each in layers.items()}
    kinds = {
        kind: sum(p.operations for p in found if p.kind == kind) for kind in ("forward", "inputs", "weights", "second")
    }
    assert kinds == {
        "forward": sum(once["G"]) + sum(once["D"]),
        "inputs": sum(once["G"][1:]) + sum(once["D"]),
        "weights": sum(once["G"]),
        "second": 0,
    }


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("wgan_gp_mlp_mnist D l1", (3, 784, 128, 1)),
        ("dcgan_cifar10 D c0_1", (3 * 16 * 16, 64 * 16, 128, 1)),
        ("dcgan_cifar10 G dc1", (3 * 4 * 4, 512, 256 * 16, 1)),
    ],
)
def test_layer_is_one_product(text, sizes):
    system, network, name = text.split()
    architecture = load_system(system).networks[network]
    layer = next(layer for layer in architecture.layers if layer.name == name)
    assert product_sizes(layer, [architecture.shape_of(i) for i in layer.inputs], 3) == sizes


def test_what_an_iteration_computes_once_is_counted_once():
    for name in ("wgan_gp_mlp_mnist", "cramer_cifar10", "ac_wgan_gp_cifar10", "hinge_cifar10"):
        system = load_system(name, reduced=True)
        steps = planned_steps(system)
        shared, apart = (
            sum(map(operations, Count(each).repeats(steps))) for each in (system, system.without_sharing())
        )
        assert shared <= apart, name
    assert shared


def test_groups_divide_the_work():
    assert Product(("D", "c"), "forward", 5, 7, 11, 3).operations == 3 * 2 * 5 * 7 * 11


def test_tape_does_only_what_leads_to_a_wanted_value():
    tape = Tape()
    x, w, v = tape.leaf(4), tape.leaf(wanted=True), tape.leaf()
    h = tape.apply([tape.multiply(x, w, Product(("D", "a"), "forward", 4, 3, 2))], Bend.CURVED)
    y = tape.multiply(h, v, Product(("D", "b"), "forward", 4, 2, 1))
    found = tape.gradients(y, [w, v, x], create_graph=False)
    assert [each is not None for each in found] == [True, False, False]
    assert [(p.place[1], p.kind, p.m, p.k, p.n) for p in tape.products[2:]] == [
        ("b", "inputs", 4, 1, 2),
        ("a", "weights", 3, 4, 2),
    ]


@pytest.mark.parametrize(("bend", "second"), [(Bend.NONE, 0), (Bend.CURVED, 2)])
def test_gradient_of_a_gradient_goes_back_through_what_bends(bend, second):
    tape = Tape()
    x, w = tape.leaf(4, wanted=True), tape.leaf(wanted=True)
    y = tape.apply([tape.multiply(x, w, Product(("D", "a"), "forward", 4, 3, 2))], bend)
    (g,) = tape.gradients(y, [x], create_graph=True)
    before = len(tape.products)
    tape.gradients(g, [w, x], create_graph=False)
    kinds = [p.kind for p in tape.products[before:]]
    # d x = f'(x w) w^T: its own two gradients, of which that by d y leads to w only where f' depends on x w.
    assert kinds.count("second") == (2 if bend is Bend.CURVED else 1)
    assert len(kinds) - kinds.count("second") == second
