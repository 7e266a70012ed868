"""Cases of training: a system from given parameters, on given batches and draws, for some iterations.

A repeat of a step is called ITERATION.STEP.REPEAT, all from 0: "0.1.0". The k-th evaluation of a network in a repeat, in the
order of the plan, is called NETWORK#k: "D#0". Expected are

    0.0.0/losses/D, 0.0.0/reports/M       of every repeat
    0.0.0/gradients/D/l1/W                of every repeat of iteration 0
    0.0.0/definitions/x_hat               of iteration 0: the loss file's own definitions
    0.0.0/layers/D#1/c1                   of the first repeat of each step of iteration 0
    state/1/parameters/D/l1/W             the whole state after so many iterations
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec import System
from ganspec.spec.description import describe
from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import RecordedDraws, StreamDraws
from ganspec.spec.training.results import StepResult
from ganspec.spec.training.state import TrainingState, initial_state
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.vectors.case import SEED, Arrays, Case, as_float32
from ganspec.tools.vectors.expressions import expression

BACKEND = "torch"  # which is asked when a case is made: for the repeats that gates leave, and the draws that they read


@dataclass
class _Recorder:
    """A source of draws and batches that keeps what it gives, by the names of a case.

    Args:
        system: system to draw for.
        given: what was drawn so far.
        newest: name of the newest draw of each symbol.
    """

    system: System
    given: Arrays = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._streams, self._feed, self._batches = StreamDraws(self.system, SEED), random_feed(self.system, SEED), 0

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        self.newest[name] = f"draws/{name}/{_place(at)}"
        self.given[self.newest[name]] = as_float32(self._streams.symbol(name, symbol, at, batch))
        return self.given[self.newest[name]]

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        name = f"masks/{_place(at)}/{network}#{at.occurrence}/{layer.name}"
        self.given[name] = self._streams.mask(network, layer, at, shape)
        return self.given[name]

    def next_batch(self) -> dict[str, np.ndarray]:
        batch = {name: as_float32(values) for name, values in self._feed().items()}
        for name, values in batch.items():
            self.newest[name] = f"batches/{self._batches}/{name}"
            self.given[self.newest[name]] = values
        self._batches += 1
        return batch


def make_case(case: str, system: System, loaded: Mapping[str, Any], iterations: int) -> Case:
    """Make a case of a system, which trains from its initial state.

    Args:
        case: id of the case.
        system: the system.
        loaded: what `load_system` was given, as JSON.
        iterations: number of iterations.

    Returns: the case; what is drawn stands in `given`.
    """
    recorder, repeats = _Recorder(system), []
    drawn = {name: as_float32(array) for name, array in initial_state(system, SEED).arrays.items()}
    state = _start(system, drawn)
    trainer = backends.make_trainer(BACKEND, system, SEED, state, dtype="float64", draws=recorder)

    def note(result: StepResult) -> None:
        plan = result.plan
        place = f"{trainer.iteration}.{result.step}.{result.repeat}"
        masks = _by_evaluation([name for name in recorder.given if name.startswith(f"masks/{place}/")])
        repeats.append(
            {
                "place": place,
                "update": list(plan.step.update),
                "reads": {name: recorder.newest[name] for name in plan.draws()},
                "masks": masks,
                "evaluations": {name: expression(plan, i) for i, name in evaluations(plan).items()},
            }
        )

    found = _observed(trainer, BACKEND, iterations, recorder.next_batch, note)
    facts = {"loaded": dict(loaded), "iterations": iterations, "system": describe(system), "repeats": repeats}
    given = {f"state/{name}": array for name, array in state.arrays.items() if _is_given(name)} | recorder.given
    return Case(case, system.title, system.source, facts, given, answers=found)


def _by_evaluation(masks: list[str]) -> list[str]:
    """Returns: masks, those of an evaluation one after another; a pass of several evaluations draws them layer by layer."""
    of = [mask.split("/")[2] for mask in masks]  # D#0
    return [mask for _, mask in sorted(zip(map(of.index, of), masks, strict=True), key=lambda pair: pair[0])]


def _place(at: Position) -> str:
    return f"{at.iteration}.{at.step}.{at.repeat}"


def evaluations(plan: StepPlan) -> dict[int, str]:
    """Returns: the name of each evaluation of a network, by its node."""
    return {i: f"{plan.nodes[i].value}#{count}" for i, count in plan.occurrences.items()}


@dataclass(frozen=True)
class Replay:
    """What a trainer is given to train as a case says."""

    system: System
    state: TrainingState
    draws: RecordedDraws
    batches: list[dict[str, np.ndarray]]


def replay(case: Case, given: Mapping[str, np.ndarray], system: System) -> Replay:
    """Returns: the state, draws and batches that arrays of a case's names say."""
    symbols: dict[tuple[str, Position], np.ndarray] = {}
    masks: dict[tuple[str, str, Position], np.ndarray] = {}
    batches: dict[int, dict[str, np.ndarray]] = {}
    arrays: Arrays = {}
    for name, values in given.items():
        match name.split("/"):
            case ["draws", symbol, place]:
                symbols[symbol, _position(place)] = values
            case ["masks", place, evaluation, *layer]:
                network, _, occurrence = evaluation.partition("#")
                masks[network, "/".join(layer), _position(place, int(occurrence))] = values
            case ["batches", number, symbol]:
                batches.setdefault(int(number), {})[symbol] = values
            case _:
                arrays[name.removeprefix("state/")] = values
    return Replay(system, _start(system, arrays), RecordedDraws(symbols, masks), [batches[i] for i in sorted(batches)])


def _is_given(name: str) -> bool:
    """Returns: whether an array of a state is given: moments start as their optimiser says, averages from what they average."""
    return not name.startswith(("moments/", "averages/"))


def _start(system: System, given: Mapping[str, np.ndarray]) -> TrainingState:
    """Returns: the state before the first iteration, of given parameters, statistics, carried numbers and reports."""
    state = initial_state(system, SEED)
    state.arrays |= {name: array for name, array in given.items() if _is_given(name)}
    for name in state.arrays:
        role, _, path = name.partition("/")
        if role == "averages":
            parameter = f"parameters/{path}"
            state.arrays[name] = state.arrays[parameter if parameter in state.arrays else f"statistics/{path}"]
    return state


def _position(place: str, occurrence: int = 0) -> Position:
    iteration, step, repeat = map(int, place.split("."))
    return Position(iteration, step, repeat, occurrence)


def train(
    backend: str, case: Case, given: Mapping[str, np.ndarray], system: System, *, every_gradient: bool = False
) -> Arrays:
    """Train as a case says.

    Args:
        backend: which backend trains.
        case: the case.
        given: its arrays, or others of the same names.
        system: its system.
        every_gradient: whether gradients are kept of every iteration, not of iteration 0 alone.

    Returns: what the backend computes, by name.
    """
    said = replay(case, given, system)
    trainer = backends.make_trainer(backend, system, SEED, said.state, dtype="float64", draws=said.draws)
    batches = iter(said.batches)
    return _observed(trainer, backend, case.facts["iterations"], lambda: next(batches), every_gradient=every_gradient)


def _observed(
    trainer: Any,
    backend: str,
    iterations: int,
    next_batch: NextBatch,
    also: Callable[[StepResult], None] | None = None,
    *,
    every_gradient: bool = False,
) -> Arrays:
    """Train for some iterations; `also` is shown every result, too. Returns: the answers, by name."""
    to_numpy, definitions = backends.load(backend).to_numpy, trainer.system.loss.definitions
    found: Arrays = {}

    def note(result: StepResult) -> None:
        if also is not None:
            also(result)
        plan, place = result.plan, f"{trainer.iteration}.{result.step}.{result.repeat}"
        for role, nodes in (("losses", plan.losses), ("reports", plan.reports)):
            found.update({f"{place}/{role}/{name}": to_numpy(result.values[i]) for name, i in nodes.items()})
        if every_gradient or trainer.iteration == 0:
            for network, gradients in result.gradients.items():
                found.update({f"{place}/gradients/{network}/{path}": to_numpy(g) for path, g in gradients.items()})
        if trainer.iteration:
            return
        own = {name: i for name, i in plan.named.items() if name in definitions}
        found.update({f"{place}/definitions/{name}": to_numpy(result.values[i]) for name, i in own.items()})
        for i, evaluation in evaluations(plan).items() if result.repeat == 0 else ():
            layers = result.layers[i].items()
            found.update({f"{place}/layers/{evaluation}/{name}": to_numpy(value) for name, value in layers})

    for iteration in range(iterations):
        trainer.iterate(next_batch, note, keep_layers=iteration == 0)
        if iteration in (0, iterations - 1):
            found |= {f"state/{iteration + 1}/{name}": array for name, array in trainer.state().arrays.items()}
    return found
