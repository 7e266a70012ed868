"""Schedules: which networks are updated when, on which draws.

    title, source
    [constants]          numbers that the system may override
    [redraw]              data = "iteration" | "step" | "repeat"; noise likewise
    [[steps]]
    update = ["D"]        networks whose parameters move; the updates within one step are simultaneous
    repeat = 5            number of repeats, one after the other; a step that is repeated 0 times is left out
    repeat_override = { repeat = 100, first = 25, every = 500 }
                          another number of repeats in the first 25 iterations, and in each 500th, counted from 0
    until = { report = "loss_D", below = 1 }
                          or above: the next step follows as soon as the report is below (above) this value
    inference = ["G"]     networks that this step evaluates in inference mode
    reuse = ["G"]         networks whose values an earlier step of this iteration computed, and which this step takes over; the
                          gradient of a network that this step updates flows through them into that evaluation

One iteration runs the steps in order. `redraw` says how long a draw lives: for a whole iteration, for one step, or for one
repeat of a step. A gradient never reaches a network that the step does not update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import SpecFile
from ganspec.spec.text.tables import Table

MAX_STEPS = 100  # the longest schedule of the field's papers here has under 10
MAX_REPEATS = 100_000
SIDES = ("below", "above")
LIFETIMES = ("iteration", "step", "repeat")
DATA = ("x", "y")  # the symbols of data: images and labels; all other symbols are noise


@dataclass(frozen=True)
class RepeatOverride:
    """Another number of repeats in some iterations: those before `first`, and 0, `every`, 2 `every` and so on."""

    repeat: int
    first: int
    every: int


@dataclass(frozen=True)
class Until:
    """What ends a step's repeats early: `report`, as computed before that update, is "below" or "above" a value."""

    report: str
    side: str
    value: float

    def reached(self, value: float) -> bool:
        return value < self.value if self.side == "below" else value > self.value


@dataclass(frozen=True)
class Step:
    """One step of a schedule.

    Args:
        update: networks that the step updates.
        repeat: number of repeats.
        repeat_override: another number of repeats in some iterations.
        until: condition that ends the repeats early.
        inference: networks that the step evaluates in inference mode.
        reuse: networks that the step does not evaluate again.
        source: file and line on which it stands.
    """

    update: tuple[str, ...]
    repeat: int
    repeat_override: RepeatOverride | None
    until: Until | None
    inference: tuple[str, ...]
    reuse: tuple[str, ...]
    source: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The names of the updated networks, for messages."""
        return "+".join(self.update)

    @property
    def always_runs(self) -> bool:
        """Whether every iteration runs the step at least once."""
        return self.repeat > 0 and (self.repeat_override is None or self.repeat_override.repeat > 0)

    def repeats(self, iteration: int) -> int:
        """Returns: the largest number of repeats of the step in an iteration, which is counted from 0."""
        override = self.repeat_override
        if override and (iteration < override.first or iteration % override.every == 0):
            return override.repeat
        return self.repeat


@dataclass(frozen=True)
class Schedule:
    """A schedule file whose numbers are settled; `data` and `noise` say how long a draw of each lives."""

    name: str
    title: str
    source: str
    constants: Mapping[str, float]
    data: str
    noise: str
    steps: tuple[Step, ...]
    file: str

    def lifetime(self, draw: str) -> str:
        """Returns: how long a draw lives, by its name."""
        return self.data if draw in DATA else self.noise


def read_schedule(file: SpecFile, overrides: Mapping[str, float], problems: Problems) -> Schedule:
    """Read a schedule file.

    Args:
        file: schedule file.
        overrides: values for its constants; the caller has checked their names.
        problems: collection in which problems are noted.

    Returns: the schedule.
    """
    table = Table(file.data, file.file, "", problems)
    title, source = table.line("title"), table.line("source")
    table.scope = table.numbers("constants", overrides)
    redraw = table.table("redraw")
    data, noise = redraw.choice("data", LIFETIMES), redraw.choice("noise", LIFETIMES)
    redraw.close()
    steps = []
    listed = table.tables("steps")
    if len(listed) > MAX_STEPS:
        table.note("steps", f"a schedule has at most {MAX_STEPS} steps, found {len(listed)}")
    for number, entry in enumerate(listed[:MAX_STEPS]):
        # Read the lists of networks, and note what they cannot mean together.
        update = entry.names("update")
        if "update" in entry and not update:
            entry.note("update", "a step updates at least one network")
        inference, reuse = entry.names("inference", ()), entry.names("reuse", ())
        for key, names in (("update", update), ("inference", inference), ("reuse", reuse)):
            for name in dict.fromkeys(name for name in names if names.count(name) > 1):
                entry.note(key, f"'{name}' is listed twice")
        for name in dict.fromkeys(name for name in inference if name in update):
            entry.note("inference", f"'{name}' is updated in this step; training evaluates it in training mode")
        for name in dict.fromkeys(name for name in reuse if name in inference):
            entry.note("reuse", f"'{name}' is not evaluated in this step, so it has no mode here")
        # Read the number of repeats; a step without any is left out.
        repeat = entry.size("repeat", 1, least=0, most=MAX_REPEATS)
        place = file.source("steps", number)
        step = Step(update, repeat, _repeat_override(entry), _until(entry), inference, reuse, place)
        if not set(reuse).isdisjoint(update) and (step.repeat != 1 or step.repeat_override or step.until):
            message = "an evaluation of a network that this step updates can be reused once: its parameters move then"
            entry.note("reuse", message, "leave out repeat, repeat_override and until")
        entry.close()
        if step.repeat or (step.repeat_override and step.repeat_override.repeat):
            steps.append(step)
    if not steps:
        table.note("steps", "a schedule needs at least one step")
    table.close()
    if not problems.found:
        table.close_numbers("constants", table.scope)
    return Schedule(file.name, title, source, dict(table.scope.names), data, noise, tuple(steps), file.file)


def _repeat_override(entry: Table) -> RepeatOverride | None:
    if (own := entry.optional("repeat_override")) is None:
        return None
    override = RepeatOverride(
        own.size("repeat", least=0, most=MAX_REPEATS), own.size("first", least=0), own.size("every")
    )
    own.close()
    return override


def _until(entry: Table) -> Until | None:
    if (own := entry.optional("until")) is None:
        return None
    sides = [side for side in SIDES if side in own]
    if len(sides) != 1:
        own.note("", "expected a report, and either below = or above = a number")
        return None
    until = Until(own.text("report"), sides[0], own.number(sides[0]))
    own.close()
    return until
