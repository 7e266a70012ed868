"""How far a run has come, and how long it is."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from tqdm import tqdm

from ganspec.spec.parts.schedule import DATA, Step
from ganspec.spec.system import System
from ganspec.tools.errors import UserError
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.forecast import Forecast
from ganspec.tools.run.memory import gpu_memory, resident_memory
from ganspec.tools.run.telling import Telling

_RENEWED = 0.2  # seconds after which the numbers beside the bar are written anew
_WINDOW = 30.0  # seconds over which images are counted; the bar shows how many that is per second


class End(NamedTuple):
    """What to train up to, counted from the beginning of the run: an iteration or an epoch; the other is infinity."""

    iteration: float
    epoch: float

    def __str__(self) -> str:
        return f"{self.iteration:,} iterations" if math.isfinite(self.iteration) else f"{self.epoch:,} epochs"


def batches_each(system: System) -> int | None:
    """Returns: the number of batches of data that each iteration draws; None where iterations differ."""
    found = {_batches_each(system, number) for number in range(len(system.stages))}
    return found.pop() if len(found) == 1 else None


def require_data(system: System, end: End) -> None:
    """Raises: UserError: epochs are counted, and no step reads data, so that they never pass."""
    if math.isinf(end.iteration) and batches_each(system) == 0:
        raise UserError(
            f"{system.name}: reads no data, so that epochs never pass; count iterations with --iterations N"
        )


def _batches_each(system: System, stage: int) -> int | None:
    steps = [planned.step for planned in system.stages[stage].plan.steps if not set(DATA).isdisjoint(planned.draws())]
    match system.schedule.data:
        case "iteration":
            return None if steps and not any(step.always_runs for step in steps) else min(1, len(steps))
        case "step":
            return len(steps) if all(step.always_runs for step in steps) else None
    return sum(step.repeat for step in steps) if all(map(_is_regular, steps)) else None


def _is_regular(step: Step) -> bool:
    """Returns: whether every iteration repeats a step the same number of times."""
    always = step.repeat_override is None or step.repeat_override.repeat == step.repeat
    return always and (step.until is None or step.repeat <= 1)


class Bar:
    """A bar on the standard error. It counts iterations where it is known how many there will be, otherwise batches.

    Where a run ends after a number of epochs and the number of batches per iteration depends on what training does, the number of
    iterations is not known beforehand, but every batch brings the end nearer.

    Beside the bar stand the system's telling numbers, real images per second, and the memory that the process has now. Once the
    first iterations are done, a line above the bar says how long training will take.

    Args:
        system: system that is trained.
        feed: source of its batches.
        iteration: iteration at which training starts.
        end: where training ends.
        options: backend and device of the run.

    Raises:
        UserError: epochs are counted, and no step reads data, so that they never pass.
    """

    def __init__(self, system: System, feed: Feed, iteration: int, end: End, options: Mapping[str, Any]) -> None:
        self.system, self.feed, self.options = system, feed, options
        self.batches, self.counts_batches = feed.batches, False
        each = batches_each(system)
        total = end.iteration
        if math.isinf(total):
            require_data(system, end)
            left = feed.batches_until(end.epoch) - feed.batches
            self.counts_batches = each is None
            total = feed.batches + left if each is None else iteration + -(-left // each)
        start = feed.batches if self.counts_batches else iteration
        self.forecast = Forecast(system, "batches" if self.counts_batches else "iterations", start, total, each)
        self.telling = Telling(system)
        self.newest: dict[str, float] = {}  # value of each recorded number
        self.seen: deque[tuple[float, int]] = deque()  # when the numbers were shown lately, and the batches until then
        # A log file wants a line now and then, a terminal a moving bar.
        every = 0.2 if sys.stderr.isatty() else 30.0
        self.tqdm: Any = tqdm(
            initial=start,
            total=int(max(total, 0)),
            unit="batch" if self.counts_batches else "it",
            file=_Patient(sys.stderr),
            dynamic_ncols=True,
            mininterval=every,
            maxinterval=every,
        )

    def update(self) -> None:
        """Note that an iteration is done."""
        now = time.monotonic()
        done = self.feed.batches - self.batches if self.counts_batches else 1
        self.batches = self.feed.batches
        if not self.seen or now - self.seen[-1][0] >= _RENEWED:
            self._show(now)
        if line := self.forecast.after(self.tqdm.n + done, now):
            self.tqdm.write(line, file=self.tqdm.fp)
        # The last iteration may draw batches of the epoch after the end.
        self.tqdm.update(min(done, self.tqdm.total - self.tqdm.n) if self.counts_batches else done)

    def say(self, recorded: Mapping[str, float]) -> None:
        """Note the newest recorded numbers."""
        self.newest.update(recorded)

    def _show(self, now: float) -> None:
        """Write the numbers beside the bar; it shows them when it moves next."""
        self.seen.append((now, self.batches))
        while len(self.seen) > 2 and now - self.seen[1][0] > _WINDOW:
            self.seen.popleft()
        parts = [f"{name} {value:.4g}" for name, value in self.telling.values(self.newest).items()]
        (since, before), images = self.seen[0], self.system.run.batch
        if now > since and self.batches > before:
            parts.append(f"{(self.batches - before) * images / (now - since):,.0f} images/s")
        if (size := resident_memory()) is not None:
            parts.append(f"{size / 2**20:,.0f} MiB")
        if (size := gpu_memory(self.options)) is not None:
            parts.append(f"{size / 2**20:,.0f} MiB on the GPU")
        self.tqdm.set_postfix_str(", ".join(parts), refresh=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._show(time.monotonic())
        self.tqdm.close()


class _Patient:
    """A stream whose failures are ignored: a bar that cannot be shown is no reason to stop training."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
