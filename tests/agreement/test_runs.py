"""Each witness's own run: what goes wrong in one is seen, and goes on being wrong; and every evaluation's gradients count."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.tools import backends
from ganspec.tools.agreement import crosscheck_system
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Place
from ganspec.tools.agreement.witnesses import Trained
from support.tiny_systems import GENERATOR, critic, write_system

pytestmark = pytest.mark.usefixtures("both_backends")
ITERATIONS = 3
SMALL = 1e-5  # relative error of one weight, far above what rounding explains in three iterations


@pytest.mark.parametrize("wrong", ["torch", "chainer"])
@pytest.mark.parametrize("when", [0, ITERATIONS - 2])
def test_an_error_in_one_own_run_stays_there_to_the_end(wrong, when, monkeypatch):
    """Nobody helps a witness back to the way of another: neither after an iteration, nor at the end."""
    right, touched = Trained.iterate, []

    def iterate(self, iteration, *given):
        recorded = right(self, iteration, *given)
        if self.name == wrong and iteration == when:
            state = self.state()
            first = "parameters/G/" + next(iter(self.system.networks["G"].parameter_paths()))
            self.load(replace(state, arrays={**state.arrays, first: state.arrays[first] * (1.0 + SMALL)}))
            touched.append(first)
        return recorded

    monkeypatch.setattr(Trained, "iterate", iterate)
    other = next(name for name in backends.NAMES if name != wrong)  # the first is the measure of what rounding costs
    system = load_system("gan_mlp_mnist", reduced=True)
    found = crosscheck_system(system, iterations=ITERATIONS, witnesses=(other, wrong))
    assert len(touched) == 1
    assert {row.kind for row in found.rows if row.wrong} >= {"state, all iterations", "sample, all iterations"}
    assert all("all iterations" in row.kind for row in found.rows if row.wrong)
    apart = [point.iteration for point in found.curves["loss_D", (other, wrong)] if point.error > point.allowance]
    assert apart == list(range(when + 1, ITERATIONS))


@pytest.mark.parametrize("wrong", ["torch", "chainer"])
@pytest.mark.parametrize("kept", [0, -1])
def test_layer_gradients_of_one_evaluation_only_are_rejected(wrong, kept, monkeypatch):
    gradients = importlib.import_module(f"ganspec.impl_{wrong}.gradients")
    right = gradients.by_layer

    def one_only(given, found):
        layers = right(given, found)
        return {i: layers[i] for i in sorted(layers)[kept:][:1]}

    system = load_system("gan_mlp_mnist", reduced=True)
    monkeypatch.setattr(gradients, "by_layer", one_only)
    found = crosscheck_system(system, iterations=1, witnesses=("torch", "chainer"))
    assert {row.kind for row in found.rows if row.wrong} == {"layer gradient"}
    node = found.first.difference.node
    evaluated = [i for i, n in enumerate(system.plan.steps[0].nodes) if n.op == "network" and n.value == "D"]
    assert node == evaluated[-2 if kept else -1]  # backwards, the first that lacks them


def test_the_names_that_are_known_are_those_of_what_is_computed():
    for name in ("cwgan_gp_mlp_mnist", "dfm_cifar10", "sndcgan_cifar10"):
        system, heard = load_system(name, reduced=True), set()
        witness = Trained("torch", system, 0, dtype="float64", device="cpu", draws="host")
        for step, repeat in witness.repeats():
            place = Place(0, step, repeat)
            heard = {q.name for q in witness.compute(place, batches(system))}
            roles = ("statistics", "moments", "parameters", "carried")
            heard |= {q.name for q in Names(system, place).state(witness.state(), roles)}
            witness.update({})
            assert heard <= Names(system, place).known()
            assert "loss" not in Names(system, place).known()


def batches(system):
    """Returns: a function that gives batches of zeros."""
    batch = {"x": np.zeros((system.run.batch, *system.data.shape))}
    return lambda: batch | ({"y": np.zeros(system.run.batch, np.int64)} if "y" in system.symbols else {})


@pytest.mark.parametrize("backend", backends.NAMES)
def test_what_is_kept_of_a_repeat_does_not_change_as_training_goes_on(backend):
    """It is not copied, so nobody may write into it."""
    from ganspec.tools.agreement import random_feed
    from ganspec.tools.conformance.expected import Expected

    for name in ("wgan_gp_mlp_mnist", "began_mnist", "sndcgan_cifar10", "progressive_cifar10"):
        system = load_system(name, ["schedule.critic_steps=2"] if "wgan" in name else [], reduced=True)
        expected = Expected(system, backend, 0, "float64", "cpu", lambda system=system: random_feed(system, 0))
        run, copies, right = expected._own, [], expected._own.repeat

        def repeat(place, right=right, copies=copies):
            record = right(place)
            copies.append((record, {key: q.value.copy() for key, q in record.items()}))
            return record

        run.repeat = repeat
        for iteration in range(2):
            expected.iterate(iteration)
        assert len(copies) >= 4
        for record, copy in copies:
            for key, quantity in record.items():
                assert np.array_equal(quantity.value, copy[key]), key


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rounding_that_is_measured_once_more_is_what_it_would_have_been_from_the_beginning(backend, dtype, monkeypatch):
    from ganspec.tools.agreement import random_feed
    from ganspec.tools.conformance import expected

    system = load_system("began_mnist", reduced=True)

    def measured(runs, times):
        monkeypatch.setitem(expected.MOVED, dtype, runs)
        found = expected.Expected(system, backend, 0, dtype, "cpu", lambda: random_feed(system, 0))
        found.iterate(0)
        repeats = found.iterate(1)
        assert [found.measure_again(repeats) for _ in range(times)] == [True] * times
        return found, [*(r.moved for r in repeats), *(r.moved for r in found.iterate(2))]

    assert measured(1, 2)[1] == measured(3, 0)[1]
    most, _ = measured(expected.MOST_MOVED, 0)
    assert not most.measure_again([])


def test_rounding_is_measured_in_the_repeats_that_the_run_has_itself_where_it_would_move_a_gate(backend, tmp_path):
    from ganspec.tools.agreement import random_feed
    from ganspec.tools.conformance.expected import Expected

    (tmp_path / "loss.toml").write_text(
        'title = "gated"\nsource = "none"\n[losses]\nD = "mean(D(G(z))) - mean(D(x))"\nG = "-mean(D(G(z)))"\n'
        '[report]\none = { value = "0 * mean(x) + 1", with = "D" }\n'
    )
    steps = '[[steps]]\nupdate = ["D"]\nrepeat = 3\nuntil = { report = "one", above = 1 }\n[[steps]]\nupdate = ["G"]'
    system = write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic()}, steps=steps, redraw="repeat")
    found = Expected(system, backend, 0, "float64", "cpu", lambda: random_feed(system, 0))
    found.iterate(0)
    repeats = found.iterate(1)
    assert [(r.place.step, r.place.repeat) for r in repeats] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    while found.measure_again(repeats):
        pass
    assert all(len(r.moved) == 6 and all(r.record.keys() <= moved.keys() for moved in r.moved) for r in repeats)
