"""Records some iterations of his updater, and finds the numbers that it carries along, such as BEGAN's k.

An attribute that a method sets is given another value before each iteration: a number in a formula that changes with it is that
attribute. How it moves is NumPy's and Python's work, which leaves no trace; where it moves by a fixed combination of the losses'
terms, that is found.
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
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output, parts
from ganspec.spec.training.state import initial_state
from ganspec.tools.conformance.errors import is_library, line_in
from ganspec.tools.conformance.reachable import Reachable
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.batches import Batches
from ganspec.tools.updaters.building import Built, make_reporter
from ganspec.tools.updaters.lifting import number, plus, times
from ganspec.tools.updaters.lockstep import match_networks, run_update
from ganspec.tools.updaters.old_chainer import old_chainer
from ganspec.tools.updaters.recording import Recording
from ganspec.tools.updaters.side import UpdaterSide

ITERATIONS = 6  # that are recorded: enough to tell how a carried number moves
_FAR = 1e3  # a value of a carried number that any bounds would cut
_CLOSE = 1e-7


@dataclass
class Carried:
    """A number that his updater keeps.

    Args:
        name: name of the attribute.
        start: its value before the first iteration.
        line: line that changes it.
        before, after: its value before and after each recorded iteration; from the second one on it starts from a value of ours.
        next: formula of its next value; None where it could not be read.
    """

    name: str
    start: float
    line: str
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    next: Expression | None = None


@dataclass
class Recorded:
    """Iterations of an updater.

    Args:
        iterations: each as it was recorded.
        carried: numbers that it keeps, by name: floats that a method sets.
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
            own = np.array(carried.before[: len(values)])
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
    side.leave_out(system)
    match_networks(system, side, built)
    updater = built.updater
    reachable = Reachable(updater.update_core, [*side.modules.values(), *side.optimizers.values()])
    state, found, feed = initial_state(system, seed), Recorded(), iter(range(2**31))
    with side.borrowed():
        restore = reachable.snapshot()
        start = _numbers(updater)
        try:
            side.start({n: {**state.of(f"parameters/{n}"), **state.of(f"statistics/{n}")} for n in side.modules})
            stored = _stored(type(updater))
            for i in range(ITERATIONS + 2):
                if i == 1:  # an int may be a counter, and is left alone; k is a float from here on
                    kept = [n for n in _numbers(updater) if n in stored and n in start and _is_float(updater, n)]
                    found.carried = {
                        n: Carried(n, start[n], stored[n], [start[n]], [_numbers(updater)[n]]) for n in kept
                    }
                if i >= ITERATIONS and not found.carried:
                    break
                recording = Recording(system, dict(built.networks))
                for j, carried in enumerate(found.carried.values()):
                    far = {ITERATIONS: _FAR, ITERATIONS + 1: -_FAR}
                    carried.before.append(far.get(i, 0.3 + 0.05 * i + 0.013 * j))
                    setattr(updater, carried.name, carried.before[-1])
                _one(recording, side, built, batches, feed)
                for carried in found.carried.values():
                    carried.after.append(_numbers(updater).get(carried.name, np.nan))
                if i < ITERATIONS:
                    found.iterations.append(recording)
        finally:
            restore()
    for carried in found.carried.values():
        carried.next = _movement(carried, found)
    return found


def _one(recording: Recording, side: UpdaterSide, built: Built, batches: Batches, feed: Any) -> None:
    def next_examples() -> list[Any]:
        batch, examples = batches.at(next(feed))
        recording.batch(batch["x"], batch.get("y"))
        return examples

    built.iterator.fill(next_examples, UserError)  # type: ignore[arg-type]
    reporter, observed = make_reporter(built), dict[str, Any]()
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
            old_chainer(np.dtype("float64")),
            recording.recorded(),
            reporter.scope(observed),
            chainer.using_config("train", True),
        ):
            run_update(updater)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{line_in(error)}: your updater raised {type(error).__name__}: {error}") from None


def _numbers(updater: Any) -> dict[str, float]:
    """Returns: the floating-point numbers that an updater keeps, and whole ones, which may become such."""
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


def _is_float(updater: Any, name: str) -> bool:
    value = vars(updater)[name]
    return not isinstance(value, (int, np.integer)) and getattr(value, "dtype", np.dtype("f")).kind == "f"


def _stored(kind: type) -> dict[str, str]:
    """Returns: the line at which each attribute is set outside of __init__, "updater.py:41"; the last of several."""
    found = {}
    for each in reversed(kind.__mro__):
        path = inspect.getsourcefile(each) if each.__module__ != "builtins" else None
        if path is None or is_library(path):
            continue
        try:
            lines, start = inspect.getsourcelines(each)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, TypeError, SyntaxError):
            continue
        methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name != "__init__"]
        for node in (n for method in methods for n in ast.walk(method)):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found[node.attr] = f"{Path(path).name}:{start + node.lineno - 1}"
    return found


def _movement(carried: Carried, found: Recorded) -> Expression | None:
    """Returns: the formula by which a carried number moves; None where one or two terms of the losses do not give it."""
    rows = range(1, len(found.iterations))
    moves = np.array([carried.after[i] - carried.before[i] for i in rows])
    known = [found.iterations[i].scalars for i in rows]
    terms = [t for t in known[0] if all(t in k for k in known) and _plain(t)]
    if not np.all(np.isfinite(moves)):
        return None
    for count in (1, 2):
        for chosen in itertools.combinations(terms, count):
            matrix = np.array([[k[t] for t in chosen] for k in known])
            weights, *_ = np.linalg.lstsq(matrix, moves, rcond=None)
            if np.all(np.abs(matrix @ weights - moves) <= _CLOSE * np.abs(moves).max()) and np.all(weights != 0):
                tree: Expression = Name(carried.name)
                for term, weight in zip(chosen, weights, strict=True):
                    tree = plus(tree, times(float(f"{weight:.6g}"), term))
                low, high = carried.after[-1], carried.after[-2]
                cut = abs(low) < _FAR / 2 and abs(high) < _FAR / 2 and low < high
                return Call("clip", (tree, number(low), number(high))) if cut else tree
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
