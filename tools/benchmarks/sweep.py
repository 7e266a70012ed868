"""The cost of an iteration against a number of the system: batch, channels, resolution.

Every point is measured in a process of its own: the time of an iteration of ours, its operations, and the most memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganspec.spec import load_system
from ganspec.spec.text.errors import SpecError, printable
from ganspec.tools.benchmarks.fresh import in_fresh_process
from ganspec.tools.benchmarks.memory import peak_resident
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.roofline import planned_steps, products_of
from ganspec.tools.benchmarks.tables import Table, milliseconds
from ganspec.tools.benchmarks.timing import Effort, Measurement, measure
from ganspec.tools.errors import UserError

MAX_POINTS = 64  # of all settings together
_SHORT = {"batch": "run.batch"}  # what is typed most
_VALUES = re.compile(r"(?:\[[^\]]*\]|[^,\[\]])+")  # separated by commas outside of brackets


@dataclass(frozen=True)
class Setting:
    """A key and the values that it takes in turn.

    Args:
        key: dotted key of the system, such as "run.batch"; several, separated by "+", take each value together.
        values: values as they are typed after --set KEY=.
    """

    key: str
    values: tuple[str, ...]

    def settings(self, value: str) -> list[str]:
        """Returns: what --set would be given for a value."""
        return [f"{key}={value}" for key in self.key.split("+")]


def setting_of(text: str) -> Setting:
    """Read what an option says, "batch=16,32,64" or "networks.G.n+networks.D.n=16,32".

    Raises:
        UserError: it has no key, or fewer than two values, or too many.
    """
    key, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in _VALUES.findall(rest) if value.strip())
    if not key.strip() or not equals or not 1 < len(values) <= MAX_POINTS:
        message = f"--sweep {printable(text[:60])}: expected KEY=VALUE,VALUE and so on, with 2 to {MAX_POINTS} values"
        raise UserError(f"{message}, such as batch=16,32,64 or constants.size=16,32")
    keys = "+".join(_SHORT.get(each.strip(), each.strip()) for each in key.split("+"))
    return Setting(keys, values)


@dataclass(frozen=True)
class Point:
    """What was measured at one value of a setting.

    Args:
        key, value: the setting.
        measured: times of ours.
        operations: floating-point operations per iteration in products of matrices, each step done as often as the plan says.
        peak: the most bytes that the process held.
    """

    key: str
    value: str
    measured: Measurement
    operations: int
    peak: int

    def as_data(self) -> dict[str, Any]:
        """Returns: all of it, as JSON has it."""
        request = self.measured.request
        return {
            "system": request.system,
            "backend": request.backend,
            "device": request.device,
            "settings": list(request.settings),
            "reduced": request.reduced,
            "key": self.key,
            "value": self.value,
            "batch": self.measured.batch,
            "seconds": list(self.measured.ours),
            "operations": self.operations,
            "peak": self.peak,
            "machine": dict(self.measured.machine),
        }


def run(requests: Sequence[Request], settings: Sequence[Setting], effort: Effort, *, markdown: bool) -> list[Point]:
    """Measure and print one point after the other.

    Args:
        requests: the systems and backends.
        settings: settings, of which each is varied alone.
        effort: how long each point is timed.
        markdown: whether the table is written as Markdown.

    Returns: the points.

    Raises:
        UserError: there are too many, or one cannot be measured.
        SpecError: a system does not take a value; then nothing was measured.
    """
    wanted = [(r, s, value) for r in requests for s in settings for value in s.values]
    if len(wanted) > MAX_POINTS:
        raise UserError(
            f"{len(wanted)} points are to be measured, at most {MAX_POINTS} are; name fewer values or systems"
        )
    changed = [(replace(r, settings=(*r.settings, *s.settings(value))), s, value) for r, s, value in wanted]
    for request, setting, value in changed:
        _check(request, setting, value)
    columns = ["system", "backend", "setting", "batch", "ms", "images/s", "GFLOP", "GFLOP/s", "MB"]
    table = Table(columns, [-20, -8, -28, 5, 9, 9, 9, 8, 7], markdown=markdown)
    found = []
    for request, setting, value in changed:
        what = f"{request.system}, {request.backend}"
        measured, work, peak = in_fresh_process(measure_point, request, effort, threads=request.threads, what=what)
        found.append(Point(setting.key, value, measured, work, peak))
        table.row(_cells(found[-1]))
    return found


def _check(request: Request, setting: Setting, value: str) -> None:
    """Raises: SpecError: the system does not take the value; the message names the option, and numbers that there are."""
    try:
        request.load()
    except SpecError as error:
        typed = {f"--set {each}": f"--sweep {each}" for each in setting.settings(value)}
        system = load_system(request.system)
        numbers = ["run.batch", *(f"constants.{name}" for name in system.constants)]
        numbers += [f"networks.{role}.{name}" for role, each in system.networks.items() for name in each.constants]
        there = f"the system has {', '.join(numbers)}"
        raise SpecError(
            replace(
                problem,
                file=typed.get(problem.file, problem.file),
                hint=there if problem.message.startswith("nothing uses") else problem.hint,
            )
            for problem in error.problems
        ) from None


def measure_point(request: Request, effort: Effort) -> tuple[Measurement, int, int]:
    """Returns: times of ours, operations per iteration, and the most bytes that this process held."""
    measured = measure(request, effort, alone=True)
    system = request.load()
    work = round(sum(times * p.operations for p, times in products_of(system, {planned_steps(system): 1.0})))
    return measured, work, peak_resident()


def _cells(point: Point) -> list[str]:
    measured = point.measured
    per_second = measured.images_per_second()
    return [
        measured.request.system,
        measured.request.backend,
        f"{point.key}={point.value}",
        str(measured.batch),
        milliseconds(measured.ours),
        f"{per_second:,.0f}",
        f"{point.operations / 1e9:.3f}",
        f"{point.operations * per_second / measured.batch / 1e9:.1f}",
        f"{point.peak / 1e6:,.0f}",
    ]


def write_plot(path: Path, points: Sequence[Point]) -> None:
    """Write the plot of the points as a PNG file.

    Raises:
        UserError: matplotlib is not there, or the file cannot be written.
    """
    from ganspec.spec.training.checkpoint import write_atomically
    from ganspec.tools.benchmarks.plot import plot
    from ganspec.tools.errors import cannot_write

    curves: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for point in points:
        request = point.measured.request
        curve = curves.setdefault(point.key, {}).setdefault(f"{request.system}, {request.backend}", [])
        per_image = sorted(point.measured.ours)[len(point.measured.ours) // 2]
        curve.append((point.value, 1000 * per_image))
    content = plot(curves)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise cannot_write(path, error, option="--plot FILE") from None
