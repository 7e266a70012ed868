"""What happens in which iteration: repeats, gates, growth, reports that are remembered, averages; what a checkpoint keeps."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ganspec.spec import load_system
from ganspec.spec.parts.schedule import RepeatOverride, Step, Until
from ganspec.spec.parts.settings import Growth
from ganspec.spec.training.checkpoint import Record, read_checkpoint, write_checkpoint
from ganspec.spec.training.state import initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.tiny_systems import ADAM, GENERATOR, critic, move_along, write_system

# The number of repeats in iterations 0 to 11.
REPEATS = {
    (3, None): [3] * 12,
    (3, (7, 2, 5)): [7, 7, 3, 3, 3, 7, 3, 3, 3, 3, 7, 3],
    (3, (0, 0, 4)): [0, 3, 3, 3, 0, 3, 3, 3, 0, 3, 3, 3],
    (0, (1, 3, 100)): [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    (2, (5, 1, 1)): [5] * 12,
}


@pytest.mark.parametrize("case", REPEATS, ids=str)
def test_a_steps_repeats_in_each_iteration(case):
    repeat, other = case
    step = Step(("D",), repeat, RepeatOverride(*other) if other else None, None, (), ())
    assert [step.repeats(iteration) for iteration in range(12)] == REPEATS[case]


@pytest.mark.parametrize(("side", "reached"), [("below", [True, False, False]), ("above", [False, False, True])])
def test_a_gate_is_passed_beyond_its_value_not_at_it(side, reached):
    assert [Until("L", side, 0.5).reached(value) for value in (0.4999999, 0.5, 0.5000001)] == reached


def test_a_gate_is_asked_after_each_repeat_and_ends_its_own_step_alone(tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "t"\nsource = "none"\n[losses]\nD = "mean(D(G(z))) - mean(D(x))"\nG = "-mean(D(G(z)))"\n'
        '[report]\na = { value = "mean(x)", with = ["D", "G"] }\n'
    )
    steps = (
        '[[steps]]\nupdate = ["D"]\nrepeat = 4\nuntil = { report = "a", below = 1 }\n'
        '[[steps]]\nupdate = ["G"]\nrepeat = 3\nuntil = { report = "a", above = 5 }\n[[steps]]\nupdate = ["D"]\nrepeat = 2\n'
    )
    system = write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic()}, steps=steps)

    def order(values):
        asked = iter(values)
        return list(system.plan.repeats(0, lambda name: next(asked)))

    last = [(2, 0), (2, 1)]
    assert order([2, 1, 0.5, 5, 5, 5]) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), *last]
    assert order([0, 6]) == [(0, 0), (1, 0), *last]
    assert order([2, 2, 2, 2, 4, 6]) == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), *last]


GROWTHS = [
    (Growth(3, 12), 4), (Growth(3, 10), 4), (Growth(4, 10, 1, 0.5), 3), (Growth(2, 7, 1), 3), (Growth(5, 6, 0, 0.25), 16),
]  # fmt: skip


@pytest.mark.parametrize(("growth", "batch"), GROWTHS)
def test_stages_and_fades_are_whole_and_broken_part_of_the_images_seen(growth, batch):
    stages = []
    for iteration in range(30):
        start = growth.start_stage * growth.images + round(growth.start_fade * growth.images)
        p = Fraction(start + iteration * batch, growth.images)
        stage, fade = growth.at(iteration, batch)
        if p >= growth.stages:
            assert (stage, fade) == (growth.stages - 1, 0.0)
        else:
            assert stage == p // 1
            assert fade == pytest.approx(float(p % 1), abs=1e-15)
        stages.append(stage)
    for stage in range(growth.stages):
        first = growth.first_iteration(stage, batch)
        assert first == (
            None if stage < growth.start_stage else next(i for i in range(99) if growth.at(i, batch)[0] >= stage)
        )


MEMORY = """
title = "the step of G reads a report of that of D"
source = "none"
[losses]
D = "mean(D(G(z))) - mean(D(x))"
G = "-mean(D(G(z)))"
[report]
seen = { value = "mean(x)", with = "D" }
doubled = { value = "2 * seen", with = "G" }
[carried.k]
start = 0.5
next = "k + seen"
with = "G"
"""


def test_a_report_is_remembered_until_its_step_runs_again_also_by_a_resumed_run(backend, tmp_path):
    (tmp_path / "loss.toml").write_text(MEMORY)
    seldom = "repeat = 0\nrepeat_override = { repeat = 1, first = 0, every = 3 }"
    steps = f'[[steps]]\nupdate = ["D"]\n{seldom}\n[[steps]]\nupdate = ["G"]'
    system = write_system(tmp_path, "loss.toml", {"G": GENERATOR, "D": critic()}, steps=steps)
    to_numpy, means = backends.load(backend).to_numpy, []

    def feed():
        means.append(2.0 + len(means))
        return {"x": np.full((3, 1, 2, 2), means[-1])}

    trainer, k = backends.make_trainer(backend, system, 0, dtype="float64"), 0.5
    for iteration in range(7):
        if iteration in (2, 5):  # between two of D's steps
            state = trainer.state()
            assert state.arrays["reports/seen"] == means[-1]
            trainer = backends.make_trainer(backend, system, 0, state, dtype="float64")
        recorded = {name: float(to_numpy(value)) for name, value in trainer.iterate(feed).items()}
        assert ("seen" in recorded) == (iteration % 3 == 0), "a number is recorded when it is computed"
        assert recorded["doubled"] == 2 * means[-1]
        k += means[-1]
        assert recorded["k"] == k
    assert means == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
def test_parameters_of_other_stages_and_their_moments_stay_as_they_are(kind, backend, tmp_path):
    rmsprop = (
        'kind = "rmsprop"\nlearning_rate = 0.01\ndecay = 0.9\nstart = 0.75\nepsilon = 1e-8\nepsilon_place = "outside"'
    )
    body = '{ kind = "tanh", name = "t" }, { kind = "fade", from = ["x", "t"], stages = [0, 0] }, { kind = "flatten" }'
    layer = '{{ kind = "linear", name = "{}", from = "flatten_1", units = 1, weight = "normal(0, 1)", bias = 0, stages = {} }}'
    critic = f"x = [1, 2, 2] | {body}, {layer.format('b', [0, 0])}, {layer.format('a', [1])}"
    system = write_system(
        tmp_path, "wgan", {"G": GENERATOR, "D": critic}, batch=4, optimizers=ADAM if kind == "adam" else rmsprop,
        extra="[growth]\nstages = 2\nimages = 8\n[averages]\nD = 0.5",
    )  # fmt: skip
    start = initial_state(system, 0)
    for iteration, moving, resting in ((1, "b", "a"), (2, "a", "b")):
        marked = {
            name: np.full(a.shape, 0.125) if name.startswith("moments") else a for name, a in start.arrays.items()
        }
        trainer = backends.make_trainer(
            backend, system, 0, replace(start, iteration=iteration, arrays=marked), dtype="float64"
        )
        move_along(trainer, 0.5)
        after = trainer.state()
        for name, array in after.arrays.items():
            if name.split("/")[0] in ("parameters", "moments") and "/D/" in name:
                layer_name = name.split("/")[-2]
                assert np.array_equal(array, marked[name]) == (layer_name == resting), (name, moving)
        assert after.updates == {"D": 1, "G": 1}


def test_a_checkpoint_keeps_all_of_a_state_and_of_its_record(tmp_path):
    system = load_system("began_mnist", ["averages.G=0.9"], reduced=True)
    state = initial_state(system, 0)
    arrays = {
        name: np.full(a.shape, 0.5 + i / 4096, ("f4", "f8")[i % 2]) for i, (name, a) in enumerate(state.arrays.items())
    }
    state = replace(
        state, iteration=17, updates={"G": 5, "D": 9}, learning_rates={"G": 0.125, "D": 1e-5}, arrays=arrays
    )
    record = Record(
        {"some": ["description", 1.5]},
        2**63 - 1,
        "float64",
        "device",
        23,
        "data",
        {"sum": 1.5, "count": 2, "last": 0.1},
    )
    write_checkpoint(tmp_path / "00000017.safetensors", state, record)
    found, kept = read_checkpoint(tmp_path / "00000017.safetensors")
    assert kept == record
    assert (found.iteration, found.updates, found.learning_rates) == (17, {"G": 5, "D": 9}, {"G": 0.125, "D": 1e-5})
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array), name


def test_averages_move_once_an_iteration_after_all_steps_each_by_its_own_decay(backend, tmp_path):
    steps = '[[steps]]\nupdate = ["D"]\nrepeat = 3\n[[steps]]\nupdate = ["G"]\nrepeat = 2'
    extra = "[averages]\nG = 0.75\nD = 0.5"
    system = write_system(tmp_path, "wgan", {"G": GENERATOR, "D": critic()}, steps=steps, extra=extra)
    trainer = backends.make_trainer(backend, system, 0, dtype="float64")
    feed = random_feed(system, 0)
    expected = {n: trainer.state().of(f"parameters/{n}") for n in "GD"}
    for _ in range(4):
        trainer.iterate(feed)
        state = trainer.state()
        for name, decay in (("G", 0.75), ("D", 0.5)):
            own = state.of(f"parameters/{name}")
            expected[name] = {path: decay * expected[name][path] + (1 - decay) * own[path] for path in own}
            for path, value in expected[name].items():
                np.testing.assert_allclose(state.arrays[f"averages/{name}/{path}"], value, rtol=1e-13, atol=1e-16)
