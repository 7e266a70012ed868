"""How far a run has come, and how long it is."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from typing import Any, NamedTuple

from tqdm import tqdm

from ganspec.spec.parts.schedule import DATA, Step
from ganspec.spec.system import System
from ganspec.tools.errors import UserError
from ganspec.tools.run.feed import Feed


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

    Args:
        system: system that is trained.
        feed: source of its batches.
        iteration: iteration at which training starts.
        end: where training ends.

    Raises:
        UserError: epochs are counted, and no step reads data, so that they never pass.
    """

    def __init__(self, system: System, feed: Feed, iteration: int, end: End) -> None:
        self.feed, self.batches, self.counts_batches = feed, feed.batches, False
        total = end.iteration
        if math.isinf(total):
            each = batches_each(system)
            require_data(system, end)
            left = feed.batches_until(end.epoch) - feed.batches
            self.counts_batches = each is None
            total = feed.batches + left if each is None else iteration + -(-left // each)
        # A log file wants a line now and then, a terminal a moving bar.
        every = 0.2 if sys.stderr.isatty() else 30.0
        self.tqdm: Any = tqdm(
            initial=feed.batches if self.counts_batches else iteration,
            total=int(max(total, 0)),
            unit="batch" if self.counts_batches else "it",
            file=_Patient(sys.stderr),
            dynamic_ncols=True,
            mininterval=every,
            maxinterval=every,
        )

    def update(self) -> None:
        """Note that an iteration is done."""
        done = self.feed.batches - self.batches if self.counts_batches else 1
        self.batches = self.feed.batches
        # The last iteration may draw batches of the epoch after the end.
        self.tqdm.update(min(done, self.tqdm.total - self.tqdm.n) if self.counts_batches else done)

    def say(self, name: str, value: float) -> None:
        """Show the recorded number `name` beside the bar."""
        self.tqdm.set_postfix_str(f"{name} {value:.4g}", refresh=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
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
