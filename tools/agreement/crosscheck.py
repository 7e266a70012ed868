"""Witnesses side by side on one system: first in lockstep, then each in a run of its own.

In lockstep every witness starts each repeat of each step from the same state, so that a difference is found where it arises:
every layer, formula, gradient, update. In a run of its own each goes on from where it is, and what is compared may grow apart
as fast as one rounding at the start makes it, and no faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.agreement.judge import Judge, Record, Witnessed, record_of
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Comparison, Difference, Place, Point, Quantity
from ganspec.tools.agreement.rounding import Rounding
from ganspec.tools.agreement.witnesses import REFERENCE, Defined, Trained, Witness
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.latents import sample_latents

WITNESSES = ("torch", "chainer", REFERENCE)
MOVED = 2  # times that what is given is moved by one rounding
SAMPLES = 8  # images that a report shows of each witness
EXACT = "float64"  # name of the witness that computes in float64 where the others compute in float32
_SAMPLES = "samples of G"
_STATE = ("parameters", "statistics", "moments", "averages", "carried")


@dataclass(frozen=True)
class _Given:
    """A witness, and what it is given."""

    witness: Witness
    next_batch: NextBatch
    rounding: Rounding | None = None

    def load(self, state: TrainingState) -> None:
        self.witness.load(self.rounding.state(state) if self.rounding else state)


def crosscheck_system(
    system: System,
    *,
    seed: int = 0,
    dtype: str = "float64",
    device: str = "cpu",
    iterations: int = 10,
    witnesses: Sequence[str] = WITNESSES,
    progress: Callable[[], None] = lambda: None,
) -> Comparison:
    """Compare witnesses on a system, on random images.

    Args:
        system: system to compute.
        seed: seed of parameters, draws and images.
        dtype: "float64", or "float32": then each witness that trains is compared with one in float64, too.
        device: "cpu" or "cuda".
        iterations: number of iterations, from 1.
        witnesses: names of backends, and "reference"; the first trains. In float32 the reference, which computes in float64, is
            left out.
        progress: called after each iteration of either part.

    Returns: what was found.

    Raises:
        UserError: a framework or the device is not there.
    """
    start = time.perf_counter()
    made = _Witnesses(system, seed, dtype, device, tuple(witnesses))
    judge = Judge(made.names, made.dtypes, made.computes)
    with np.errstate(all="ignore"):  # the verdict says what is not finite, once
        _lockstep(judge, made, iterations, progress)
        curves, samples = _runs(judge, made, iterations, progress)
    return Comparison(
        system.name, made.names, dtype, device, seed, iterations, system.run.batch, False, judge.rows, judge.first,
        curves, samples, system.data.range, "", time.perf_counter() - start,
    )  # fmt: skip


def random_feed(system: System, seed: int) -> Any:
    """Make random images, uniform in the system's range, from a stream of their own.

    Args:
        system: system whose batch size, image shape, range and labels apply.
        seed: seed of the images.

    Returns: a function whose every call gives the next batch: "x", float64 (batch, channels, height, width), and "y", int64
        (batch,), where the system has labels.
    """
    streams, drawn = Streams(seed), iter(range(2**31))
    low, high = system.data.range
    shape = (system.run.batch, *system.data.shape)

    def feed() -> dict[str, np.ndarray]:
        position = Position(next(drawn))
        batch = {"x": streams.sample(Distribution("uniform", low, high), "crosscheck/x", position, shape)}
        if "y" in system.symbols:
            labels = Distribution("uniform", 0.0, float(system.data.labels))
            batch["y"] = streams.labels(labels, "crosscheck/y", position, system.run.batch)
        return batch

    return feed


class _Witnesses:
    """All that compute: those that are compared, and those that show what one rounding changes."""

    def __init__(self, system: System, seed: int, dtype: str, device: str, names: tuple[str, ...]) -> None:
        self.system, self.seed, self.dtype, self.device = system, seed, dtype, device
        self.trained = [name for name in names if name != REFERENCE]
        self.names = (EXACT, *self.trained) if dtype == "float32" else names
        self.dtypes = {name: "float64" if name in (EXACT, REFERENCE) else dtype for name in self.names}
        self.computes = {REFERENCE: Defined(system, seed).computes} if REFERENCE in self.names else {}

    def compared(self, *, whole_run: bool = False) -> list[_Given]:
        """Returns: those that are compared, anew; in a whole run those alone that train."""
        made: list[Witness] = []
        for name in self.names:
            if name == REFERENCE:
                made += [Defined(self.system, self.seed)] * (not whole_run)
            else:
                backend = self.trained[0] if name == EXACT else name
                options = {"dtype": self.dtypes[name], "device": self.device}
                made.append(Trained(backend, self.system, self.seed, name=name, **options))
        return [_Given(witness, random_feed(self.system, self.seed)) for witness in made]

    def moved(self) -> list[_Given]:
        """Returns: the first witness in float64, all that it is given moved by one rounding of the dtype, several times."""
        return [self._moved(Rounding(self.dtype, seed)) for seed in range(MOVED)]

    def _moved(self, rounding: Rounding) -> _Given:
        options: dict[str, Any] = {"dtype": "float64", "device": self.device, "factors": rounding.factors}
        options["draws"] = rounding.draws(StreamDraws(self.system, self.seed))
        witness = Trained(self.trained[0], self.system, self.seed, name="moved", **options)
        return _Given(witness, rounding.batches(random_feed(self.system, self.seed)), rounding)


def _lockstep(judge: Judge, made: _Witnesses, iterations: int, progress: Callable[[], None]) -> None:
    compared = made.compared()
    moved = made.moved()
    first, others = compared[0], [*compared[1:], *moved]  # the first computes in float64
    for iteration in range(iterations):
        counts = {id(given): given.witness.repeats() for given in others}
        for step, repeat in first.witness.repeats():
            place = Place(iteration, step, repeat)
            follows = [next(counts[id(given)], None) for given in others]
            if _add_repeats(judge, compared, place, follows[: len(compared) - 1]):
                return  # one repeats a step and another does not: from here on nothing can be compared
            state = first.witness.state()
            for given in others:
                given.load(state)
            records = [_repeat(given, place, first.witness) for given in (first, *others)]
            _add(judge, compared, records)
        ends = [next(counts[id(given)], None) for given in others]
        if any(end is not None for end in ends[: len(compared) - 1]):
            _add_repeats(judge, compared, Place(iteration), [*ends[: len(compared) - 1]])
            return
        records = [_end(given, iteration) for given in (first, *others)]
        _add(judge, compared, records)
        progress()


def _repeat(given: _Given, place: Place, first: Witness) -> Record:
    """Returns: all that a witness says of one repeat."""
    names = Names(given.witness.system, place)
    computed = given.witness.compute(place, given.next_batch)
    given.witness.update(first.gradients)
    return record_of([*computed, *names.state(given.witness.state(), ("moments", "parameters", "carried"))])


def _end(given: _Given, iteration: int) -> Record:
    given.witness.end_iteration()
    names = Names(given.witness.system, Place(iteration))
    return record_of(names.state(given.witness.state(), ("averages",)))


def _add(judge: Judge, compared: Sequence[_Given], records: Sequence[Record]) -> list[Difference]:
    said, rest = records[: len(compared)], records[len(compared) :]
    by_name = {given.witness.name: record for given, record in zip(compared, said, strict=True)}
    return judge.add(Witnessed(by_name, said[0], rest))


def _add_repeats(judge: Judge, compared: Sequence[_Given], place: Place, follows: Sequence[Any]) -> bool:
    """Compare which repeat each witness does next. Returns: whether one does another."""
    own = (place.step, place.repeat) if place.step is not None else None
    said = [own, *follows]
    records = {}
    for given, which in zip(compared, said, strict=True):
        value = np.array([-1, -1] if which is None else which, dtype=np.int64)
        quantity = Quantity("schedule", "the next step and repeat; -1 where the iteration ends", place, value)
        records[given.witness.name] = record_of([quantity])
    return not all(difference.agrees for difference in judge.add(Witnessed(records, {}, [])))


def _runs(
    judge: Judge, made: _Witnesses, iterations: int, progress: Callable[[], None]
) -> tuple[dict[tuple[str, tuple[str, str]], tuple[Point, ...]], dict[str, np.ndarray]]:
    """Let each that trains run alone, and compare reports, the last state, and what G then makes."""
    compared = made.compared(whole_run=True)
    moved = made.moved()
    everyone = [*compared, *moved]
    for given in moved:
        given.load(given.witness.state())
    curves: dict[tuple[str, tuple[str, str]], list[Point]] = {}
    for iteration in range(iterations):
        records = [record_of(given.witness.iterate(iteration, given.next_batch)) for given in everyone]
        for d in _add(judge, compared, records):
            point = Point(iteration, d.error, d.allowance)
            curves.setdefault((d.name.removeprefix("report "), d.pair), []).append(point)
        progress()
    last = Place(iterations - 1)
    latents = _latents(made.system, made.seed)
    records = [record_of(_last(given, last, latents)) for given in everyone]
    _add(judge, compared, records)
    samples = {
        given.witness.name: record[last, _SAMPLES].value[:SAMPLES]
        for given, record in zip(compared, records, strict=False)
        if (last, _SAMPLES) in record
    }
    return {key: tuple(points) for key, points in curves.items()}, samples


def _latents(system: System, seed: int) -> Sequence[np.ndarray] | None:
    """Returns: inputs of G; None where there is no G, or where its formulas give it something that is not drawn."""
    try:
        return sample_latents(system, seed) if "G" in system.networks else None
    except UserError:
        return None


def _last(given: _Given, place: Place, latents: Sequence[np.ndarray] | None) -> Iterator[Quantity]:
    """Yields: the state after a run, and images that G makes in inference."""
    system, trained = given.witness.system, given.witness
    assert isinstance(trained, Trained)
    yield from Names(system, place).state(trained.state(), _STATE, "state, all iterations")
    if latents is not None:
        images = trained.generate(*latents)
        yield Quantity("sample, all iterations", _SAMPLES, place, images, network="G")
