"""Runs somebody's code beside ganspec's own training, iteration by iteration, and judges what both compute."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.state import initial_state
from ganspec.spec.training.streams import Streams
from ganspec.tools.agreement.cases import with_guess
from ganspec.tools.agreement.given import random_feed
from ganspec.tools.agreement.judge import Judge, Witnessed
from ganspec.tools.conformance.conventions import Conventions
from ganspec.tools.conformance.draws import Tape
from ganspec.tools.conformance.errors import ConformanceError, line_in
from ganspec.tools.conformance.expected import Expected
from ganspec.tools.conformance.numpy_random import ReplayedGenerator, ReplayedState
from ganspec.tools.conformance.observer import Observer
from ganspec.tools.conformance.reachable import Reachable
from ganspec.tools.conformance.report import OURS, YOURS
from ganspec.tools.conformance.returned import add_returned
from ganspec.tools.conformance.sides import Side


@dataclass(frozen=True)
class Asked:
    """What a check was asked to do; the fields are arguments of `check`.

    Args:
        kinds: kinds of quantity that are compared; None for all.
        feed: function that makes the function which gives batches; None for random images.
        streams: function that makes the streams of a seed.
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


def run(asked: Asked, side: Side, reachable: Reachable, conventions: Conventions) -> tuple[list[str], Judge]:
    """Train both, and stop after the repeat in which they first disagree.

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
        observer = Observer(system, repeats, tape, side.blind)
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
        finished = len(repeats) if stopped is None else observer.current
        for repeat, theirs in zip(repeats[:finished], observer.records[:finished], strict=True):
            kinds = asked.kinds
            ours = {k: q for k, q in repeat.record.items() if k in theirs and (kinds is None or q.kind in kinds)}
            judge.add(Witnessed({OURS: ours, YOURS: {key: theirs[key] for key in ours}}, repeat.exact, repeat.moved))
            if judge.first is not None:
                records = {OURS: repeat.record, YOURS: theirs}
                found = replace(judge.first, odd=YOURS)
                guessed = with_guess(found, system, records, repeat.before, tape.source, earlier)
                judge.first = (
                    found if guessed.guess.startswith(f"if {YOURS}") else guessed
                )  # ganspec's word is the spec's
                return [*notes, *([f"after that nothing could be compared: {stopped}"] if stopped else [])], judge
            earlier |= {(repeat.place.step, name): quantity.value for (_, name), quantity in repeat.exact.items()}
        if stopped is not None:
            raise stopped
        # What was compared makes room for the next iteration: memory that is used again costs nothing.
        for record in (*observer.records, *(r.record for r in repeats), *(r.exact for r in repeats)):
            record.clear()
    return notes, judge


def _train(asked: Asked, side: Side, reachable: Reachable, observer: Observer, feed: Callable[[], Any]) -> Any:
    """Let the code train one iteration. Returns: what it returned."""
    system, given = asked.system, []
    clip = {n: o.clip for n, o in system.optimizers.items()}
    waiting: dict[str, int] = {}  # networks whose parameters may still be clipped, and the repeat to which these belong

    def say_parameters(network: str) -> None:
        if network in waiting:
            observer.say_state(waiting.pop(network), "parameter", network, side.arrays(network, trained=True))

    def ended(networks: list[str], moments: Mapping[str, np.ndarray]) -> None:
        number = observer.updated(networks, moments)
        for network in networks:
            own = clip[network]
            waiting[network] = observer.current if number is None else number
            if own is None or own.when == "before":
                say_parameters(network)
        if number is not None:
            for network in side.modules:
                observer.say_state(number, "statistic", network, side.arrays(network, trained=False))

    def next_batch() -> Any:
        batch = feed()
        x = batch["x"].reshape(len(batch["x"]), *asked.x_shape) if asked.x_shape is not None else batch["x"]
        arrays = [side.batch(x.astype(asked.dtype)), *([side.batch(batch["y"])] if "y" in system.symbols else [])]
        given.extend((a, np.array(side.to_numpy(a))) for a in arrays)
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    observer.before = say_parameters
    undo = reachable.exchange(lambda value: _replayed(value, observer))
    try:
        with side.watched(observer, ended):
            returned = _call(asked, next_batch)
    except ConformanceError:
        raise
    except Exception as error:
        if observer.failure is not None:
            raise observer.failure from None
        raise _failed(error, asked.dtype) from error
    finally:
        undo()
    for network in list(waiting):
        say_parameters(network)
    if side.blind:
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
        observer.say_state(last, "parameter", network, arrays)
        observer.say_state(len(observer.steps) - 1, "statistic", network, arrays)


def _call(asked: Asked, next_batch: Callable[[], Any]) -> Any:
    several = asked.system.schedule.data != "iteration" and len(asked.system.schedule.steps) + max(
        s.repeat for s in asked.system.schedule.steps
    ) > 2  # fmt: skip
    if several:
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


def _forever(next_batch: Callable[[], Any]) -> Iterator[Any]:
    while True:
        yield next_batch()


def _failed(error: Exception, dtype: str) -> ConformanceError:
    line, text = line_in(error), str(error)
    message = f"{line}: your step raised {type(error).__name__}: {text}"
    if dtype == "float64" and any(word in text.lower() for word in ("dtype", "float", "double", "same type")):
        message += (
            '\n    the check runs in float64; code that makes float32 numbers by itself is checked with dtype="float32"'
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
