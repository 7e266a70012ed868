"""Checking somebody's implementation against golden vectors: what it answers, beside what is expected.

An implementation is a module with functions named as the kinds of case are: `layer`, `function`, `optimizer`, `loss`, `system`.
Each takes a case, a dictionary, and returns its answers: arrays by name, or dictionaries whose keys are parts of names.

    {"output": y, "gradients/inputs/0": g}      is the same as      {"output": y, "gradients": {"inputs": {"0": g}}}

A function that is not there, and one that raises NotImplementedError, is skipped. An answer of None, also for the first part of
some names, is skipped, too. A missing answer is wrong.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ganspec.spec.text.errors import did_you_mean, expected_one_of, printable
from ganspec.tools.errors import UserError
from ganspec.tools.vectors.case import Expected
from ganspec.tools.vectors.making import KINDS, Vector

MAX_ANSWERS = 100_000  # of one case; ours expect under a thousand
_MAX_TEXT = 300  # characters of what a module raised


@dataclass
class Outcome:
    """What was found on one case.

    Args:
        id: id of the case.
        compared: number of answers that were compared.
        skipped: number of answers that are None.
        reason: reason why the whole case was skipped; empty where it was not.
        wrong: a line for each answer that is wrong: its name, what was found, what was expected.
    """

    id: str
    compared: int = 0
    skipped: int = 0
    reason: str = ""
    wrong: list[str] = field(default_factory=list)


def load_module(name: str) -> ModuleType:
    """Import an implementation.

    Args:
        name: name that Python can import, or path of a file that ends in ".py".

    Returns: the module; it has a function for at least one kind of case.

    Raises:
        UserError: it is not there, does not import, or has none of the functions.
    """
    path = Path(name)
    try:
        if name.endswith(".py"):
            if not path.is_file():
                raise UserError(f"{printable(name)}: there is no such file; give its path, or the name of a module")
            module = _from_file(path)
        else:
            module = importlib.import_module(name)
    except UserError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise UserError(f"{printable(name)}: does not import: {_said(error)}") from None
    if not any(callable(getattr(module, kind, None)) for kind in KINDS):
        raise UserError(f"{printable(name)}: has no function to check: {expected_one_of(KINDS)}")
    return module


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as an import would, for its dataclasses and the like
    sys.path.insert(0, str(path.resolve().parent))  # for what lies beside it
    spec.loader.exec_module(module)
    return module


def question(vector: Vector) -> dict[str, Any]:
    """Returns: what a function is given: the facts of a case, and copies of its arrays by name under "given"."""
    case = vector.case
    facts = copy.deepcopy(dict(case.facts))
    given = {name: array.copy() for name, array in case.given.items()}
    return {"id": case.id, "kind": case.kind, "title": case.title, "source": case.source, **facts, "given": given}


def check(module: Any, vector: Vector) -> Outcome:
    """Ask an implementation one case. Returns: what was found."""
    outcome, function = Outcome(vector.case.id), getattr(module, vector.case.kind, None)
    if not callable(function):
        outcome.reason = f"no function '{vector.case.kind}'"
        return outcome
    try:
        with np.errstate(all="ignore"):
            answer = function(question(vector))
        found = dict(_flat(answer))
    except NotImplementedError as error:
        outcome.reason = f"not implemented{f': {_short(str(error))}' * bool(str(error))}"
        return outcome
    except Exception as error:
        outcome.wrong.append(f"raised {_said(error)}")
        return outcome
    for name, expected in vector.expected.items():
        given = _answer(found, name)
        if given is _SKIPPED:
            outcome.skipped += 1
            continue
        outcome.compared += 1
        if given is _MISSING:
            hint = did_you_mean(name, found)
            outcome.wrong.append(
                f"{name}: no such answer, expected an array of shape {list(expected.shape)}; "
                + (hint or "answer None for what is not computed")
            )
        elif line := complaint(given, expected):
            outcome.wrong.append(f"{name}: {line}")
    return outcome


_MISSING, _SKIPPED = object(), object()


def _flat(answer: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields: name and value of every answer in nested dictionaries."""
    if not isinstance(answer, Mapping):
        if not path:
            raise TypeError(f"the answer is a {type(answer).__name__}, expected a dictionary of arrays by name")
        yield path, answer
        return
    for count, (key, inner) in enumerate(answer.items()):
        if count > MAX_ANSWERS:
            raise ValueError(f"the answer has more than {MAX_ANSWERS:,} arrays")
        yield from _flat(inner, f"{path}/{key}" if path else str(key))


def _answer(found: Mapping[str, Any], name: str) -> Any:
    parts = name.split("/")
    for end in range(1, len(parts) + 1):
        if found.get("/".join(parts[:end]), _MISSING) is None:
            return _SKIPPED
    return found.get(name, _MISSING)


def complaint(answer: Any, expected: Expected) -> str:
    """Returns: what is wrong with one answer; empty where it is right."""
    try:
        array = np.asarray(answer)
    except Exception as error:  # an array type of a framework may refuse
        return f"is no array: {_said(error)}"
    if array.dtype.kind not in "fiub":
        return f"has the dtype {array.dtype}, expected float64"
    if array.shape != expected.shape:
        return f"has the shape {list(array.shape)}, expected {list(expected.shape)}"
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        return "has a value that is not finite"
    distance = expected.distance(array)
    if distance <= expected.within:
        return ""
    hint = "; is it float32? compute in float64" if np.asarray(answer).dtype == np.float32 else ""
    allowed = f"at most {expected.within:.0e} is allowed"
    return f"is {distance:.1e} away from what is expected, {allowed}{_first(array, expected)}{hint}"


def _first(array: np.ndarray, expected: Expected) -> str:
    """Returns: the number that is farthest off, where the numbers themselves are kept."""
    if expected.is_folded or not array.size:
        return ""
    place = np.unravel_index(int(abs(array - expected.values).argmax()), array.shape)
    where = f" at {list(map(int, place))}" if array.ndim else ""
    return f": {array[place]:.6g} instead of {expected.values[place]:.6g}{where}"


def _said(error: BaseException) -> str:
    """Returns: an exception in one line, with the line of its file where it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {_short(str(error))}{where}"


def _short(text: str) -> str:
    return printable(" ".join(text.split())[:_MAX_TEXT])


def check_all(module: Any, vectors: Sequence[Vector]) -> list[Outcome]:
    """Returns: what was found on each case."""
    return [check(module, vector) for vector in vectors]
