"""Ours and a plain loop timed in one process, turn by turn.

A round times some iterations of ours, then as many of the loop, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.tools.backends import load
from ganspec.tools.benchmarks import sides
from ganspec.tools.benchmarks.machine import machine
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.run.memory import keep_freed_memory

ROUND_SECONDS = 1.0  # how long one side of a round takes about, where the number of iterations is not given
LEAST_ROUNDS = 2  # however little time there is
_SLOW = 2.0  # seconds; one such iteration is warm-up enough


@dataclass(frozen=True)
class Effort:
    """How long something is timed.

    Args:
        rounds: number of rounds.
        iterations: number of iterations of each side in a round; as many as ours does in about a second if 0.
        seconds: time after which no further round is begun, once there are two; 0 for no limit.
    """

    rounds: int = 10
    iterations: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Measurement:
    """What was timed.

    Args:
        request: what was asked for.
        batch: number of images of a batch.
        iterations: number of iterations of each side in a round.
        ours: seconds per iteration of ganspec, for each round.
        theirs: seconds per iteration of the plain loop, for each round; empty where ours was timed alone.
        machine: what it was measured on, as `machine` describes it.
        memory: the most bytes that each side held, by "ours" and "theirs", where that was asked for.
    """

    request: Request
    batch: int
    iterations: int
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    machine: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)

    def ratios(self) -> list[float]:
        """Returns: theirs / ours for each round; above 1 where ours is faster."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def ratio(self) -> tuple[float, float, float]:
        """Returns: the ratios' lower quartile, median and upper quartile."""
        return quartiles(self.ratios())

    def images_per_second(self) -> float:
        """Returns: images of ours, a batch counted once per iteration, at the median time."""
        return self.batch / statistics.median(self.ours)


def quartiles(values: list[float] | tuple[float, ...]) -> tuple[float, float, float]:
    """Returns: lower quartile, median and upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)


def measure(request: Request, effort: Effort | None = None, *, alone: bool = False) -> Measurement:
    """Time ours, and the plain loop unless `alone`, in this process.

    Raises:
        UserError: there is no such loop, or the framework or device is not there.
    """
    effort = effort or Effort()
    if not alone:
        sides.loop_name(request.system)
    system = request.load()
    load(request.backend)
    keep_freed_memory()  # as training does; the loop gains as much
    sides.use_threads(request.backend, request.threads)
    dataset = sides.dataset_for(system)
    both = [sides.ours(request, system, dataset)]
    both += [] if alone else [sides.theirs(request, system, dataset)]
    synchronise = sides.synchroniser(request.backend, request.device)
    warm = [_warm_up(side, synchronise) for side in both]
    iterations = effort.iterations or max(1, round(ROUND_SECONDS / warm[0]))
    rounds: list[tuple[float, ...]] = []
    start = time.perf_counter()
    while len(rounds) < effort.rounds:
        if effort.seconds and len(rounds) >= LEAST_ROUNDS and time.perf_counter() - start >= effort.seconds:
            break
        rounds.append(tuple(sides.seconds_per_iteration(side, iterations, synchronise) for side in both))
    ours, *theirs = zip(*rounds, strict=True)
    return Measurement(request, system.run.batch, iterations, ours, theirs[0] if theirs else (), machine(request))


def _warm_up(side: sides.Iterate, synchronise: Any) -> float:
    """Do an iteration or two. Returns: seconds of the last one."""
    first = sides.seconds_per_iteration(side, 1, synchronise)
    return first if first > _SLOW else sides.seconds_per_iteration(side, 1, synchronise)
