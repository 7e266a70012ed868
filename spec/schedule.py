"""Schedules: who is updated when, on which draws.

    title, source
    [parameters]          numbers that the system may override
    [redraw]              data = "iteration" | "step" | "repeat"; noise likewise
    [[steps]]
    update = ["D"]        whose parameters move; the updates within one step are simultaneous
    repeat = 5            how many times, one after the other
    inference = ["G"]     networks that are evaluated in inference mode here

One iteration runs the steps in order. `redraw` says how long one draw lives: for a whole iteration, for one step, or
for one repeat of a step. A gradient never reaches a network that the step does not update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spec.errors import Problems
from spec.library import Found
from spec.tables import Table

MAX_STEPS = 100  # the longest schedule of the field's papers here has under 10
LIFETIMES = ("iteration", "step", "repeat")


@dataclass(frozen=True)
class Step:
    """One step: the networks that it updates, how often, and which networks it evaluates in inference mode."""

    update: tuple[str, ...]
    repeat: int
    inference: tuple[str, ...]

    @property
    def name(self) -> str:
        return "+".join(self.update)


@dataclass(frozen=True)
class Schedule:
    """A schedule file, its numbers settled; `data` and `noise` are how long a draw of each lives."""

    name: str
    title: str
    source: str
    parameters: Mapping[str, float]
    data: str
    noise: str
    steps: tuple[Step, ...]
    file: str

    def lifetime(self, is_data: bool) -> str:
        return self.data if is_data else self.noise


def read_schedule(found: Found, overrides: Mapping[str, float], problems: Problems) -> Schedule:
    """Read a schedule file.

    Args:
        found: the file.
        overrides: values for its parameters; the caller has checked their names.
        problems: where problems are noted.
    """
    table = Table(found.data, found.file, "", problems)
    title, source = table.text("title"), table.text("source")
    table.scope = table.numbers("parameters", overrides)
    redraw = table.table("redraw")
    data, noise = redraw.choice("data", LIFETIMES), redraw.choice("noise", LIFETIMES)
    redraw.close()
    steps = []
    listed = table.tables("steps")
    if len(listed) > MAX_STEPS:
        table.note("steps", f"a schedule has at most {MAX_STEPS} steps, found {len(listed)}")
    for entry in listed[:MAX_STEPS]:
        update = entry.names("update")
        if "update" in entry and not update:
            entry.note("update", "a step updates at least one network")
        inference = entry.names("inference", ())
        for key, names in (("update", update), ("inference", inference)):
            for name in dict.fromkeys(name for name in names if names.count(name) > 1):
                entry.note(key, f"'{name}' is listed twice")
        for name in dict.fromkeys(name for name in inference if name in update):
            entry.note("inference", f"'{name}' is updated in this step; training evaluates it in training mode")
        steps.append(Step(update, entry.size("repeat", 1, most=100_000), inference))
        entry.close()
    if not steps:
        table.note("steps", "a schedule needs at least one step")
    table.close()
    if not problems.found:
        table.close_numbers("parameters", table.scope)
    return Schedule(found.name, title, source, dict(table.scope.names), data, noise, tuple(steps), found.file)
