"""Checks a whole training step of somebody's own against a system."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganspec.spec import SpecError, load_system
from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.options import DTYPES
from ganspec.spec.training.state import initial_state
from ganspec.tools.agreement.cases import with_guess
from ganspec.tools.agreement.crosscheck import random_feed
from ganspec.tools.agreement.judge import Judge, Witnessed
from ganspec.tools.agreement.report import Comparison
from ganspec.tools.conformance.conventions import Conventions, alternatives, read_conventions
from ganspec.tools.conformance.draws import Tape
from ganspec.tools.conformance.errors import ConformanceError, line_in
from ganspec.tools.conformance.expected import Expected, Repeat, reports_of
from ganspec.tools.conformance.mapping import match_arrays
from ganspec.tools.conformance.numpy_random import ReplayedGenerator, ReplayedState
from ganspec.tools.conformance.observer import Observer
from ganspec.tools.conformance.reachable import Reachable
from ganspec.tools.conformance.report import OURS, YOURS, ConformanceReport
from ganspec.tools.conformance.sides import Side, make_side

MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class _Asked:
    """What a check was asked to do."""

    system: System
    step: Callable[..., Any]
    iterations: int
    seed: int
    dtype: str
    reports: Mapping[str, str] | Sequence[str] | None
    x_shape: tuple[int, ...] | None


def check(
    system: str | System,
    step: Callable[..., Any],
    *,
    optimizers: Mapping[str, Any] | None = None,
    iterations: int = 2,
    seed: int = 0,
    dtype: str = "float64",
    settings: Sequence[str] = (),
    reduced: bool = False,
    mapping: Mapping[str, Mapping[str, str]] | None = None,
    conventions: Mapping[str, object] | None = None,
    reports: Mapping[str, str] | Sequence[str] | None = None,
    x_shape: Sequence[int] | None = None,
    suggest: bool = True,
    **networks: Any,
) -> ConformanceReport:
    """Train somebody's own networks beside ganspec's, from the same start on the same batches and draws, and compare all numbers.

    The code is not changed: its networks get the spec's first parameters, and what it draws is answered with the spec's numbers.
    Afterwards networks, optimisers and the numbers that the step keeps are as they were.

    Args:
        system: name of a packaged system or path of a TOML file, either perhaps a variant's name after a slash, or a loaded
            system.
        step: function that trains one iteration. It is called with x, (batch, channels, height, width) in the system's range, or
            with x and y where the system has labels; where an iteration takes several batches, with an iterator of what it would
            have been called with. It may return its reports, a dictionary of numbers.
        optimizers: each network's optimiser, by the network's name; those that are left out are found when they step.
        iterations: number of iterations, 1 to 1000.
        seed: seed of parameters, batches and draws.
        dtype: "float64", or "float32" for code that computes in nothing else; networks are turned to it for the check.
        settings: changes of the system's keys, "KEY=VALUE" each, such as "run.batch=16".
        reduced: whether the system is taken at its reduced sizes.
        mapping: for a network, names of its arrays or layers by the spec's: {"D": {"l1": "fc1", "l2/W": "fc2.weight"}}.
        conventions: harmless differences: {"eps": "complement"}; see `conventions.read_conventions`.
        reports: the spec's names of what the step returns: {"d_loss": "loss_D"}, or a list for a tuple.
        x_shape: shape of one image as the step takes it, such as [784]; None for (channels, height, width).
        suggest: whether a disagreement is tried again under conventions that were not declared.
        networks: the networks by the system's names, G=..., D=...: `torch.nn.Module`s, `chainer.Chain`s, or for NumPy dictionaries
            of arrays, which the step changes in place.

    Returns: what was found; `report.agrees`, and the whole story as its text.

    Raises:
        ConformanceError: the code cannot be compared: a network does not fit, a draw is not the spec's, an update is out of order.
    """
    start = time.perf_counter()
    loaded = load(system, settings, reduced)
    if dtype not in DTYPES:
        raise ConformanceError(f"dtype is {dtype!r}, {expected_one_of(DTYPES)}")
    if not 1 <= iterations <= MAX_ITERATIONS:
        raise ConformanceError(f"iterations is {iterations}, expected a number from 1 to {MAX_ITERATIONS}")
    if not callable(step):
        raise ConformanceError(f"the step is a {type(step).__name__}, expected a function that trains one iteration")
    declared = read_conventions(loaded, conventions)
    side = make_side(loaded, networks, optimizers or {}, dtype)
    match_all(loaded, side, mapping or {})
    asked = _Asked(loaded, step, iterations, seed, dtype, reports, tuple(x_shape) if x_shape is not None else None)
    reachable = Reachable(step, [*networks.values(), *(optimizers or {}).values()])
    with side.borrowed(), _random_generators_kept(reachable):
        restore = reachable.snapshot()
        try:
            found, judge = _run(asked, side, reachable, declared)
            suggestion = ""
            if judge.first is not None and suggest:
                suggestion = _suggestion(asked, side, reachable, declared, restore, judge)
        finally:
            restore()
    comparison = Comparison(
        loaded.name, (OURS, YOURS), dtype, side.device_name, seed, iterations, loaded.run.batch, reduced, judge.rows,
        judge.first, image_range=loaded.data.range, seconds=time.perf_counter() - start,
    )  # fmt: skip
    return ConformanceReport(comparison, side.backend, suggestion, tuple(found), {**declared.declared})


def load(system: str | System, settings: Sequence[str] = (), reduced: bool = False) -> System:
    """Returns: a system by name, with settings. Raises: ConformanceError: there is none, or it is wrong."""
    if isinstance(system, System):
        if settings or reduced:
            raise ConformanceError("settings and reduced are for a system's name; give them to load_system")
        return system
    try:
        return load_system(system, settings, reduced=reduced)
    except SpecError as error:
        raise ConformanceError(str(error)) from None


def match_all(system: System, side: Side, mapping: Mapping[str, Mapping[str, str]]) -> None:
    """Find the spec's arrays in the networks of a side.

    Raises:
        ConformanceError: something does not fit.
    """
    for name in mapping:
        if name not in side.modules:
            hint = did_you_mean(name, side.modules)
            raise ConformanceError(
                f"mapping: there is no network '{name}': {expected_one_of(side.modules)}"
                + (f"; {hint}" if hint else "")
            )
    side.check({n: match_arrays(system.networks[n], side.held(n), mapping.get(n), n) for n in side.modules})


def _suggestion(
    asked: _Asked, side: Side, reachable: Reachable, declared: Conventions, restore: Callable[[], None], found: Judge
) -> str:
    """Returns: the convention under which everything agrees, as a sentence; "" where there is none."""
    short = replace(
        asked, iterations=min(asked.iterations, found.first.difference.place.iteration + 1 if found.first else 1)
    )
    for sentence, given in alternatives(asked.system, declared):
        restore()
        try:
            _, judge = _run(short, side, reachable, read_conventions(asked.system, given))
        except ConformanceError:
            continue
        if judge.first is None:
            return f"everything agrees if {sentence}: declare conventions={given!r}"
    return ""


def _run(asked: _Asked, side: Side, reachable: Reachable, conventions: Conventions) -> tuple[list[str], Judge]:
    system = asked.system
    expected = Expected(
        system, side.backend, asked.seed, asked.dtype, side.device_name, lambda: random_feed(system, asked.seed)
    )
    judge = Judge((OURS, YOURS), {OURS: asked.dtype, YOURS: asked.dtype}, {YOURS: lambda kind: False})
    feed, notes = random_feed(system, asked.seed), list(side.notes)
    state = initial_state(system, asked.seed)
    side.start({n: {**state.of(f"parameters/{n}"), **state.of(f"statistics/{n}")} for n in side.modules})
    for iteration in range(asked.iterations):
        repeats = expected.iterate(iteration)
        places = [(r.place.step, r.place.repeat) for r in repeats if r.place.step is not None]
        tape = Tape(system, asked.seed, iteration, places, conventions)  # type: ignore[arg-type]
        observer = Observer(system, repeats, tape, side.blind)
        returned = _train(asked, side, reachable, observer, feed)
        _add_returned(asked, repeats, observer, returned, notes, side)
        for repeat, theirs in zip(repeats, observer.records, strict=True):
            ours = {key: quantity for key, quantity in repeat.record.items() if key in theirs}
            judge.add(Witnessed({OURS: ours, YOURS: {key: theirs[key] for key in ours}}, repeat.exact, repeat.moved))
            if judge.first is not None:
                found = replace(judge.first, odd=YOURS)
                judge.first = with_guess(
                    found, system, {OURS: repeat.record, YOURS: theirs}, repeat.before, tape.source
                )
                return notes, judge
    return notes, judge


def _train(asked: _Asked, side: Side, reachable: Reachable, observer: Observer, feed: Callable[[], Any]) -> Any:
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
        given.extend((a, side.to_numpy(a)) for a in arrays)
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


def _call(asked: _Asked, next_batch: Callable[[], Any]) -> Any:
    several = asked.system.schedule.data != "iteration" and len(asked.system.schedule.steps) + max(
        s.repeat for s in asked.system.schedule.steps
    ) > 2  # fmt: skip
    if several:
        return asked.step(iter(next_batch, object()))
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


def _add_returned(
    asked: _Asked, repeats: Sequence[Repeat], observer: Observer, returned: Any, notes: list[str], side: Side
) -> None:
    """Keep what the step returned as reports, by the spec's names."""
    wanted = reports_of(list(repeats))
    given: dict[str, Any] = {}
    if isinstance(returned, Mapping):
        names = asked.reports if isinstance(asked.reports, Mapping) else {}
        given = {names.get(str(key), str(key)): value for key, value in returned.items()}
    elif isinstance(returned, (tuple, list)) and asked.reports is not None and not isinstance(asked.reports, Mapping):
        if len(returned) != len(asked.reports):
            raise ConformanceError(f"reports has {len(asked.reports)} names, your step returns {len(returned)} numbers")
        given = dict(zip(asked.reports, returned, strict=True))
    elif returned is not None:
        note = f"what the step returns, a {type(returned).__name__}, is not compared; name it with reports=[...]"
        notes.extend([note] if note not in notes else [])
    for name, value in given.items():
        if name not in wanted:
            hint = did_you_mean(name, wanted)
            raise ConformanceError(
                f"your step reports '{name}', which {asked.system.name} does not: {expected_one_of(wanted)}"
                + (f"; {hint}" if hint else "")
                + f'\n    give it the spec\'s name: reports={{"{name}": "..."}}, or leave it out'
            )
        array = side.to_numpy(value)
        if array.size != 1:
            raise ConformanceError(
                f"your step reports '{name}' as an array of shape {list(array.shape)}, expected one number"
            )
        ours = wanted[name]
        number = next(i for i, r in enumerate(repeats) if r.place == ours.place)
        observer.records[number][ours.place, ours.name] = replace(
            ours, value=array.astype(ours.value.dtype).reshape(())
        )


@contextlib.contextmanager
def _random_generators_kept(reachable: Reachable) -> Iterator[None]:
    """Leave NumPy's global generator as it was."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)
