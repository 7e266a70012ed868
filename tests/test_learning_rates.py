"""Schedules of learning rates: by hand, against PyTorch's own schedulers, in every witness, in files, and through a resume."""

import json
import math
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.parts.learning_rates import (
    Constant,
    Cosine,
    LearningRateSchedule,
    Linear,
    Step,
    Warmup,
    read_learning_rate_schedule,
)
from ganspec.spec.text.errors import Problems, SpecError
from ganspec.spec.text.tables import Table
from ganspec.spec.text.values import as_typed
from ganspec.spec.training.state import initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import crosscheck_system
from ganspec.tools.programs.show import lines
from support.tiny_systems import ADAM, GENERATOR, critic, move_along, write_system

NETWORKS = {"G": GENERATOR, "D": critic()}
G_RATES = 'G.learning_rate_schedule = { kind = "cosine", over = 8, to = 0.1, warmup = { iterations = 4, from = 0.25 } }'
D_RATES = 'D.learning_rate_schedule = { kind = "step", factor = 0.5, at = [2, 5] }'


def factors(text, iterations):
    """Returns: the factors of a schedule that is written as TOML."""
    data = load_system("wgan_gp_mlp_mnist", [f"optimizers.learning_rate_schedule={text}"])
    return [data.rate_factor("G", i) for i in range(iterations)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ kind = "linear", over = 4, to = 0 }', [1, 0.75, 0.5, 0.25, 0, 0, 0]),
        ('{ kind = "linear", after = 2, over = 2, to = 3 }', [1, 1, 1, 2, 3, 3, 3]),
        ('{ kind = "cosine", over = 4, to = 0 }', [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0]),
        ('{ kind = "cosine", after = 3, over = 2, to = 0.5 }', [1, 1, 1, 1, 0.75, 0.5, 0.5]),
        ('{ kind = "step", factor = 0.5, every = 2 }', [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ('{ kind = "step", factor = 0.1, at = [1, 4] }', [1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        ('{ kind = "step", factor = 0, every = 3 }', [1, 1, 1, 0, 0, 0, 0]),
        ('{ kind = "constant", warmup = { iterations = 4, from = 0 } }', [0, 0.25, 0.5, 0.75, 1, 1]),
        # Both are products: the line is 1, 0.75, 0.5, 0.25, 0.
        ('{ kind = "linear", over = 4, to = 0, warmup = { iterations = 2, from = 0.5 } }', [0.5, 0.5625, 0.5, 0.25, 0]),
    ],
)
def test_a_schedule_is_its_formula(text, expected):
    assert factors(text, len(expected)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def schedulers(torch, optimizer):
    """Returns: PyTorch's scheduler, by name, for an optimiser, and the schedule that says the same."""
    of = torch.optim.lr_scheduler
    return {
        "linear": (of.LinearLR(optimizer(), 1.0, 0.2, 30), Linear(0, 30, 0.2), None),
        "linear, after": (
            of.SequentialLR(o := optimizer(), [of.ConstantLR(o, 1.0, 1), of.LinearLR(o, 1.0, 0.0, 20)], [10]),
            Linear(10, 20, 0.0),
            None,
        ),
        # Beyond the end PyTorch's goes up again, as its paper restarts.
        "cosine": (of.CosineAnnealingLR(optimizer(), 40, 0.003), Cosine(0, 40, 0.3), None),
        "step": (of.StepLR(optimizer(), 7, 0.5), Step(0.5, 7, ()), None),
        "milestones": (of.MultiStepLR(optimizer(), [3, 11, 30], 0.1), Step(0.1, 0, (3, 11, 30)), None),
        "warm-up": (of.LinearLR(optimizer(), 0.25, 1.0, 10), Constant(), Warmup(10, 0.25)),
        "warm-up and cosine": (
            of.ChainedScheduler([of.LinearLR(o := optimizer(), 0.1, 1.0, 5), of.CosineAnnealingLR(o, 40, 0.0)]),
            Cosine(0, 40, 0.0),
            Warmup(5, 0.1),
        ),
    }


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning")
def test_a_schedule_is_that_of_pytorch_in_every_iteration():
    torch = pytest.importorskip("torch")

    class Bare(torch.optim.Optimizer):
        """What a scheduler needs of an optimiser; `Optimizer.__init__` would import a compiler, which takes seconds."""

        def __init__(self):
            self.param_groups = [{"lr": 0.01}]

        def step(self):
            """Nothing is trained."""

    def optimizer():
        return Bare()

    for name, (scheduler, curve, warmup) in schedulers(torch, optimizer).items():
        schedule = LearningRateSchedule(curve, warmup)
        for i in range(41):
            (rate,) = scheduler.get_last_lr()
            assert 0.01 * schedule.factor(i) == pytest.approx(rate, rel=1e-9, abs=1e-12), (name, i)
            scheduler.step()


COSINE = (
    "optimizers.learning_rate_schedule={ kind = 'cosine', over = 90, to = 0, warmup = { iterations = 9, from = 0 } }"
)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], Cosine(0, 90, 0)),
        (["optimizers.learning_rate_schedule.over=50"], Cosine(0, 50, 0)),
        # Another curve has other numbers; the warm-up stays.
        (["optimizers.learning_rate_schedule={ kind = 'step', factor = 0.5, every = 7 }"], Step(0.5, 7, ())),
        (["optimizers.kind=rmsprop", "optimizers.decay=0.9", "optimizers.start=0", "optimizers.epsilon=1e-8",
          "optimizers.epsilon_place=outside"], Cosine(0, 90, 0)),
    ],
)  # fmt: skip
def test_settings_lie_over_a_schedule_key_by_key(settings, expected):
    schedules = load_system("wgan_gp_mlp_mnist", [COSINE, *settings]).learning_rate_schedules
    assert schedules == dict.fromkeys(("G", "D"), LearningRateSchedule(expected, Warmup(9, 0)))


def test_none_leaves_out_a_schedule_of_all_networks_for_one_or_for_all():
    own = load_system("wgan_gp_mlp_mnist", [COSINE, "optimizers.G.learning_rate_schedule=none"])
    assert set(own.learning_rate_schedules) == {"D"}
    assert not load_system(
        "wgan_gp_mlp_mnist", [COSINE, "optimizers.learning_rate_schedule=none"]
    ).learning_rate_schedules


def test_show_says_how_a_learning_rate_changes():
    text = "\n".join(lines(load_system("wgan_gp_mlp_mnist", [COSINE, f"optimizers.{D_RATES.replace(' = ', '=', 1)}"])))
    assert (
        "  G: learning rate times half a cosine from 1 to 0, from iteration 0 to 90, "
        "after a warm-up from 0 times it over 9 iterations\n"
    ) in text
    assert "  D: learning rate times 0.5 at iterations 2, 5\n" in text


CURVES = st.one_of(
    st.builds(Linear, st.integers(0, 50), st.integers(1, 50), st.floats(0, 3)),
    st.builds(Cosine, st.integers(0, 50), st.integers(1, 50), st.floats(0, 3)),
    st.builds(lambda by, every: Step(by, every, ()), st.floats(0, 1), st.integers(1, 20)),
    st.builds(lambda by, at: Step(by, 0, tuple(sorted(at))), st.floats(0, 1), st.sets(st.integers(1, 99), min_size=1)),
)
SCHEDULES = st.one_of(
    st.builds(LearningRateSchedule, CURVES, st.none() | st.builds(Warmup, st.integers(1, 50), st.floats(0, 2))),
    st.builds(LearningRateSchedule, st.just(Constant()), st.builds(Warmup, st.integers(1, 50), st.floats(0, 2))),
)


@given(SCHEDULES)
def test_every_schedule_is_read_back_from_what_describes_it(schedule):
    """What is printed and recorded can be typed back as it stands."""
    said = tomllib.loads(f"learning_rate_schedule = {as_typed(schedule.as_data())}")
    read = read_learning_rate_schedule(Table(said, "file", "optimizers", problems := Problems()))
    problems.stop_if_any()
    assert read == schedule
    assert json.loads(json.dumps(schedule.as_data())) == schedule.as_data(), "as a checkpoint keeps it"


def test_a_misspelt_warm_up_is_one_problem_with_its_name():
    text = "optimizers.learning_rate_schedule={ kind = 'constant', warm_up = { iterations = 2, from = 0 } }"
    with pytest.raises(SpecError, match=r"(?s)^(?!.*changes nothing).*warm_up: unknown key.*did you mean 'warmup'\?"):
        load_system("wgan_gp_mlp_mnist", [text])


TYPED = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(TYPED)
def test_every_value_that_is_printed_is_toml(value):
    assert tomllib.loads(f"value = {as_typed(value)}")["value"] == value


def test_what_is_absent_is_none_and_left_out_of_tables():
    assert as_typed(None) == "none"
    assert as_typed({"kind": "step", "every": None, "at": [1, 2]}) == "{ kind = 'step', at = [1, 2] }"


@given(SCHEDULES, st.integers(0, 200))
def test_a_factor_is_between_its_ends_and_stays_there(schedule, iteration):
    factor, last = schedule.factor(iteration), schedule.curve.factor(10**6)
    highest = max(1.0, getattr(schedule.curve, "to", 1.0)) * max(1.0, schedule.warmup.start if schedule.warmup else 1.0)
    assert 0 <= factor <= highest * (1 + 1e-12)
    assert schedule.factor(10**9) == pytest.approx(schedule.curve.factor(10**9))
    if hasattr(schedule.curve, "to"):
        assert last == pytest.approx(schedule.curve.to, abs=1e-12)


def test_a_rate_is_in_force_in_its_iteration_for_its_network(backend, tmp_path):
    system = write_system(tmp_path, "wgan", NETWORKS, optimizers=f"{ADAM}\n{G_RATES}\n{D_RATES}")
    plain = without_schedules(system)
    iterations = (0, 1, 2, 5, 7, 30)
    for i in iterations:
        moved = []
        for each in (system, plain):
            state = replace(initial_state(each, 0), iteration=i)
            trainer = backends.make_trainer(backend, each, 0, state, dtype="float64")
            before = trainer.state()
            move_along(trainer, 0.3)
            after = trainer.state()
            assert after.learning_rates == before.learning_rates, "the state keeps what the schedule multiplies"
            moved.append(
                {n: (after.arrays[n] - before.arrays[n]).flat[0] for n in ("parameters/G/l/W", "parameters/D/l1/W")}
            )
        for name, scheduled in moved[0].items():
            factor = system.rate_factor(name.split("/")[1], i)
            assert scheduled == pytest.approx(factor * moved[1][name], rel=1e-9), (name, i)


def test_the_witnesses_agree_on_a_system_with_schedules(both_backends, tmp_path):
    system = write_system(tmp_path, "wgan", NETWORKS, optimizers=f"{ADAM}\n{G_RATES}\n{D_RATES}")
    found = crosscheck_system(system, iterations=3, witnesses=("torch", "chainer", "reference"))
    assert found.agrees, found.first


def test_a_backend_that_ignores_the_schedule_is_found(backend, monkeypatch, tmp_path):
    system = write_system(tmp_path, "wgan", NETWORKS, optimizers=f"{ADAM}\n{G_RATES}")
    trainer = backends.load(backend).Trainer
    monkeypatch.setattr(trainer, "update", with_plain_rates(trainer.update))
    found = crosscheck_system(system, iterations=1, witnesses=(backend, "reference"))
    assert (found.first.difference.kind, found.first.difference.place.iteration) == ("parameter", 0)


def with_plain_rates(update):
    """Returns: a trainer's `update` that takes the learning rates without their schedule."""

    def updated(self, result):
        own = self.system
        self.system = without_schedules(own)
        try:
            return update(self, result)
        finally:
            self.system = own

    return updated


def without_schedules(system):
    return replace(system, learning_rate_schedules={})
