"""Runs parts, each in a process of its own: one that crashes, hangs or finds something wrong does not stop the others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_MOST_OUTPUT = 6_000  # characters of a part's output that are kept: its end
_MOST_BYTES = 10_000_000  # of what a part found
PASSED, FAILED, SKIPPED, LATE, CRASHED = "passed", "failed", "skipped", "out of time", "crashed"
GOOD = (PASSED, SKIPPED)


@dataclass(frozen=True)
class Part:
    """Something to be run.

    Args:
        name: its name, with which its files begin.
        what: what it shows.
        command: words of the command; "{result}" stands for the file that it writes.
        limit: seconds that it may take.
        alone: whether nothing else may run beside it, because it measures time.
        missing: what it needs and is not there; empty where it can be run.
        nothing_to_do: exit codes that say that it had nothing to do.
    """

    name: str
    what: str
    command: tuple[str, ...]
    limit: float
    alone: bool = False
    missing: str = ""
    nothing_to_do: tuple[int, ...] = ()


@dataclass
class Outcome:
    """What became of a part.

    Args:
        name, what: those of the part.
        status: "passed", "failed", "skipped", "out of time" or "crashed".
        seconds: how long it took.
        why: why it was skipped, or how it ended.
        found: what it wrote, if it wrote something.
        output: end of what it printed.
    """

    name: str
    what: str
    status: str
    seconds: float = 0.0
    why: str = ""
    found: Any = None
    output: str = ""

    def as_data(self) -> dict[str, Any]:
        """Returns: the outcome as a dictionary for JSON."""
        return asdict(self)


@dataclass
class Clock:
    """How much time is left for all parts together.

    Args:
        seconds: how much there is at the beginning.
    """

    seconds: float
    started: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Returns: seconds that are left, 0 at the end."""
        return max(self.seconds - (time.monotonic() - self.started), 0.0)


def run_parts(
    parts: Sequence[Part],
    folder: Path,
    clock: Clock,
    jobs: int,
    environment: Mapping[str, str] | None = None,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run parts: first those that may run beside one another, then the others, one after the other.

    Args:
        parts: the parts.
        folder: folder for what they write and print.
        clock: time for all of them.
        jobs: number of those that run at a time.
        environment: variables of their processes; this one's if None.
        tell: function that is told of each outcome.

    Returns: their outcomes, in the order of the parts.
    """

    def run(part: Part) -> Outcome:
        outcome = run_part(part, folder, clock, environment)
        tell(outcome)
        return outcome

    beside = [part for part in parts if not part.alone]
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = dict(zip([part.name for part in beside], pool.map(run, beside), strict=True))
    outcomes |= {part.name: run(part) for part in parts if part.alone}
    return [outcomes[part.name] for part in parts]


def run_part(part: Part, folder: Path, clock: Clock, environment: Mapping[str, str] | None = None) -> Outcome:
    """Returns: what became of a part; it is ended, with all processes that it started, when its time is over."""
    if part.missing:
        return Outcome(part.name, part.what, SKIPPED, why=part.missing)
    limit = min(part.limit, clock.left())
    if not limit:
        return Outcome(part.name, part.what, SKIPPED, why="no time was left for it")
    result, log = folder / f"{part.name}.json", folder / f"{part.name}.log"
    command = [word.replace("{result}", str(result)) for word in part.command]
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(limit)
            late = False
        except subprocess.TimeoutExpired:
            code, late = 0, True
        finally:
            _end(process)
    seconds = time.monotonic() - start
    found, wrong = _read(result)
    status, why = PASSED, ""
    if late:
        status, why = LATE, f"it was ended after {seconds:.0f} s; what it had found until then is kept"
    elif code in part.nothing_to_do:
        status, why = SKIPPED, "it had nothing to do here"
    elif code < 0:
        status, why = CRASHED, f"it was ended by {_signal(-code)}"
    elif wrong and not code:
        status, why = CRASHED, wrong
    elif code:
        status = FAILED if found is not None or code == 1 else CRASHED
        why = f"exit code {code}"
    return Outcome(part.name, part.what, status, round(seconds, 1), why, found, _tail(log))


def _end(process: subprocess.Popen[bytes]) -> None:
    # The whole session: a part starts processes of its own, which would keep the device.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _read(path: Path) -> tuple[Any, str]:
    """Returns: what a part wrote, None where it wrote nothing; and what is wrong with it."""
    if not path.exists():
        return None, ""
    if path.stat().st_size > _MOST_BYTES:
        return None, f"it wrote more than {_MOST_BYTES:,} bytes"
    try:
        return json.loads(path.read_text("utf-8")), ""
    except (ValueError, RecursionError):
        return None, "what it wrote is not JSON"


def _tail(log: Path) -> str:
    return log.read_bytes()[-_MOST_OUTPUT:].decode("utf-8", "replace")
