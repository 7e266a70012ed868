"""Records some iterations of his updater, and finds the numbers that it carries along, such as BEGAN's k.

A number in a formula that changes from iteration to iteration, as an attribute of the updater does, is that attribute. How it moves
is NumPy's and Python's work, which leaves no trace; where it moves by a fixed combination of the losses' terms, that is found.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output
from ganspec.spec.training.state import initial_state
from ganspec.tools.conformance.check import match_all
from ganspec.tools.conformance.errors import line_in
from ganspec.tools.conformance.reachable import Reachable
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.batches import Batches
from ganspec.tools.updaters.building import Built, make_reporter
from ganspec.tools.updaters.lifting import number, plus, times
from ganspec.tools.updaters.recording import Recording
from ganspec.tools.updaters.side import UpdaterSide
from ganspec.tools.updaters.steps import parts
from ganspec.tools.updaters.widening import widened

ITERATIONS = 6  # that are recorded: enough to tell how a carried number moves
_CLOSE = 1e-7


@dataclass
class Carried:
    """A number that his updater keeps.

    Args:
        name: name of the attribute.
        values: its value before each recorded iteration, and after the last.
        line: line that changes it.
        next: formula of its next value; None where it could not be read.
    """

    name: str
    values: list[float]
    line: str
    next: Expression | None = None


@dataclass
class Recorded:
    """Iterations of an updater.

    Args:
        iterations: each as it was recorded.
        carried: numbers that it keeps, by name; those that change.
    """

    iterations: list[Recording] = field(default_factory=list)
    carried: dict[str, Carried] = field(default_factory=dict)

    def unified(self, trees: Sequence[Expression | None]) -> Expression | None:
        """Returns: one formula for the same place in each iteration, carried numbers by their names; None where they differ."""
        if any(t is None for t in trees):
            return None
        values = [_value(t) for t in trees if t is not None]
        if all(v is not None for v in values):
            return self._number([v for v in values if v is not None])
        first = trees[0]
        if any(type(t) is not type(first) for t in trees) or first is None:
            return None
        inner = [parts(t) for t in trees if t is not None]
        if len({(_label(t), len(p)) for t, p in zip(trees, inner, strict=True)}) != 1:
            return None
        made = [self.unified(column) for column in zip(*inner, strict=True)]
        if any(m is None for m in made):
            return None
        return _made(first, [m for m in made if m is not None])

    def _number(self, values: list[float]) -> Expression | None:
        if max(values) - min(values) <= _CLOSE * max(map(abs, values)):
            return number(values[0])
        for name, carried in self.carried.items():
            own = np.array(carried.values[: len(values)])
            if own @ own:
                factor = float(own @ np.array(values) / (own @ own))
                if np.allclose(np.array(values), factor * own, rtol=1e-6, atol=1e-9):
                    return times(float(f"{factor:.9g}"), Name(name))
        return None


def record(system: System, built: Built, batches: Batches, seed: int) -> Recorded:
    """Record some iterations, from the system's first parameters, with draws of their own; afterwards all is as it was.

    Raises:
        UserError: his updater fails.
    """
    side = UpdaterSide(built.networks, built.optimizers, "float64")
    match_all(system, side, {})
    updater = built.updater
    reachable = Reachable(updater.update_core, [*side.modules.values(), *side.optimizers.values()])
    state, found, feed = initial_state(system, seed), Recorded(), iter(range(2**31))
    held: list[dict[str, float]] = [_numbers(updater)]
    with side.borrowed():
        restore = reachable.snapshot()
        try:
            side.start({n: {**state.of(f"parameters/{n}"), **state.of(f"statistics/{n}")} for n in side.modules})
            for _ in range(ITERATIONS):
                recording = Recording(system, dict(built.networks))
                _one(recording, side, built, batches, feed)
                found.iterations.append(recording)
                held.append(_numbers(updater))
        finally:
            restore()
    for name in held[0]:
        values = [h[name] for h in held if name in h]
        if len(values) == len(held) and len(set(values)) > 1 and name != "iteration":
            found.carried[name] = Carried(name, values, _line_of(type(updater), name))
    for carried in found.carried.values():
        carried.next = _movement(carried, found)
    return found


def _one(recording: Recording, side: UpdaterSide, built: Built, batches: Batches, feed: Any) -> None:
    def next_examples() -> list[Any]:
        batch, examples = batches.at(next(feed))
        recording.batch(batch["x"], batch.get("y"))
        return examples

    built.iterator.fill(next_examples, UserError)  # type: ignore[arg-type]
    reporter, observed = make_reporter(built), {}
    original = chainer.Reporter.report

    def report(own: Any, values: Mapping[str, Any], observer: Any = None) -> None:
        prefix = "" if observer is None else reporter._observer_names.get(id(observer), "") + "/"
        for name, value in values.items():
            recording.report(prefix + name, value)
        original(own, values, observer)

    updater = built.updater
    try:
        reporter.report = report.__get__(reporter)
        with (
            widened(np.dtype("float64")),
            recording.recorded(),
            reporter.scope(observed),
            chainer.using_config("train", True),
        ):
            (updater.update if hasattr(updater, "update") else updater.update_core)()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{line_in(error)}: your updater raised {type(error).__name__}: {error}") from None


def _numbers(updater: Any) -> dict[str, float]:
    found = {}
    for name, value in vars(updater).items():
        array = value.array if isinstance(value, chainer.Variable) else value
        if (
            isinstance(array, (int, float, np.generic, np.ndarray))
            and not isinstance(array, bool)
            and np.size(array) == 1
        ):
            found[name] = float(np.asarray(array).reshape(()))
    return found


def _line_of(kind: type, name: str) -> str:
    """Returns: the last line of a class's update_core that sets an attribute, "updater.py:41"."""
    try:
        lines, start = inspect.getsourcelines(kind.update_core)  # type: ignore[attr-defined]
        tree = ast.parse(textwrap.dedent("".join(lines)))
        path = Path(inspect.getsourcefile(kind) or "").name
    except (OSError, TypeError, SyntaxError):
        return ""
    found = [
        n.lineno for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and n.attr == name and isinstance(n.ctx, ast.Store)
    ]  # fmt: skip
    return f"{path}:{start + max(found) - 1}" if found else f"{path}:{start}"


def _movement(carried: Carried, found: Recorded) -> Expression | None:
    """Returns: the formula by which a carried number moves; None where one or two terms of the losses do not give it."""
    values, rows = carried.values, range(len(found.iterations))
    inside = [i for i in rows if 0 < values[i + 1] < 1]  # where a clip into [0, 1] does not act
    if len(inside) < 3:
        return None
    moves = np.array([values[i + 1] - values[i] for i in inside])
    known = [r.scalars for r in found.iterations]
    terms = [t for t in known[0] if all(t in k for k in known) and _plain(t)]
    for count in (1, 2):
        for chosen in itertools.combinations(terms, count):
            matrix = np.array([[known[i][t] for t in chosen] for i in inside])
            weights, *_ = np.linalg.lstsq(matrix, moves, rcond=None)
            if np.all(np.abs(matrix @ weights - moves) <= _CLOSE * np.abs(moves).max()) and np.all(np.abs(weights) > 0):
                tree: Expression = Name(carried.name)
                for term, weight in zip(chosen, weights, strict=True):
                    tree = plus(tree, times(float(f"{weight:.6g}"), term))
                return Call("clip", (tree, number(0), number(1))) if min(values) >= 0 and max(values) <= 1 else tree
    return None


def _plain(tree: Expression) -> bool:
    """Returns: whether a term is a mean or a sum, with nothing around it, whose inside does not change with a carried number."""
    return isinstance(tree, Call) and tree.function in ("mean", "sum")


def _value(tree: Expression) -> float | None:
    match tree:
        case Number(value):
            return value
        case Negative(Number(value)):
            return -value
    return None


def _label(tree: Expression | None) -> str:
    match tree:
        case Binary(operator):
            return operator
        case Call(function):
            return function
        case Name(name) | Output(_, name):
            return name
    return ""


def _made(like: Expression, inner: Sequence[Expression]) -> Expression:
    match like:
        case Negative():
            return Negative(inner[0])
        case Binary(operator):
            return Binary(operator, inner[0], inner[1])
        case Call(function):
            return Call(function, tuple(inner))
        case Output(_, name):
            return Output(inner[0], name)
    return like
