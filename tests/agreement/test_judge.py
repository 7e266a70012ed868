"""The judge itself: what it must see, and what it must not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.spec import load_system
from ganspec.spec.training.state import array_shapes
from ganspec.tools.agreement import crosscheck, crosscheck_system
from ganspec.tools.agreement.bounds import ROUNDINGS
from ganspec.tools.agreement.given import random_feed
from ganspec.tools.agreement.judge import Judge, Witnessed, movement_of, record_of
from ganspec.tools.agreement.report import Place, Quantity
from ganspec.tools.agreement.rounding import EPSILON
from ganspec.tools.agreement.witnesses import Defined

# Relative errors that must be seen, a few times what is allowed where nothing cancels: so no bound can be made wider unnoticed.
SEEN = {
    "initial": 1e-13,
    "schedule": 1e-15,
    "draw": 1e-13,
    "layer": 1e-13,
    "value": 1e-13,
    "input gradient": 1e-12,
    "loss": 1e-13,
    "report": 1e-13,
    "statistic": 1e-13,
    "layer gradient": 1e-12,
    "parameter gradient": 1e-12,
    "slope": 1e-12,
    "moment": 1e-13,
    "parameter": 1e-13,
    "carried": 1e-13,
    "average": 1e-13,
    "report, all iterations": 1e-13,
    "state, all iterations": 1e-13,
    "sample, all iterations": 1e-11,
}
ITERATIONS = 3
SYSTEMS = {"began_mnist": [], "dcgan_cifar10": ["averages.G=0.9"], "wgan_gp_mlp_mnist": ["schedule.critic_steps=2"]}


@pytest.fixture(scope="module")
def said():
    """What three witnesses say of three systems: for each a judge who heard it all."""
    return {name: listened(load_system(name, settings, reduced=True)) for name, settings in SYSTEMS.items()}


class Listener(Judge):
    """A judge who remembers what was said, and what he found."""

    newest = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Listener.newest = self
        self.arguments, self.heard, self.found = arguments, [], []

    def add(self, said):
        self.heard.append(said)
        self.found += (found := super().add(said))
        return found


def listened(system):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crosscheck, "Judge", Listener)
        comparison = crosscheck_system(system, iterations=ITERATIONS)
    assert comparison.agrees
    Listener.newest.comparison = comparison
    return Listener.newest


def judge_again(listener, witness, difference, error):
    """Returns: a judge who hears the stretch of a quantity again, with an error of this norm in it."""
    judge, key = Judge(*listener.arguments), (difference.place, difference.name)
    for said in listener.heard:
        quantity = said.records.get(witness, {}).get(key)
        if quantity is not None and quantity.kind == difference.kind:
            direction = np.ones(quantity.value.shape) / np.sqrt(quantity.value.size)
            record = said.records[witness] | {key: replace(quantity, value=quantity.value + error * direction)}
            judge.add(replace(said, records={**said.records, witness: record}))
    return judge


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("kind", ROUNDINGS)
@pytest.mark.parametrize("size", ["ten times its allowance", "a tenth of its allowance", "of a known size"])
@pytest.mark.parametrize("witness", ["chainer", "reference"])
def test_an_error_is_seen_in_its_row_and_in_no_other(kind, size, witness, said):
    """It is made in the last place of its kind, not in the first."""
    if witness == "reference" and not Defined.computes(kind):
        pytest.skip(f"the reference computes no {kind}")
    for listener in said.values():
        found = [d for d in listener.found if d.kind == kind and witness in d.pair]
        if not found:
            continue
        if size == "of a known size":
            worst = min((d for d in found if d.size), key=lambda d: d.allowance / d.size, default=found[-1])
            error = SEEN[kind] * max(worst.size, float(kind == "schedule"))
        else:
            worst = found[-1]
            error = (10 if size.startswith("ten") else 0.1) * worst.allowance
        if not error and size.startswith("a tenth"):
            return  # nothing is allowed
        judge = judge_again(listener, witness, worst, error or 1.0)
        wrong = {(row.kind, row.pair): row.wrong for row in judge.rows if row.wrong}
        if size.startswith("a tenth"):
            assert wrong == {}
            assert judge.first is None
            return
        assert {k for k, _ in wrong} == {kind}
        assert all(witness in pair and count == 1 for (_, pair), count in wrong.items())
        assert (judge.first.difference.name, judge.first.difference.place) == (worst.name, worst.place)
        if len(wrong) == 2:
            assert judge.first.odd == witness
        return
    pytest.fail(f"no system has a quantity of the kind {kind}")


@pytest.mark.usefixtures("both_backends")
def test_everything_is_compared(said):
    """Counted from the plan and the networks, not from what the witnesses say."""
    for name, listener in said.items():
        system = load_system(name, SYSTEMS[name], reduced=True)
        rows = {(row.kind, row.pair): row.compared for row in listener.rows}
        steps = [step for step in system.plan.steps for _ in range(ITERATIONS * step.step.repeat)]
        layers = sum(
            len(system.networks[node.value].layers) for step in steps for node in step.nodes if node.op == "network"
        )
        shapes = array_shapes(system)

        def of(role, shapes=shapes):
            return sum(name.startswith(f"{role}/") for name in shapes)

        gradients = sum(len(system.networks[n].parameter_paths()) for step in steps for n in step.losses)
        for pair in (("torch", "chainer"), ("torch", "reference"), ("chainer", "reference")):
            assert rows["layer", pair] == layers
            assert rows["parameter", pair] == of("parameters") * len(steps)
            assert rows["moment", pair] == of("moments") * len(steps)
            assert rows["slope", pair] == sum(len(step.losses) for step in steps)
            assert rows["loss", pair] == sum(len(set(step.losses.values())) for step in steps)
            assert rows["schedule", pair] == len(steps)
            assert rows["draw", pair] == sum(len(step.draws()) for step in steps)
            assert rows.get(("statistic", pair), 0) == of("statistics") * len(steps)
            assert rows.get(("average", pair), 0) == of("averages") * ITERATIONS
            assert rows.get(("carried", pair), 0) == of("carried") * len(steps)
            formulas = sum(kinds_of(step) for step in steps)
            assert sum(rows.get((kind, pair), 0) for kind in ("value", "input gradient", "loss", "report")) == formulas
            assert rows["initial", pair] == len(array_shapes(system)) + len(system.optimizers)
        assert rows["parameter gradient", ("torch", "chainer")] == gradients
        behind = sum(
            len(system.networks[node.value].layers) * len(step.losses)
            for step in steps for i, node in enumerate(step.nodes) if node.op == "network" and i in step.tracked
        )  # fmt: skip
        assert rows["layer gradient", ("torch", "chainer")] == behind
        assert rows["report, all iterations", ("torch", "chainer")] == ITERATIONS * len(system.plan.columns())
        assert len(listener.comparison.samples["torch"]) == 8
        for kind in {kind for kind, _ in rows} - {"schedule"}:  # and not zeros with zeros
            assert max(d.size for d in listener.found if d.kind == kind) > 0
        assert len({d.size for d in listener.found if d.name == "report loss_D"}) >= ITERATIONS
        arrays = [a for a in array_shapes(system) if not a.startswith("reports/")]
        assert rows["state, all iterations", ("torch", "chainer")] == len(arrays)


def kinds_of(step):
    """Returns: the number of a step's nodes that hold a number of their own."""
    roles = {*step.losses.values(), *step.reports.values(), *step.carried.values()}
    return sum(
        i in roles or node.op not in ("draw", "network", "constant", "output", "expand")
        for i, node in enumerate(step.nodes)
    )


def test_batches_differ_and_fill_the_range():
    system = load_system("cgan_mlp_mnist", reduced=True)
    feed = random_feed(system, 0)
    first, second = feed(), feed()
    assert (first["x"] != second["x"]).all()
    low, high = system.data.range
    assert low <= first["x"].min() < low + 0.3 * (high - low) < high - 0.3 * (high - low) < first["x"].max() <= high
    assert set(np.concatenate([feed()["y"] for _ in range(50)])) == set(range(system.data.labels))


def test_the_roundings_are_those_of_the_dtypes():
    assert {name: np.finfo(name).eps for name in ("float32", "float64")} == EPSILON
    for dtype, most in (("float32", 5e-6), ("float64", 1e-14)):  # relative, of numbers that a rounding does not move
        judge = Judge(("a", "b"), {"a": "float64", "b": dtype})
        records = {"a": record_of([quantity(RIGHT)]), "b": record_of([quantity((RIGHT * (1 + most)).astype(dtype))])}
        judge.add(Witnessed(records, records["a"], [movement_of(records["a"], records["a"])]))
        assert judge.first is not None


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-20, 1e160, 1e300])
def test_numbers_of_any_size_are_compared(size):
    assert one(a=RIGHT * size, b=RIGHT * size).first is None
    assert one(a=RIGHT * size, b=RIGHT * size * (1 + 1e-6)).first is not None
    assert one(a=RIGHT * size, b=-RIGHT * size).first is not None


def test_a_movement_that_is_not_finite_allows_nothing():
    judge = Judge(("a", "b"), {"a": "float64", "b": "float64"})
    records = {"a": record_of([quantity(RIGHT)]), "b": record_of([quantity(RIGHT * (1 + 1e-6))])}
    judge.add(Witnessed(records, records["a"], [movement_of(records["a"], record_of([quantity(RIGHT * np.inf)]))]))
    assert judge.first is not None


def test_what_moved_long_ago_and_what_another_quantity_moves_is_not_allowed():
    judge = Judge(("a", "b"), {"a": "float64", "b": "float64"})
    for iteration in range(60):
        right = record_of([quantity(1.0, iteration=iteration), quantity(1.0, "other", iteration=iteration)])
        moved = record_of([quantity(1.0 + 1e-9 * (iteration == 0), iteration=iteration)])
        error = 1e-12 * (iteration == 59)
        wrong = record_of([quantity(1.0 + error, iteration=iteration), quantity(1.0, "other", iteration=iteration)])
        judge.add(Witnessed({"a": right, "b": wrong}, right, [movement_of(right, moved)]))
    assert judge.first is not None
    judge = Judge(("a", "b"), {"a": "float64", "b": "float64"})
    right = record_of([quantity(1.0), quantity(1.0, "other")])
    wrong = record_of([quantity(1.0), quantity(1.0 + 1e-12, "other")])
    judge.add(Witnessed({"a": right, "b": wrong}, right, [movement_of(right, record_of([quantity(1.0 + 1e-6)]))]))
    assert judge.first is not None


def quantity(value, name="a", kind="loss", iteration=0):
    return Quantity(kind, name, Place(iteration, 0, 0), np.asarray(value))


def one(dtypes=None, **values):
    """Returns: a judge who heard one quantity of each witness; None of one that lacks it."""
    judge = Judge(tuple(values), dtypes or dict.fromkeys(values, "float64"))
    records = {name: record_of([] if v is None else [quantity(v)]) for name, v in values.items()}
    judge.add(Witnessed(records, next(iter(records.values())), []))
    return judge


RIGHT = np.array([1.0, 2.0])


def test_the_witness_that_is_alone_is_named():
    for odd in "abc":
        assert one(**{n: RIGHT + (n == odd) for n in "abc"}).first.odd == odd
    assert one(a=RIGHT, b=RIGHT + 1).first.odd == ""
    assert one(a=RIGHT, b=RIGHT + 1, c=RIGHT + 2).first.odd == ""
    assert one(a=RIGHT, b=RIGHT, c=RIGHT).first is None


def test_of_two_gradients_the_slope_of_a_third_witness_says_which_is_alone():
    values = {"a": (1.0, 5.0), "b": (2.0, 6.0), "c": (None, 5.0)}
    judge = Judge(tuple(values), dict.fromkeys(values, "float64"), {"c": lambda kind: kind == "slope"})
    records = {}
    for name, (gradient, slope) in values.items():
        said = [quantity(gradient, "gradient of loss_D by D/l1/W", "parameter gradient")] * (gradient is not None)
        records[name] = record_of([*said, quantity(slope, "slope of loss_D", "slope")])
    judge.add(Witnessed(records, records["a"], []))
    assert (judge.first.difference.kind, judge.first.odd) == ("parameter gradient", "b")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (None, "only a has it"),
        (RIGHT[None], "shapes [2] and [1, 2]"),
        (RIGHT.astype(np.float32), "dtypes float64 and float32"),
        (RIGHT * np.nan, "not finite in b"),
        (RIGHT * np.inf, "not finite in b"),
    ],
)
def test_what_is_no_number_to_compare_is_a_disagreement(wrong, reason):
    judge = one(a=RIGHT, b=wrong)
    (row,) = judge.rows
    assert (row.wrong, row.worst.reason, row.worst.diverged) == (1, reason, False)


def test_nan_agrees_with_nothing_and_where_nobody_is_finite_training_diverged():
    (row,) = one(a=RIGHT * np.nan, b=RIGHT * np.nan).rows
    assert (row.wrong, row.worst.diverged) == (1, True)


def test_what_float32_cannot_hold_has_diverged_for_who_computes_in_it():
    dtypes = {"float64": "float64", "b": "float32"}
    (row,) = one(dtypes, float64=RIGHT * 1e39, b=(RIGHT * np.inf).astype(np.float32)).rows
    assert row.worst.diverged
    (row,) = one(dtypes, float64=RIGHT, b=(RIGHT * np.inf).astype(np.float32)).rows
    assert not row.worst.diverged


def test_the_same_values_in_another_order_do_not_agree():
    assert one(a=RIGHT, b=RIGHT[::-1]).first is not None


def test_two_quantities_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two quantities are named a"):
        record_of([quantity(1.0), quantity(2.0)])


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5),
    movement=st.floats(1e-14, 1e-6),
    share=st.floats(0.0, 3.0),
)
def test_an_error_is_allowed_in_proportion_to_what_a_rounding_moves(values, movement, share):
    """Beyond the roundings of its own, here few: so the boundary is known."""
    value = np.array(values)
    judge = Judge(("a", "b"), {"a": "float64", "b": "float64"})
    moved = np.full_like(value, movement / np.sqrt(value.size))
    records = {"a": record_of([quantity(value)]), "b": record_of([quantity(value + 2.5 * share * moved)])}
    judge.add(Witnessed(records, records["a"], [movement_of(records["a"], record_of([quantity(value + moved)]))]))
    if share < 0.99:  # 40 times the movement of one unit in the last place, which is a 16th of what was measured
        assert judge.first is None
    elif 2.5 * share * movement > 2.5 * movement * 1.01 + 1e-14 * np.linalg.norm(value):
        assert judge.first is not None


def test_a_single_number_that_stands_still_by_chance_is_allowed_what_it_moved_before():
    judge = Judge(("a", "b"), {"a": "float64", "b": "float64"})
    for iteration, moves in enumerate([1e-9, 0.0]):
        right = record_of([quantity(0.0, iteration=iteration)])
        records = {"a": right, "b": record_of([quantity(1e-9, iteration=iteration)])}
        judge.add(Witnessed(records, right, [movement_of(right, record_of([quantity(moves, iteration=iteration)]))]))
    assert judge.first is None


def test_quantities_that_one_alone_has_stand_where_it_computes_them():
    names = {"a": ["1", "2", "3", "4"], "b": ["0", "1", "2b", "3", "5"]}
    records = {w: record_of([quantity(1.0, n) for n in of]) for w, of in names.items()}
    judge = Judge(("a", "b"), dict.fromkeys(names, "float64"))
    order = [d.name for d in judge.add(Witnessed(records, records["a"], []))]
    assert order == ["0", "1", "2", "2b", "3", "4", "5"]
    assert judge.first.difference.reason == "only b has it"
