"""Trains his updater and the system side by side, and compares all numbers."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.agreement.report import Difference, Quantity
from ganspec.tools.conformance.check import compare, match_all
from ganspec.tools.conformance.errors import ConformanceError, calling_line, is_library, line_in
from ganspec.tools.conformance.expected import reports_of
from ganspec.tools.conformance.report import ConformanceReport
from ganspec.tools.conformance.session import Asked
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.batches import Batches
from ganspec.tools.updaters.building import Built, make_reporter
from ganspec.tools.updaters.side import UpdaterSide
from ganspec.tools.updaters.streams import CoarseStreams

_SAME = {
    "float64": 1e-9,
    "float32": 1e-4,
}  # relative distance below which a reported number is taken for one of the system's
_ROUNDED = (1e-10, 1e-6)  # relative distances that float32's rounding makes


@dataclass(frozen=True)
class Found:
    """What a lockstep found.

    Args:
        report: what the conformance check says; None where his updater left the system's order before a number differed.
        stopped: how it left it: another order of updates, a draw or a batch that the system has not; else "".
        where: lines of his file that computed the first quantity that differs, "updater.py:31".
        losses: lines at which the loss behind it was differentiated.
        notes: what was not compared, and what may explain the difference.
        reports: the system's name by his, of each report that was compared.
    """

    report: ConformanceReport | None
    stopped: str = ""
    where: str = ""
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reports: Mapping[str, str] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether every quantity that was compared agrees, and there is at least one."""
        return self.report is not None and self.report.agrees


def run_lockstep(
    system: System,
    built: Built,
    batches: Batches,
    *,
    iterations: int,
    seed: int,
    dtype: str,
    reports: Mapping[str, str] | None = None,
) -> Found:
    """Train both from the same parameters on the same batches and draws.

    Args:
        system: the system.
        built: his updater.
        batches: batches of both.
        iterations: number of iterations.
        seed: seed of parameters and draws.
        dtype: "float64" or "float32".
        reports: the system's name by his, of numbers that he reports; others are recognised by their values.

    Raises:
        ConformanceError: his updater cannot be compared: a network does not fit, a draw is not the spec's, an update is out of
            order.
    """
    missing = [n for n in system.networks if n not in built.networks]
    if missing:
        have = ", ".join(system.networks)
        raise UserError(f"{system.name} has the networks {have}; give --network {missing[0]}=FILE:CLASS, too")
    for ours in (reports or {}).values():
        if ours not in system.plan.columns():
            hint = did_you_mean(ours, system.plan.columns())
            message = f"--report: {system.name} reports no '{ours}': {expected_one_of(system.plan.columns())}"
            raise UserError(message + (f"; {hint}" if hint else ""))
    side = UpdaterSide(built.networks, built.optimizers, dtype)
    side.notes += side.leave_out(system)
    match_networks(system, side, built)
    drive = _Drive(built, batches, side, _SAME[dtype], dict(reports or {}), _taken(system))
    asked = Asked(
        system, drive.step(), iterations, seed, dtype, None, None, feed=batches.feed, streams=CoarseStreams
    )  # fmt: skip
    try:
        report = compare(asked, side)
    except ConformanceError as error:
        if side.observer is None or side.observer.failure is None:
            raise
        return Found(None, str(error), notes=tuple(drive.notes()), reports=drive.reports())
    first, notes = report.first, (*report.notes, *drive.notes())
    if first is None:
        return Found(report, notes=notes, reports=drive.reports())
    if dtype == "float64" and first.kind in ("draw", "value", "layer") and first.size:
        apart = first.error / first.size
        if _ROUNDED[0] < apart < _ROUNDED[1]:
            said = (
                f"apart by {apart:.0e} of its size, as float32 rounds: your code may compute in float32 there, by NumPy"
            )
            notes = (*notes, f"{said}; --dtype float32 compares in float32 throughout")
    where = side.lines.get((first.place, first.name), "")
    losses = side.losses.get((first.place, loss_of(first)), ())
    return Found(report, "", where, losses, notes, drive.reports())


def loss_of(difference: Difference) -> str:
    """Returns: the network whose loss, or gradient of a loss, a difference is in; "" for any other quantity."""
    found = re.search(r"\bloss_(\w+)", difference.name)
    return found[1] if found and difference.kind in ("layer gradient", "parameter gradient", "loss", "report") else ""


def run_update(updater: Any) -> None:
    """Let an updater train one iteration.

    Raises:
        ConformanceError: it asks for an optimiser or an iterator that it was not given.
    """
    try:
        (updater.update if hasattr(updater, "update") else updater.update_core)()
    except KeyError as error:
        key = error.args[0] if error.args else None
        for kind, remedy in (
            ("optimizer", f"give --optimizer '{key}=NETWORK:RULE(...)'"),
            ("iterator", "it gets one, 'main'"),
        ):
            known = getattr(updater, f"_{kind}s", None)
            if isinstance(known, dict) and isinstance(key, str) and key not in known and _asked(error, f"get_{kind}"):
                have = ", ".join(map(str, known)) or "none"
                raise ConformanceError(
                    f"{line_in(error)}: your updater asks for the {kind} '{key}', there is {have}; {remedy}"
                ) from None
        raise


def _asked(error: BaseException, function: str) -> bool:
    """Returns: whether an error arose inside a function of this name, or beside it: `self._optimizers["gen"]`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and (
        trace.tb_frame.f_code.co_name == function or not is_library(trace.tb_frame.f_code.co_filename)
    )


def match_networks(system: System, side: UpdaterSide, built: Built) -> None:
    """Find the system's arrays in his networks. Raises: ConformanceError: something does not fit."""
    try:
        match_all(system, side, built.mapping)
    except ConformanceError as error:
        said = re.sub(r"^mapping: ", "--map: ", str(error))
        said = re.sub(r'mapping=\{"(\w+)": \{"([^"]+)": "...", ...\}\}', r"--map \1/\2=...", said)
        raise ConformanceError(said) from None


def _taken(system: System) -> int | None:
    """Returns: batches that an iteration of the system takes; None where that is not the same in each."""
    lifetime = system.schedule.data
    if lifetime == "iteration":
        return 1
    steps = [plan.step for plan in system.plan.steps if {"x", "y"} & set(plan.draws())]
    if any(s.until is not None or s.repeat_override is not None for s in system.schedule.steps):
        return None
    return sum(min(1, s.repeat) if lifetime == "step" else s.repeat for s in steps)


@dataclass
class _Drive:
    """Lets his updater train one iteration at a time."""

    built: Built
    batches: Batches
    side: UpdaterSide
    same: float
    named: dict[str, str]
    expected: int | None
    _unknown: dict[str, None] = field(default_factory=dict)
    _counts: dict[str, None] = field(default_factory=dict)
    _lines: dict[str, str] = field(default_factory=dict)
    _candidates: dict[str, list[str]] = field(default_factory=dict)

    def step(self) -> Callable[..., Any]:
        """Returns: a function of what a check gives a step, bound to the updater, so that its numbers are put back afterwards."""

        def update(updater: Any, *given: Any) -> dict[str, Any]:
            several = len(given) == 1 and isinstance(given[0], Iterator)
            left = [given[0] if len(given) == 1 else tuple(given)] if not several else []

            def next_examples() -> list[Any] | None:
                if not several and not left:
                    return None
                batch = next(given[0]) if several else left.pop()
                x = batch[0] if isinstance(batch, tuple) else batch
                return self.batches.examples(self.side.to_numpy(x))

            observer = self.side.observer
            self.built.iterator.fill(next_examples, observer.fail if observer is not None else ConformanceError)
            observed: dict[str, Any] = {}
            reporter, original = make_reporter(self.built), chainer.Reporter.report

            def report(values: Mapping[str, Any], observer: Any = None) -> None:
                self._lines |= {name: calling_line() for name in values}
                original(reporter, values, observer)

            reporter.report = report
            with reporter.scope(observed), chainer.using_config("train", True):
                run_update(updater)
            self._count()
            return self._reports(observed)

        return types.MethodType(update, self.built.updater)

    def notes(self) -> list[str]:
        """Returns: what was not compared, and why."""
        unknown = [
            f"the report '{name}' equals none of the system's and was not compared; name it with --report {name}=NAME"
            for name in self._unknown
        ]
        return [*self._counts, *unknown]

    def _count(self) -> None:
        taken = self.built.iterator.taken
        if self.expected is not None and taken != self.expected:
            lines = ", ".join(dict.fromkeys(self.built.iterator.lines)) or "nowhere"
            said = f"{taken} {'batch' if taken == 1 else 'batches'} in an iteration ({lines})"
            self._counts[f"your updater takes {said}, the system {self.expected}"] = None

    def _reports(self, observed: Mapping[str, Any]) -> dict[str, Any]:
        """Returns: his reports by the system's names."""
        observer = self.side.observer
        wanted = reports_of(list(observer.repeats)) if observer is not None else {}
        found: dict[str, Any] = {}
        for name, value in observed.items():
            array = self.side.to_numpy(value)
            if array.size != 1:
                continue
            number = float(array.reshape(()))
            ours = self._name_of(name, number, wanted)
            if ours is None:
                self._unknown[name] = None
                continue
            self._unknown.pop(name, None)
            found[ours] = np.asarray(number)
            quantity = wanted[ours]
            self.side.lines[quantity.place, quantity.name] = self._lines.get(name.rpartition("/")[2], "")
        return found

    def _name_of(self, name: str, value: float, wanted: Mapping[str, Quantity]) -> str | None:
        """Returns: the system's name of a number that he reports; None where it has none.

        What has no name yet is one of those that it has equalled so far; where there are several, it is held to none of them.
        """
        if name in self.named or name in wanted:
            ours = self.named.setdefault(name, name)
            return ours if ours in wanted else None
        near = [n for n, q in wanted.items() if _near(value, float(q.value), self.same)]
        before = self._candidates.get(name)
        left = [n for n in near if before is None or n in before]
        if before and not left:
            return before[0]
        if left:
            self._candidates[name] = sorted(left, key=lambda n: not n.startswith("loss_"))
            return self._candidates[name][0]
        return None

    def reports(self) -> dict[str, str]:
        """Returns: the system's name by his, of each report that was compared."""
        return {**{name: ours[0] for name, ours in self._candidates.items()}, **self.named}


def _near(a: float, b: float, relative: float) -> bool:
    return abs(a - b) <= relative * max(abs(a), abs(b)) and max(abs(a), abs(b)) > 0
