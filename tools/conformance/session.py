"""Runs somebody's code beside ganspec's own training, iteration by iteration, and judges what both compute."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.state import initial_state
from ganspec.spec.training.streams import Streams
from ganspec.tools.agreement.cases import with_guess
from ganspec.tools.agreement.given import random_feed
from ganspec.tools.agreement.judge import Judge, Record, Witnessed
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.conventions import Conventions
from ganspec.tools.conformance.draws import Tape
from ganspec.tools.conformance.errors import ConformanceError, line_in
from ganspec.tools.conformance.expected import MAYBE_ROUNDING, Expected, Repeat
from ganspec.tools.conformance.looks import Looks
from ganspec.tools.conformance.numpy_random import ReplayedGenerator, ReplayedState
from ganspec.tools.conformance.observer import Observer
from ganspec.tools.conformance.parameters import Parameters
from ganspec.tools.conformance.reachable import Reachable
from ganspec.tools.conformance.report import OURS, YOURS
from ganspec.tools.conformance.returned import add_returned
from ganspec.tools.conformance.sides import Side
from ganspec.tools.conformance.suppositions import IN_LOSS, cause_in_loss

LAYERS = ("layer", "layer gradient")  # kinds that belong to one layer of a network


@dataclass(frozen=True)
class Asked:
    """What a check was asked to do; the fields are arguments of `check`.

    Args:
        kinds: kinds of quantity that are compared; None for all.
        feed: function that makes the function which gives batches; None for random images.
        streams: function that makes the streams of a seed.
        inner: whether layers are compared whose value is not what their network gives.
        looks: evaluations that the code may make only to look, gathered, and left out if it says so.
    """

    system: System
    step: Callable[..., Any]
    iterations: int
    seed: int
    dtype: str
    reports: Mapping[str, str] | Sequence[str] | None
    x_shape: tuple[int, ...] | None
    kinds: Collection[str] | None = None
    feed: Callable[[], Callable[[], Any]] | None = None
    streams: Callable[[int], Streams] = Streams
    inner: bool = True
    looks: Looks = field(default_factory=Looks)


def run(asked: Asked, side: Side, reachable: Reachable, conventions: Conventions) -> tuple[list[str], Judge]:
    """Train both, and stop after the repeat in which they first disagree.

    Where they are so little apart that rounding may have been measured too small, more runs measure it before that is said.

    Args:
        asked: what is asked for.
        side: the networks, borrowed.
        reachable: what the step keeps.
        conventions: conventions under which draws are given.

    Returns: notes on what was not compared, and the judge.

    Raises:
        ConformanceError: the code cannot be compared, and agrees up to there.
    """
    system = asked.system
    make_feed = asked.feed or (lambda: random_feed(system, asked.seed))
    expected = Expected(system, side.backend, asked.seed, asked.dtype, side.device_name, make_feed, asked.streams)
    judge = Judge((OURS, YOURS), {OURS: asked.dtype, YOURS: asked.dtype}, {YOURS: lambda kind: False})
    feed, notes = make_feed(), list(side.notes)
    state = initial_state(system, asked.seed)
    side.start({n: {**state.of(f"parameters/{n}"), **state.of(f"statistics/{n}")} for n in side.modules})
    earlier: dict[tuple[int | None, str], np.ndarray] = {}  # newest value of each quantity, by step and name
    for iteration in range(asked.iterations):
        repeats = expected.iterate(iteration)
        places = [(r.place.step, r.place.repeat) for r in repeats if r.place.step is not None]
        tape = Tape(system, asked.seed, iteration, places, conventions, asked.streams)  # type: ignore[arg-type]
        observer = Observer(system, repeats, tape, side.blind, asked.looks)
        stopped: ConformanceError | None = None
        try:
            returned = _train(asked, side, reachable, observer, feed)
        except ConformanceError as error:
            if observer.failure is None:
                raise
            stopped = error
        else:
            add_returned(asked.system, asked.reports, repeats, observer, returned, notes, side)
        # Where the code could not go on, the repeats that it has finished are judged: what went wrong there comes first.
        finished = len(repeats) if stopped is None else observer.current + observer.unmasked
        for repeat, theirs in zip(repeats[:finished], observer.kept.records[:finished], strict=True):
            kinds = asked.kinds
            ours = {
                k: q
                for k, q in repeat.record.items()
                if k in theirs and (kinds is None or q.kind in kinds) and (asked.inner or not _is_inner(system, q))
            }
            judge = _judged(judge, repeat, ours, theirs, partial(expected.measure_again, repeats))
            if judge.first is not None:
                records = {OURS: repeat.record, YOURS: theirs}
                found = replace(judge.first, odd=YOURS)
                guessed = with_guess(found, system, records, repeat.before, tape.source, earlier)
                if guessed.guess.startswith(f"if {YOURS}"):  # ganspec's word is the spec's
                    guessed = found
                if not guessed.guess or found.difference.kind in IN_LOSS:
                    how = {
                        "backend": side.backend,
                        "seed": asked.seed,
                        "dtype": asked.dtype,
                        "device": side.device_name,
                        "draws": tape.source,
                    }
                    cause = cause_in_loss(found, system, repeat.record, theirs, make_feed, how)
                    guessed = replace(guessed, guess=cause or guessed.guess)
                judge.first = guessed
                return [*notes, *([f"after that nothing could be compared: {stopped}"] if stopped else [])], judge
            earlier |= {(repeat.place.step, name): quantity.value for (_, name), quantity in repeat.exact.items()}
        if stopped is not None:
            raise stopped
        # What was compared makes room for the next iteration: memory that is used again costs nothing.
        for record in (*observer.kept.records, *(r.record for r in repeats), *(r.exact for r in repeats)):
            record.clear()
    return notes, judge


def _judged(before: Judge, repeat: Repeat, ours: Record, theirs: Record, measure_again: Callable[[], bool]) -> Judge:
    """Returns: the judge after a repeat, which calls nothing wrong that more runs show to be rounding."""
    records = {OURS: ours, YOURS: {key: theirs[key] for key in ours}}
    while True:
        judge = before.copy()
        judge.add(Witnessed(records, repeat.exact, repeat.moved))
        if judge.first is None or judge.first.difference.ratio > MAYBE_ROUNDING or not measure_again():
            return judge


def _train(asked: Asked, side: Side, reachable: Reachable, observer: Observer, feed: Callable[[], Any]) -> Any:
    """Let the code train one iteration. Returns: what it returned."""
    system, given = asked.system, []
    parameters = None if side.blind else Parameters(side, observer)

    def ended(networks: list[str], moments: Mapping[str, np.ndarray]) -> None:
        number = observer.updated(networks, moments)
        for network in networks:
            if parameters is not None:
                parameters.moved(network, observer.current if number is None else number)
        if number is not None:
            for network in side.modules:
                observer.kept.say_state(number, "statistic", network, side.arrays(network, trained=False))

    def next_batch() -> Any:
        batch = feed()
        x = batch["x"].reshape(len(batch["x"]), *asked.x_shape) if asked.x_shape is not None else batch["x"]
        arrays = [side.batch(x.astype(asked.dtype)), *([side.batch(batch["y"])] if "y" in system.symbols else [])]
        given.extend((a, np.array(side.to_numpy(a))) for a in arrays)
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    if parameters is not None:
        observer.before = parameters.used
    undo = reachable.exchange(lambda value: _replayed(value, observer))
    try:
        with side.watched(observer, ended):
            returned = _call(asked, next_batch)
    except ConformanceError:
        raise
    except Exception as error:
        if observer.failure is not None:
            raise observer.failure from None
        raise _failed(error, asked.dtype, several=_takes_several(asked.system)) from error
    finally:
        undo()
    if parameters is not None:
        parameters.end()
    else:
        _say_all(side, observer)
    for number, (array, before) in enumerate(given):
        if not np.array_equal(side.to_numpy(array), before):
            name = "xy"[number % 2] if "y" in system.symbols else "x"
            raise ConformanceError(
                f"your step changed the batch '{name}' in place; work on a copy, x.clone() or x.copy()"
            )
    observer.end()
    return returned


def _say_all(side: Side, observer: Observer) -> None:
    """Keep the parameters and statistics after an iteration, where only these are seen."""
    for network in side.modules:
        last = max(n for n, r in enumerate(observer.steps) if network in r.plan.step.update)
        arrays = side.arrays(network, trained=True)
        observer.kept.say_state(last, "parameter", network, arrays)
        observer.kept.say_state(len(observer.steps) - 1, "statistic", network, arrays)


def _call(asked: Asked, next_batch: Callable[[], Any]) -> Any:
    if _takes_several(asked.system):
        return asked.step(_forever(next_batch))
    batch = next_batch()
    batch = batch if isinstance(batch, tuple) else (batch,)
    try:
        inspect.signature(asked.step).bind(*batch)
    except ValueError:  # a function without a signature
        pass
    except TypeError as error:
        what = "x and y, images and labels" if len(batch) == 2 else "x, the images"
        raise ConformanceError(f"the step cannot be called with {what}: {error}") from None
    return asked.step(*batch)


def _takes_several(system: System) -> bool:
    """Returns: whether an iteration takes several batches, so that a step is called with an iterator of them."""
    steps = system.schedule.steps
    return system.schedule.data != "iteration" and len(steps) + max(s.repeat for s in steps) > 2


def _forever(next_batch: Callable[[], Any]) -> Iterator[Any]:
    while True:
        yield next_batch()


def _is_inner(system: System, quantity: Quantity) -> bool:
    """Returns: whether a quantity belongs to a layer's value that is not what its network gives."""
    if quantity.kind not in LAYERS:
        return False
    outputs = system.networks[quantity.network].outputs.values()
    return quantity.kind == "layer gradient" or quantity.layer not in outputs


def _failed(error: Exception, dtype: str, *, several: bool) -> ConformanceError:
    line, text = line_in(error), str(error)
    message = f"{line}: your step raised {type(error).__name__}: {text}"
    if "double backward" in text:
        message += '\n    a penalty is differentiated twice; of the compilers of PyTorch "eager" can do so'
    elif (
        dtype == "float64"
        and not isinstance(error, AttributeError)
        and any(word in text.lower() for word in ("dtype", "float", "double", "same type"))
    ):
        message += (
            '\n    the check runs in float64; code that makes float32 numbers by itself is checked with dtype="float32"'
        )
    if several and "generator" in text:
        message += (
            "\n    an iteration takes several batches here, so the step is called with an iterator: x = next(batches)"
        )
    return ConformanceError(message)


def _replayed(value: Any, observer: Observer) -> Any:
    if isinstance(value, np.random.Generator):
        return ReplayedGenerator(observer.draw)
    if isinstance(value, np.random.RandomState):
        return ReplayedState(observer.draw)
    own = getattr(value, "__self__", None)  # `from numpy.random import rand`
    if isinstance(own, np.random.RandomState) and callable(value):
        return getattr(ReplayedState(observer.draw), value.__name__, None)
    return None
