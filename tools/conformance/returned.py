"""What somebody's step returns, as the system's reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import counted, did_you_mean, expected_one_of
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.expected import Repeat, reports_of
from ganspec.tools.conformance.observer import Observer
from ganspec.tools.conformance.sides import Side


def add_returned(
    system: System,
    names: Mapping[str, str] | Sequence[str] | None,
    repeats: Sequence[Repeat],
    observer: Observer,
    returned: Any,
    notes: list[str],
    side: Side,
) -> None:
    """Keep what the step returned as reports, by the spec's names.

    Args:
        system: the system.
        names: the spec's names of what is returned, by the step's own, or in order.
        repeats: what ganspec computes in this iteration.
        observer: the observer, which gets the reports.
        returned: what the step returned.
        notes: list to which it is added that something is not compared.
        side: the networks' side, which knows the framework's numbers.

    Raises:
        ConformanceError: a report is not one of the system, or not one number.
    """
    wanted = reports_of(list(repeats))
    given: dict[str, Any] = {}
    if isinstance(returned, Mapping):
        own = names if isinstance(names, Mapping) else {}
        given = {own.get(str(key), str(key)): value for key, value in returned.items()}
    elif isinstance(returned, (tuple, list)) and names is not None and not isinstance(names, Mapping):
        if len(returned) != len(names):
            raise ConformanceError(
                f"reports has {counted(len(names), 'name')}, your step returns {counted(len(returned), 'number')}"
            )
        given = dict(zip(names, returned, strict=True))
    elif returned is not None:
        note = (
            f"what the step returns, of the type {type(returned).__name__}, is not compared; name it with reports=[...]"
        )
        notes.extend([note] if note not in notes else [])
    for name, value in given.items():
        if name not in wanted:
            hint = did_you_mean(name, wanted)
            raise ConformanceError(
                f"your step reports '{name}', which {system.name} does not: {expected_one_of(wanted)}"
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
        _keep(observer, number, ours, float(array.reshape(())))
        for other, earlier in observer.kept.followed(number, float(array.reshape(()))):
            _keep(observer, other, repeats[other].named(ours.name), earlier)


def _keep(observer: Observer, number: int, ours: Quantity | None, value: float) -> None:
    if ours is not None:
        theirs = replace(ours, value=np.asarray(value, ours.value.dtype))
        observer.kept.records[number][ours.place, ours.name] = theirs
