"""What ganspec's own training computes, one iteration at a time: what somebody's code is compared with.

Beside the run itself go others whose parameters, images and noise are moved by one rounding; how far they move says how much
agreement can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.system import System
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Streams
from ganspec.tools import backends
from ganspec.tools.agreement.judge import Movement, Record, movement_of, record_of
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Place, Quantity
from ganspec.tools.agreement.rounding import Rounding
from ganspec.tools.agreement.witnesses import behind_layers
from ganspec.tools.conformance.backward import needed_gradients

# Runs that are moved by one rounding. A user waits for each; in float32, where Adam divides rounding by rounding, one is too few.
MOVED = {"float64": 1, "float32": 3}
# As many measure it before something is called wrong that is no more than `MAYBE_ROUNDING` times too far apart: a single number
# may by chance hardly move, and moves less than a ten-thousandth of its movement once in ten thousand times.
MOST_MOVED, MAYBE_ROUNDING = 6, 1e4
_FORWARD = ("draw", "layer", "value", "input gradient", "loss", "report")


@dataclass
class Repeat:
    """One repeat of a step, as ganspec computes it.

    Args:
        place: which repeat.
        plan: plan of its step.
        record: everything computed, in the order of evaluation, before and after the update.
        exact: the same in float64.
        moved: how far it moves where everything is moved by one rounding, several times.
        before: ganspec's own state before the repeat.
    """

    place: Place
    plan: StepPlan
    record: Record
    exact: Record
    moved: list[Movement]
    before: TrainingState

    def value(self, node: int, output: str = "") -> Quantity | None:
        """Returns: the value of a node of the plan; of a network's evaluation what a layer gave."""
        return _of_node(self.record, node, output)

    def named(self, name: str) -> Quantity | None:
        """Returns: the quantity of a name; None where there is none."""
        return self.record.get((self.place, name))


class Expected:
    """Trains a system as the spec says, and keeps everything on the way.

    Args:
        system: system to train.
        backend: "torch" or "chainer".
        seed: seed of parameters, draws and images.
        dtype, device: as the backend's trainer takes them.
        feed: function that makes the function which gives batches.
        streams: function that makes the streams of a seed.
    """

    def __init__(
        self,
        system: System,
        backend: str,
        seed: int,
        dtype: str,
        device: str,
        feed: Callable[[], Callable[[], Any]],
        streams: Callable[[int], Streams] = Streams,
    ) -> None:
        self.system, self._dtype, self._feed = system, dtype, feed
        self._draws = StreamDraws(system, seed, streams)
        self._places: list[list[Place]] = []  # of each iteration, in order
        self._make = partial(_Run, system, backend, seed, device=device)
        self._own = self._make(feed(), dtype=dtype, draws=self._draws)
        self._exact = self._own
        if dtype == "float32":
            self._exact = self._make(feed(), dtype="float64", draws=self._draws)
        self._moved = [self._moved_run(number) for number in range(MOVED[dtype])]

    def _moved_run(self, number: int) -> _Run:
        rounding = Rounding(self._dtype, number)
        options = {"dtype": "float64", "draws": rounding.draws(self._draws), "factors": rounding.factors}
        run = self._make(rounding.batches(self._feed()), rounding, **options)
        run.trainer.load(rounding.state(run.trainer.state()))
        return run

    def iterate(self, iteration: int) -> list[Repeat]:
        """Train one iteration. Returns: its repeats, in order."""
        apart = [] if self._exact is self._own else [self._exact]
        follow = [run.trainer.repeats() for run in (*apart, *self._moved)]
        repeats: list[Repeat] = []
        self._places.append([])
        for step, repeat in self._own.trainer.repeats():
            place = Place(iteration, step, repeat)
            self._places[-1].append(place)
            for counting in follow:
                next(counting, None)
            before = self._own.state
            record, exact, moved = self._said(lambda run, place=place: run.repeat(place))
            repeats.append(Repeat(place, Names(self.system, place).plan, record, exact, moved, before))
        record, exact, moved = self._said(lambda run: run.end(iteration))
        _add_reports(self.system, repeats)
        if record:
            repeats.append(Repeat(Place(iteration), repeats[-1].plan, record, exact, moved, self._own.state))
        return repeats

    def measure_again(self, repeats: Sequence[Repeat]) -> bool:
        """Measure what rounding costs by one more run, which comes from the beginning, in this iteration and all that follow.

        Args:
            repeats: those of the newest iteration; each gets one movement more.

        Returns: whether it was done; not where `MOST_MOVED` runs measure it already.
        """
        if len(self._moved) >= MOST_MOVED:
            return False
        run = self._moved_run(len(self._moved))
        self._moved.append(run)
        for iteration, places in enumerate(self._places):
            records, counting = {}, run.trainer.repeats()
            for place in places:  # of the run itself: where a gate's report is moved, it would end its step elsewhere
                next(counting, None)
                records[place] = run.repeat(place)
            records[Place(iteration)] = run.end(iteration)
        for repeat in repeats:
            moved = movement_of(repeat.exact, records[repeat.place])
            repeat.moved.append(_with_reports_moved(repeat, moved))
        return True

    def _said(self, compute: Callable[[_Run], Record]) -> tuple[Record, Record, list[Movement]]:
        """Returns: what the run computes, the same in float64, and how far others move, of which nothing else is kept."""
        own = compute(self._own)
        exact = own if self._exact is self._own else compute(self._exact)
        return own, exact, [movement_of(exact, compute(run)) for run in self._moved]


class _Run:
    """One run, with its batches."""

    def __init__(
        self,
        system: System,
        backend: str,
        seed: int,
        next_batch: Callable[[], Any],
        rounding: Rounding | None = None,
        **options: Any,
    ) -> None:
        self.system, self.next_batch, self.rounding = system, next_batch, rounding
        self.trainer = backends.make_trainer(backend, system, seed, **options)
        self._to_numpy = backends.load(backend).to_numpy
        self.state = self.trainer.state()  # after the newest repeat

    def repeat(self, place: Place) -> Record:
        """Returns: all that one repeat computes, with the state after its update."""
        if self.rounding is not None:
            self.rounding.restart()
        result = self.trainer.compute(place.step, place.repeat, self.next_batch, keep_layers=True)
        gradients = self._numpy(result.gradients)
        named = Names(self.system, place)
        layers = self._numpy(result.layers)
        forward = [*named.forward(self._numpy(dict(enumerate(result.values))), layers)]
        useful = needed_gradients(result.plan, named.stage)
        behind = {
            loss: {i: {n: g for n, g in each.items() if (i, n) in useful} for i, each in nodes.items()}
            for loss, nodes in behind_layers(result, layers, self._numpy(result.layer_gradients)).items()
        }
        self.trainer.update(result)
        after = self.state = self.trainer.state()  # the update moves no statistics
        statistics, *moved = (
            named.state(after, (role,)) for role in ("statistics", "moments", "parameters", "carried")
        )
        return record_of(
            [*forward, *statistics, *named.backward(behind, gradients, {}), *(q for role in moved for q in role)]
        )

    def end(self, iteration: int) -> Record:
        self.trainer.end_iteration()
        return record_of(Names(self.system, Place(iteration)).state(self.trainer.state(), ("averages",)))

    def _numpy(self, value: Any) -> Any:
        """Returns: the arrays of nested dictionaries as NumPy's, where they are: nothing that a result holds changes later."""
        if isinstance(value, dict):
            return {name: self._numpy(v) for name, v in value.items()}
        return self._to_numpy(value, copy=False)


def report_name(name: str) -> str:
    """Returns: the name of the quantity that a report is."""
    return f"report {name}"


def _of_node(record: Record, node: int, output: str | None = None) -> Quantity | None:
    """Returns: the value of a node of the plan, of a network's evaluation what a layer gave; None where there is none."""
    own = report_name("")
    found = [
        q
        for q in record.values()
        if q.node == node and output in (None, q.layer) and q.kind in _FORWARD and not q.name.startswith(own)
    ]
    return found[-1] if found else None


def _add_reports(system: System, repeats: list[Repeat]) -> None:
    """Give each report a name of its own in every repeat that records it, after the node of the plan whose value it is."""
    for repeat in repeats:
        own = list(repeat.plan.reports)
        repeat.moved = [_with_reports_moved(repeat, moved) for moved in repeat.moved]
        repeat.record = _with_reports(repeat, repeat.record, own)
        repeat.exact = _with_reports(repeat, repeat.exact, own)


def _with_reports_moved(repeat: Repeat, moved: Movement) -> Movement:
    """Returns: how far quantities move, each report as far as that whose value it is."""
    sources = {name: _of_node(repeat.exact, node) for name, node in repeat.plan.reports.items()}
    same = {(q.place, report_name(name)): (q.place, q.name) for name, q in sources.items() if q is not None}
    return {**moved, **{key: moved.get(like, 0.0) for key, like in same.items()}}


def _with_reports(repeat: Repeat, record: Record, names: list[str]) -> Record:
    reports: dict[tuple[Place, str], list[Quantity]] = {}  # by the quantity that they follow
    for name in sorted(names, key=lambda n: repeat.plan.reports[n]):
        node = repeat.plan.reports[name]
        q = _of_node(record, node)
        if q is not None:
            report = Quantity("report", report_name(name), q.place, np.asarray(q.value), q.source, node=node)
            reports.setdefault((q.place, q.name), []).append(report)
    # What a network gives in inference after an evaluation in training reads the statistics that the latter moved.
    evaluated = {n.value for n in repeat.plan.nodes if n.op == "network" and n.training}
    late = {
        i for i, n in enumerate(repeat.plan.nodes) if n.op == "network" and not n.training and n.value in evaluated
    }  # fmt: skip
    first = min(late, default=len(repeat.plan.nodes))
    followed = [one for q in record.values() if q.kind in _FORWARD for one in (q, *reports.get((q.place, q.name), ()))]
    forward = [q for q in followed if (q.node or 0) < first]
    inferred = [q for q in followed if (q.node or 0) >= first]
    statistics = [q for q in record.values() if q.kind == "statistic"]
    rest = [q for q in record.values() if q.kind not in (*_FORWARD, "statistic")]
    return record_of([*forward, *statistics, *inferred, *rest])


def reports_of(repeats: list[Repeat]) -> Mapping[str, Quantity]:
    """Returns: each report of an iteration by its own name."""
    start = report_name("")
    found = [q for repeat in repeats for q in repeat.record.values() if q.kind == "report" and q.name.startswith(start)]
    return {q.name.removeprefix(start): q for q in found}


def order_of(repeats: Sequence[Repeat]) -> str:
    """Returns: the order of updates in an iteration, as a sentence."""
    counts: list[list[object]] = []
    for repeat in repeats:
        name = repeat.plan.step.name
        if counts and counts[-1][0] == name:
            counts[-1][1] = int(str(counts[-1][1])) + 1
        else:
            counts.append([name, 1])
    said = ", then ".join(f"{name} {count} times" if count != 1 else f"{name} once" for name, count in counts)
    return f"the spec's order is {said}"
