"""Witnesses side by side on one system: first in lockstep, then each in a run of its own.

In lockstep every witness starts each repeat of each step from the same state, so that a difference is found where it arises:
every layer, formula, gradient, update. In a run of its own each goes on from where it is, and what is compared may grow apart
as fast as one rounding at the start makes it, and no faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.draws import StreamDraws
from ganspec.tools.agreement.cases import with_guess
from ganspec.tools.agreement.evidence import Evidence, RecordingDraws
from ganspec.tools.agreement.given import WITNESSES, Altered, Given, Settings
from ganspec.tools.agreement.judge import Judge, Record, Witnessed, movement_of, record_of
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Point, Quantity
from ganspec.tools.agreement.witnesses import REFERENCE, Trained, Witness
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.latents import sample_latents

SAMPLES = 8  # images that a report shows of each witness
_SAMPLES = "samples of G"
_STATE = ("parameters", "statistics", "moments", "averages", "carried")
Curves = Mapping[tuple[str, tuple[str, str]], tuple[Point, ...]]


def crosscheck_system(
    system: System,
    *,
    seed: int = 0,
    dtype: str = "float64",
    device: str = "cpu",
    iterations: int = 10,
    witnesses: Sequence[str] = WITNESSES,
    altered: Mapping[str, Altered] | None = None,
    on_divergence: Callable[[Divergence, Evidence], str] = lambda divergence, evidence: "",
    progress: Callable[[], None] = lambda: None,
) -> Comparison:
    """Compare witnesses on a system, on random images.

    Args:
        system: system to compute.
        seed: seed of parameters, draws and images.
        dtype: "float64", or "float32": then each witness that trains is compared with one in float64, too.
        device: "cpu", "cuda" or "cuda:N".
        iterations: number of iterations, from 1.
        witnesses: names of backends, and "reference"; the first trains. In float32 the reference, which computes in float64, is
            left out.
        altered: what single witnesses are given in place of what all are given, by name: to see that it is noticed.
        on_divergence: called with the first divergence where it is found in lockstep, and all that is needed to see it again; it
            returns the path of the bundle that it wrote, or nothing.
        progress: called after each iteration of either part.

    Returns: what was found.

    Raises:
        UserError: a framework or the device is not there.
    """
    start = time.perf_counter()
    draws = StreamDraws(system, seed)
    given = Settings(system, seed, dtype, device, tuple(witnesses), draws, altered=altered or {})
    judge = Judge(given.names, given.dtypes, given.computes)
    with np.errstate(all="ignore"):  # the verdict says what is not finite, once
        bundle = _lockstep(judge, given, iterations, on_divergence, progress)
        curves, samples = _runs(judge, given, iterations, progress)
    return Comparison(
        system.name, given.names, dtype, device, seed, iterations, system.run.batch, False, judge.rows, judge.first,
        curves, samples, system.data.range, bundle, time.perf_counter() - start,
    )  # fmt: skip


def replay(
    system: System, evidence: Evidence, *, seed: int, dtype: str, device: str, witnesses: Sequence[str]
) -> Comparison:
    """Compare witnesses on one iteration again, from its beginning to the place of a divergence.

    Args:
        system: the system.
        evidence: state, batches and draws of the iteration.
        seed: seed of what was not recorded.
        dtype, device, witnesses: as in `crosscheck_system`.

    Returns: what was found; its first divergence is the same if nothing has changed.

    Raises:
        UserError: a framework or the device is not there.
        StateError, BatchError, DrawError: the evidence is not of this system.
        ValueError: it has more batches than are drawn.
    """
    start, feeds = time.perf_counter(), []

    def feed() -> Any:
        feeds.append(iter(evidence.batches))
        return feeds[-1].__next__

    given = Settings(
        system, seed, dtype, device, tuple(witnesses), evidence.draws, evidence.state,
        feed,
    )  # fmt: skip
    judge = Judge(given.names, given.dtypes, given.computes)
    with np.errstate(all="ignore"):
        _lockstep(judge, given, 1, lambda divergence, found: "", lambda: None, evidence.place)
    left = len(list(feeds[0]))
    if left and not any(row.wrong for row in judge.rows if row.kind == "schedule"):  # else it ended before the place
        count = len(evidence.batches)
        raise ValueError(f"it has {count} batches, but only {count - left} are drawn up to that place")
    return Comparison(
        system.name, given.names, dtype, device, seed, 1, system.run.batch, False, judge.rows, judge.first,
        image_range=system.data.range, seconds=time.perf_counter() - start,
    )  # fmt: skip


def _lockstep(
    judge: Judge,
    settings: Settings,
    iterations: int,
    on_divergence: Callable[[Divergence, Evidence], str],
    progress: Callable[[], None],
    end: Place | None = None,
) -> str:
    """Compare all witnesses from the same states, to the end of the iterations or to a place.

    Returns: the path of the bundle, where one was written.
    """
    recording, bundle = RecordingDraws(settings.draws), ""
    compared, moved = settings.compared(settings.names, recording), settings.moved()
    first, others = compared[0], [*compared[1:], *moved]  # the first computes in float64
    batches: list[Mapping[str, np.ndarray]] = []
    earlier: dict[tuple[int | None, str], np.ndarray] = {}  # newest value of each quantity, by step and name

    def next_batch() -> Mapping[str, np.ndarray]:
        batches.append(first.next_batch())
        return batches[-1]

    everyone = [replace(first, next_batch=next_batch), *others]
    if settings.start is None:  # else all have started from the same state
        _add(judge, settings.names, [record_of(_start(given.witness)) for given in everyone])
    begin = settings.start.iteration if settings.start else 0
    for iteration in range(begin, begin + iterations):
        at_start = first.witness.state()
        recording.forget()
        batches.clear()
        for turn in zip_longest(*(given.witness.repeats() for given in everyone)):
            if not any(turn[: len(compared)]):
                break  # one that is moved alone goes on: what its gate reads is at the bound, but for rounding
            place = Place(iteration, *(turn[0] or (None, None)))
            if not _same_turn(judge, settings.names, place, turn):
                return bundle  # one repeats a step and another does not: from here on nothing can be compared
            state = first.witness.state()
            for given in others:
                given.load(state)
            agreed = judge.first is None
            said, _ = _add(judge, settings.names, [_repeat(given, place, first.witness) for given in everyone])
            if agreed and judge.first is not None:
                judge.first = with_guess(judge.first, settings.system, said.records, state, recording, earlier)
                key = (judge.first.difference.place, judge.first.difference.name)
                found = {name: record[key].value for name, record in said.records.items() if key in record}
                bundle = on_divergence(
                    judge.first, Evidence(place, at_start, list(batches), recording.recorded(), found)
                )
            if place == end:
                return bundle
            earlier |= {(place.step, name): quantity.value for (_, name), quantity in said.exact.items()}
        state, agreed = first.witness.state(), judge.first is None
        said, _ = _add(judge, settings.names, [_end(given, iteration) for given in everyone])
        if agreed and judge.first is not None:
            judge.first = with_guess(judge.first, settings.system, said.records, state, recording, earlier)
        progress()
    return bundle


def _start(witness: Witness) -> Iterator[Quantity]:
    """Yields: the state before the first iteration, as a witness made it; later ones are given to all."""
    state, place = witness.state(), Place(0)
    yield from Names(witness.system, place).state(state, _STATE, "initial")
    for network, rate in state.learning_rates.items():
        yield Quantity("initial", f"learning rate of {network}", place, np.array(rate), network=network)


def _repeat(given: Given, place: Place, first: Witness) -> Record:
    """Returns: all that a witness says of one repeat."""
    names = Names(given.witness.system, place)
    computed = given.witness.compute(place, given.next_batch)
    given.witness.update(first.gradients)
    return record_of([*computed, *names.state(given.witness.state(), ("moments", "parameters", "carried"))])


def _end(given: Given, iteration: int) -> Record:
    given.witness.end_iteration()
    return record_of(Names(given.witness.system, Place(iteration)).state(given.witness.state(), ("averages",)))


def _add(judge: Judge, names: Sequence[str], records: Sequence[Record]) -> tuple[Witnessed, list[Difference]]:
    """Compare the records of the witnesses, in their order; those after them are of what one rounding moved."""
    moved = [movement_of(records[0], record) for record in records[len(names) :]]
    said = Witnessed(dict(zip(names, records, strict=False)), records[0], moved)
    return said, judge.add(said)


def _same_turn(judge: Judge, names: Sequence[str], place: Place, turn: Sequence[Any]) -> bool:
    """Compare which repeat each witness does next. Returns: whether all do the same."""
    records = {}
    for name, which in zip(names, turn, strict=False):
        value = np.array(which or (-1, -1), dtype=np.int64)
        quantity = Quantity("schedule", "the next step and repeat; -1 where the iteration ends", place, value)
        records[name] = record_of([quantity])
    return all(difference.agrees for difference in judge.add(Witnessed(records, {}, [])))


def _runs(
    judge: Judge, settings: Settings, iterations: int, progress: Callable[[], None]
) -> tuple[Curves, dict[str, np.ndarray]]:
    """Let each that trains run alone, and compare reports, the last state, and what G then makes."""
    names = [name for name in settings.names if name != REFERENCE]
    moved = settings.moved()
    for given in moved:
        given.load(given.witness.state())
    everyone = [*settings.compared(names), *moved]
    curves: dict[tuple[str, tuple[str, str]], list[Point]] = {}
    for iteration in range(iterations):
        records = [record_of(given.iterate(iteration)) for given in everyone]
        for d in _add(judge, names, records)[1]:
            point = Point(iteration, d.error, d.allowance)
            curves.setdefault((d.name.removeprefix("report "), d.pair), []).append(point)
        progress()
    last = Place(iterations - 1)
    latents = _latents(settings.system, settings.seed)
    records = [record_of(_last(given.witness, last, latents)) for given in everyone]
    said, _ = _add(judge, names, records)
    key = (last, _SAMPLES)
    samples = {name: record[key].value[:SAMPLES] for name, record in said.records.items() if key in record}
    return {key: tuple(points) for key, points in curves.items()}, samples


def _latents(system: System, seed: int) -> Sequence[np.ndarray] | None:
    """Returns: inputs of G; None where there is no G, or where its formulas give it something that is not drawn."""
    try:
        return sample_latents(system, seed) if "G" in system.networks else None
    except UserError:
        return None


def _last(trained: Trained, place: Place, latents: Sequence[np.ndarray] | None) -> Iterator[Quantity]:
    """Yields: the state after a run, and images that G makes in inference."""
    yield from Names(trained.system, place).state(trained.state(), _STATE, "state, all iterations")
    if latents is not None:
        images = trained.generate(*latents)
        yield Quantity("sample, all iterations", _SAMPLES, place, images, network="G")
