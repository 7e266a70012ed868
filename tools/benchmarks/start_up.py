"""Seconds up to the first iteration, by part, and of the programs that need no framework.

The parts are those of `ganspec train`, in its order, all timed in one new process: Python itself, the program, the framework,
the system, the data, the trainer, the first iteration and the second. `ganspec train --iterations 1` is timed as a whole, too:
what it takes beyond the parts is its folder, its pictures and its checkpoint.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ganspec.tools.benchmarks.fresh import thread_variables
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.tables import Table
from ganspec.tools.errors import UserError

DEFAULT = "wgan_gp_mlp_mnist"
PARTS = ("python", "program", "framework", "system", "data", "trainer", "first iteration", "second iteration")
_FIRST = "import time; marks = [time.time()]; import ganspec.tools.programs.train; marks.append(time.time())"
_MAX_OUTPUT = 10_000  # characters of what a child says


@dataclass(frozen=True)
class StartUp:
    """What was measured.

    Args:
        command: what was started, as it is typed.
        backend: backend that it trains with; "" for a program that trains nothing.
        seconds: seconds of each try, from the start of the process to its end, or to the end of the second iteration.
        parts: seconds of each part, the median of the tries, where it was timed by part.
    """

    command: str
    backend: str
    seconds: tuple[float, ...]
    parts: dict[str, float]

    def cells(self) -> list[str]:
        """Returns: the cells of a row."""
        parts = [f"{self.parts[part]:.2f}" if part in self.parts else "" for part in PARTS]
        return [self.command, self.backend, f"{statistics.median(self.seconds):.2f}", *parts]


def run(requests: Sequence[Request], *, tries: int = 3, markdown: bool = False) -> list[StartUp]:
    """Measure and print one command after the other.

    Args:
        requests: what is trained.
        tries: how often each is started.
        markdown: whether the table is written as Markdown.

    Raises:
        UserError: a program ended with an error.
    """
    table = Table(
        ["seconds of", "backend", "all", *PARTS],
        [-36, -8, 6, *(max(6, len(part)) for part in PARTS)],
        markdown=markdown,
    )
    found = []
    for each in _measured(requests, tries):
        found.append(each)
        table.row(each.cells())
    return found


def _measured(requests: Sequence[Request], tries: int) -> Any:
    system = requests[0].system
    for words in (["--help"], ["show", system], ["systems"]):
        seconds = tuple(_seconds(["-m", "ganspec.tools", *words]) for _ in range(tries))
        yield StartUp(f"ganspec {' '.join(words)}", "", seconds, {})
    for request in requests:
        with thread_variables(request.threads):
            yield _by_part(request, tries)
            yield _whole(request, tries)


def _by_part(request: Request, tries: int) -> StartUp:
    """Start a process that does what training does, and says when each part is done."""
    times: list[dict[str, float]] = []
    for _ in range(tries):
        given = json.dumps({**asdict(request), "settings": list(request.settings)})
        program = f"{_FIRST}; from {__name__} import tell; tell({given!r}, marks)"
        start = time.time()
        done = _started(["-c", program])
        said = json.loads(done.stdout[-_MAX_OUTPUT:].splitlines()[-1])
        marks = [start, *said]
        times.append({part: after - before for part, before, after in zip(PARTS, marks, marks[1:], strict=False)})
    medians = {part: statistics.median(each[part] for each in times) for part in PARTS}
    return StartUp(
        f"train {request.system}, its parts", request.backend, tuple(sum(t.values()) for t in times), medians
    )


def tell(given: str, marks: list[float]) -> None:
    """Do what training does at its start, and print as JSON at which time each part was done; called in a new process.

    Args:
        given: the request, as JSON.
        marks: times at which Python had started, and the program `train` was imported.
    """
    from ganspec.tools.backends import load, make_trainer
    from ganspec.tools.benchmarks import sides
    from ganspec.tools.run.feed import Feed

    fields = json.loads(given)
    request = Request(**{**fields, "settings": tuple(fields["settings"])})
    backend = load(request.backend)
    sides.use_threads(request.backend, request.threads)
    marks.append(time.time())
    system = request.load()
    marks.append(time.time())
    feed = Feed(system, sides.dataset_for(system), sides.SEED, "float32")
    marks.append(time.time())
    trainer = make_trainer(request.backend, system, sides.SEED, **request.trainer_options())
    marks.append(time.time())
    for _ in range(2):
        for value in trainer.iterate(feed).values():
            float(backend.to_numpy(value))
        marks.append(time.time())
    print(json.dumps(marks))


def _whole(request: Request, tries: int) -> StartUp:
    """Start `ganspec train` for one iteration, where data ship with ganspec."""
    settings = [word for setting in request.settings for word in ("--set", setting)]
    seconds = []
    for _ in range(tries):
        with TemporaryDirectory(prefix="ganspec-bench-") as folder:
            words = ["train", request.system, "--iterations", "1", "--out", str(Path(folder) / "run"), *settings]
            words += ["--backend", request.backend, "--device", request.device, "--draws", request.draws]
            seconds.append(_seconds(["-m", "ganspec.tools", *words]))
    return StartUp(f"ganspec train {request.system} --iterations 1", request.backend, tuple(seconds), {})


def _seconds(words: list[str]) -> float:
    start = time.perf_counter()
    _started(words)
    return time.perf_counter() - start


def _started(words: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise UserError(f"a program that was timed ended with {done.returncode}: {said[0]}")
    return done
