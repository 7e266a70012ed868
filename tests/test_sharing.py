"""What is computed once is what would have been computed again: the rules, and the numbers of both backends."""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.optimizers import Clip
from ganspec.spec.plan import passes
from ganspec.spec.training.state import initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.programs import options
from support.programs import here
from support.states import shaken_state
from support.tiny_systems import ADAM, GENERATOR, critic, write_system

BATCH_NORM = '{ kind = "batch_norm", epsilon = 1e-5, momentum = 0.1, name = "bn", gamma = 1, beta = 0 }'
DROPOUT = '{ kind = "dropout", rate = 0.5 }'
MINIBATCH = '{ kind = "minibatch_std", epsilon = 1e-8 }'
DROPPING = critic().replace('{ kind = "tanh" }', '{ kind = "tanh" }, { kind = "dropout", rate = 0.5 }')
SPECTRAL = 'spectral_norm = { iterations = 1, epsilon = 1e-12, advance = "training" }'
FIVE = '[[steps]]\nupdate = ["D"]\nrepeat = 5\n'
FIVE_INFERENCE = FIVE + 'inference = ["G"]\n[[steps]]\nupdate = ["G"]'
FIVE_TRAINING = FIVE + '[[steps]]\nupdate = ["G"]'
THRICE = "\n".join(f'[[steps]]\nupdate = ["{name}"]' for name in "DGD")
TWICE = '[[steps]]\nupdate = ["D"]\n[[steps]]\nupdate = ["D"]\n[[steps]]\nupdate = ["G"]'
BOTH_TWICE = '[[steps]]\nupdate = ["D", "G"]\nrepeat = 2'


def generator(middle: str = "") -> str:
    """Returns: a generator with another layer before its last."""
    return GENERATOR.replace('{ kind = "reshape"', f'{middle and middle + ","} {{ kind = "reshape"')


def system_of(folder, g=GENERATOR, d=None, loss="wgan", steps=FIVE_TRAINING, redraw="iteration"):
    # A large epsilon, for Adam makes a step even of a gradient that is 0 but for rounding.
    networks, adam = {"G": g, "D": d or critic()}, ADAM.replace("1e-8", "1.0")
    return write_system(folder, loss, networks, steps=steps, redraw=redraw, optimizers=adam)


def lasting(system):
    """Returns: for each step, the networks whose evaluations are taken over, with the step that makes them."""
    return [
        {planned.nodes[i].value: name.step for i, name in planned.lasting.items() if planned.nodes[i].op == "network"}
        for planned in system.plan.steps
    ]


def in_one_pass(system):
    """Returns: for each step, what is evaluated in one pass, as "D(x)" or "D(G(z))"."""
    found = []
    for planned in system.plan.steps:
        of = [node.value if node.op in ("draw", "network") else "other" for node in planned.nodes]
        found.append([{of[planned.nodes[i].inputs[0]] for i in unit} for unit in planned.order if len(unit) > 1])
    return found


@pytest.mark.parametrize(
    ("g", "steps", "redraw", "expected"),
    [
        (generator(), FIVE_TRAINING, "iteration", [{"G": 1}, {}]),
        (generator(), FIVE_TRAINING, "step", [{"G": 1}, {}]),
        (generator(), FIVE_TRAINING, "repeat", [{}, {}]),
        (generator(BATCH_NORM), FIVE_TRAINING, "iteration", [{}, {}]),
        (generator(BATCH_NORM), FIVE_INFERENCE, "iteration", [{"G": 1}, {}]),
        (generator(DROPOUT), FIVE_TRAINING, "iteration", [{}, {}]),
        (generator(DROPOUT), FIVE_INFERENCE, "iteration", [{"G": 1}, {}]),
        (generator(), TWICE, "iteration", [{"G": 1}, {"G": 1}, {}]),
        (generator(), TWICE, "step", [{}, {}, {}]),
        (generator(), THRICE, "iteration", [{}, {}, {}]),
        (generator(), BOTH_TWICE, "iteration", [{}]),
    ],
    ids=lambda value: None,
)
def test_an_evaluation_is_taken_over_only_where_nothing_moved(g, steps, redraw, expected, tmp_path):
    assert lasting(system_of(tmp_path, g, steps=steps, redraw=redraw)) == expected


def test_a_gradient_of_the_data_alone_is_taken_over_too(tmp_path):
    networks = {"G": generator(), "D": critic()}
    loss = tmp_path / "loss.toml"
    loss.write_text(
        'title = "own"\nsource = "none"\n[losses]\nD = "mean(D(G(z))) - mean(D(x)) * mean(exp(x) ^ 2)"\nG = "-mean(D(G(z)))"\n'
    )
    system = write_system(tmp_path, "loss.toml", networks, steps=FIVE_TRAINING)
    first = system.plan.steps[0]
    assert [first.nodes[i].op for i in first.lasting] == ["network", "exp", "power", "mean"]


@pytest.mark.parametrize(
    ("d", "loss", "steps", "expected"),
    [
        (critic(), "wgan", None, [[]]),  # G's gradient would run over the real images, too
        (critic(), "wgan", FIVE_TRAINING, [[{"x", "G"}], []]),
        (critic(), "wgan_gp", FIVE_TRAINING, [[{"x", "G"}], []]),  # not the interpolates
        (DROPPING, "wgan", FIVE_TRAINING, [[{"x", "G"}], []]),
        (critic(code=BATCH_NORM + ","), "wgan", FIVE_TRAINING, [[], []]),
        (critic(code=MINIBATCH + ","), "wgan", FIVE_TRAINING, [[], []]),
        (critic().replace("units = 3,", f"units = 3, {SPECTRAL},"), "wgan", FIVE_TRAINING, [[], []]),
    ],
    ids=lambda value: None,
)
def test_one_pass_has_what_no_layer_couples_and_the_same_losses_want(d, loss, steps, expected, tmp_path):
    if MINIBATCH in d:
        d = d.replace(
            '{ kind = "flatten", name = "pixels", from = "x" }, ' + MINIBATCH, MINIBATCH + ', { kind = "flatten" }'
        )
    system = system_of(tmp_path, d=d, loss=loss, steps=steps)
    # G is taken over from the first repeat; its evaluation is an input of the pass all the same.
    assert in_one_pass(system) == expected


@pytest.mark.parametrize("name", system_names())
def test_every_plan_is_in_order_with_and_without_sharing(name, monkeypatch):
    monkeypatch.setattr(passes, "PAYING_NUMBERS", 10**12)  # all that may share a pass does
    system = load_system(name)
    for shared, apart in zip(system.plan.steps, system.without_sharing().plan.steps, strict=True):
        for planned in (shared, apart):
            done = set()
            for unit in planned.order:
                assert done.issuperset(j for i in unit for j in planned.nodes[i].inputs)
                done.update(unit)
            assert sorted(done) == list(range(len(planned.nodes)))
        assert not apart.lasting
        assert {(apart.nodes[i].value, k) for i, k in apart.occurrences.items()} == {
            (shared.nodes[i].value, k) for i, k in shared.occurrences.items()
        }
        assert apart.reports.keys() == shared.reports.keys()


def counted(patch, backend, kind="linear"):
    """Returns: a counter of the calls of a kind of layer, by the layer's name."""
    layers, calls = importlib.import_module(f"ganspec.impl_{backend}.layers").LAYERS, Counter()
    right = layers[kind]

    def count(layer, *rest):
        calls[layer.name] += 1
        return right(layer, *rest)

    patch.setitem(layers, kind, count)
    return calls


def trained(backend, system, iterations=2):
    """Returns: the state after some iterations, from parameters off their initial values."""
    trainer, feed = start(backend, system), random_feed(system, 0)
    for _ in range(iterations):
        trainer.iterate(feed)
    return trainer.state()


def start(backend, system):
    state = shaken_state(initial_state(system, 3), 3)
    return backends.make_trainer(backend, system, 3, state, dtype="float64")


def assert_near(state, other, bound):
    for name, array in state.arrays.items():
        assert np.abs(array - other.arrays[name]).max(initial=0.0) <= bound * max(
            1.0, np.abs(array).max(initial=0.0)
        ), name


@pytest.mark.parametrize(
    ("g", "d", "loss", "steps", "g_calls", "d_calls"),
    [
        (generator(), DROPPING, "wgan_gp", FIVE_TRAINING, (2, 16), (11, 31)),
        (generator(BATCH_NORM), critic(), "wgan", FIVE_TRAINING, (6, 6), (6, 11)),
        (generator(), critic().replace("units = 3,", f"units = 3, {SPECTRAL},"), "wgan", BOTH_TWICE, (2, 4), (4, 4)),
        (generator(BATCH_NORM), critic(code=BATCH_NORM + ","), "non_saturating", None, (1, 2), (2, 3)),
    ],
    ids=["lasting and one pass", "one pass", "spectral norm", "within a step"],
)
def test_the_numbers_are_those_of_separate_evaluations(
    backend, g, d, loss, steps, g_calls, d_calls, tmp_path, monkeypatch
):
    system = system_of(tmp_path, g, d, loss, steps)
    calls = counted(monkeypatch, backend)
    found = []
    for each in (system, system.without_sharing()):
        calls.clear()
        found.append((trained(backend, each, 1), calls["l"], calls["l1"]))
    (shared, *few), (apart, *many) = found
    assert_near(shared, apart, 1e-12)
    assert list(zip(few, many, strict=True)) == [g_calls, d_calls]
    assert_near(trained(backend, system), trained(backend, system.without_sharing()), 1e-12)


def test_looking_at_layers_changes_no_number_of_one_pass(backend, tmp_path):
    system, to_numpy = system_of(tmp_path, d=DROPPING), backends.load(backend).to_numpy
    results = [start(backend, system).compute(0, 0, random_feed(system, 0), keep_layers=k) for k in (False, True)]
    for one, other in zip(*(result.values for result in results), strict=True):
        assert np.array_equal(to_numpy(one), to_numpy(other))
    for one, other in zip(*(result.gradients["D"].values() for result in results), strict=True):
        assert np.array_equal(to_numpy(one), to_numpy(other))
    # Each evaluation has layers and gradients of its own, of its own samples.
    plan, layers = results[1].plan, results[1].layers
    for i in (i for i, node in enumerate(plan.nodes) if node.value == "D"):
        assert np.array_equal(to_numpy(layers[i]["l2"]), to_numpy(results[0].values[i]))
        assert to_numpy(results[1].layer_gradients["D"][i]["l1"]).shape == (3, 3)


def test_vectors_need_not_be_joined_for_products(backend, monkeypatch):
    system, to_numpy = load_system("cwgan_gp_mlp_mnist", ["run.batch=9"], reduced=True), backends.load(backend).to_numpy
    for network in system.networks.values():
        units = next(layer.shape[0] for layer in network.layers if layer.name == "l1")
        assert network.unjoined(units) == {"concat_1"}
        assert network.unjoined(units - 1) == frozenset()

    def gradients(*, keep_layers=False):
        result = start(backend, system).compute(0, 0, random_feed(system, 0), keep_layers=keep_layers)
        assert all("concat_1" in layers for layers in result.layers.values())
        return np.concatenate([to_numpy(g).ravel() for g in result.gradients["D"].values()])

    apart, looked_at = gradients(), gradients(keep_layers=True)
    monkeypatch.setattr(Architecture, "unjoined", lambda self, rows: frozenset())
    assert np.array_equal(apart, looked_at)
    np.testing.assert_allclose(apart, gradients(), rtol=1e-12, atol=1e-15)


def test_what_is_kept_is_forgotten_when_something_else_moves_it(backend, tmp_path):
    system, to_numpy = system_of(tmp_path), backends.load(backend).to_numpy
    trainer, feed = start(backend, system), random_feed(system, 0)
    g = next(i for i, node in enumerate(system.plan.steps[0].nodes) if node.value == "G")
    first = trainer.compute(0, 0, feed)
    trainer.update(first)
    assert np.array_equal(to_numpy(first.values[g]), to_numpy(trainer.compute(0, 1, feed).values[g]))
    # Another state's G, between two repeats and in a repeat that does not come later.
    state = trainer.state()
    moved = replace(state, arrays={**state.arrays, "parameters/G/l/b": state.arrays["parameters/G/l/b"] + 1.0})
    trainer.load(moved)
    assert np.allclose(to_numpy(trainer.compute(0, 2, feed).values[g]), to_numpy(first.values[g]) + 1.0)
    trainer.networks["G"].clip(Clip(0.0, "after"), "after")
    assert not to_numpy(trainer.compute(0, 2, feed).values[g]).any()


def test_a_run_resumes_bit_for_bit_whatever_was_kept(backend, tmp_path):
    system = system_of(tmp_path)
    trainer, feed = start(backend, system), random_feed(system, 0)
    trainer.iterate(feed)
    batch = feed()
    resumed = backends.make_trainer(backend, system, 3, trainer.state(), dtype="float64")
    trainer.iterate(lambda: batch), resumed.iterate(lambda: batch)
    for name, array in trainer.state().arrays.items():
        assert np.array_equal(array, resumed.state().arrays[name]), name


def test_a_record_says_where_nothing_was_shared():
    """Nothing is recorded of usual runs; a run that was once without sharing says at each resume which it is."""
    without, usual = Namespace(no_sharing=True), Namespace(no_sharing=False)
    assert [options.sharing(each, {}) for each in (without, usual)] == [{"sharing": False}, {}]
    assert options.sharing(usual, {"sharing": False}) == {"sharing": True}


def test_show_says_what_is_shared(tmp_path, capsys):
    system_of(tmp_path)
    name = str(tmp_path / "system.toml")
    assert here("show", name) == 0
    shown = capsys.readouterr().out
    assert "training, constant, no graph, once an iteration, as %1 of step 1" in shown
    assert "training, in one pass with %2" in shown
    assert here("show", "dcgan_cifar10") == 0
    assert "once for loss_D and loss_G" in capsys.readouterr().out
    assert here("show", "dcgan_cifar10", "--no-sharing") == 0
    shown = capsys.readouterr().out
    assert "training, again" in shown
    assert "once for" not in shown
