"""A rehearsal of a run: what its data hold, and how long and how much memory training will take. It writes nothing."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ganspec.spec.layers import format_shape
from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.spec.training.state import TrainingState, initial_state
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from ganspec.tools.data import Dataset
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.forecast import duration
from ganspec.tools.run.memory import keep_freed_memory
from ganspec.tools.run.progress import End, batches_each, require_data

_LISTED = 20  # names of classes
_WARM_UP = 5.0  # seconds; where the first iteration took less, a second one is measured


class Measured(NamedTuple):
    """What one iteration took.

    Args:
        seconds: time of the iteration, its batches and the fetching of its numbers included.
        batches: number of batches of data that it drew.
        first: whether it was the first one, which warms up, too.
    """

    seconds: float
    batches: int
    first: bool


def data_lines(data: Dataset, system: System) -> list[str]:
    """Say what data hold.

    Args:
        data: data set, as the system's `fit` leaves it.
        system: system whose range of values applies.

    Returns: lines about the number of images, the first of them, and the labels.
    """
    first, (low, high) = data.images[0], system.data.range
    scale = 255.0 if first.dtype == np.uint8 else 1.0
    ends = [f"{low + (high - low) * float(value) / scale:.3g}" for value in (first.min(), first.max())]
    lines = [
        f"images: {len(data.images):,}, {len(data.images) // system.run.batch:,} whole batches per epoch",
        f"first image: {format_shape(first.shape)} {first.dtype}, values from {first.min():.4g} to {first.max():.4g}, "
        f"which the networks see as {ends[0]} to {ends[1]}",
    ]
    if data.labels is None or not len(data.labels):
        return [*lines, "labels: none"]
    classes, counts = np.unique(data.labels, return_counts=True)
    spread = f"{counts.min():,} to {counts.max():,}" if counts.min() < counts.max() else f"{counts[0]:,}"
    used = "" if "y" in system.symbols else "; this system does not use them"
    text = f"labels: {len(classes)} different, from {classes[0]} to {classes[-1]}, {spread} images each"
    lines.append(f"{text}; the first image has {data.labels[0]}{used}")
    if data.classes is not None:
        listed = [printable(name) for name in data.classes[:_LISTED]]
        rest = f" and {len(data.classes) - _LISTED:,} more" if len(data.classes) > _LISTED else ""
        lines.append(f"classes: {', '.join(f'{number} {name}' for number, name in enumerate(listed))}{rest}")
    return lines


def measure(system: System, options: dict[str, Any], feed: Feed | None, state: TrainingState | None) -> Measured:
    """Train one or two iterations and forget them.

    Args:
        system: system to train. If it grows, its last stage is measured, which is the largest.
        options: backend, device, dtype, draws and seed of the run.
        feed: batches of data, at the same place again afterwards; random images if None.
        state: state to start from; the initial state of the seed if None.

    Returns: what the last of them took.

    Raises:
        UserError: the framework or the device is not there.
    """
    keep_freed_memory()  # as training does
    state = state or initial_state(system, options["seed"])
    if system.growth:
        state.iteration = max(
            state.iteration, -(-(system.growth.stages - 1) * system.growth.images // system.run.batch)
        )
    numbers = {key: options[key] for key in ("dtype", "device", "draws", "precision", "cuda") if key in options}
    trainer = backends.make_trainer(options["backend"], system, options["seed"], state, **numbers)
    next_batch: Callable[[], dict[str, np.ndarray]] = feed or random_feed(system, options["seed"])
    to_numpy = backends.load(options["backend"]).to_numpy
    measured, place = Measured(0.0, 0, True), feed.batches if feed else 0
    for first in (True, False):
        drawn = 0

        def counted() -> dict[str, np.ndarray]:
            nonlocal drawn
            drawn += 1
            return next_batch()

        start = time.perf_counter()
        for value in trainer.iterate(counted).values():
            to_numpy(value)  # which waits for a GPU
        measured = Measured(time.perf_counter() - start, drawn, first)
        if measured.seconds > _WARM_UP:
            break
    if feed is not None:
        feed.batches = place
    return measured


def cost_lines(system: System, options: dict[str, Any], measured: Measured, left: float | None) -> list[str]:
    """Estimate what training will take, and say how.

    Args:
        system: system to train.
        options: backend, device and so on of the run.
        measured: what one iteration took.
        left: iterations that are left, None where that is not known.

    Returns: lines about time and memory.
    """
    which = "the first one" if measured.first else "the second one; the first one warms up"
    which += ", of the last and largest stage" * bool(system.growth)
    lines = [f"measured: {measured.seconds:.3g} s for one iteration ({which})"]
    if left is None:
        lines.append("time: not known before the data are there")
    else:
        rough = "" if batches_each(system) is not None else "; iterations differ in length, so this is rough"
        total = duration(measured.seconds * left)
        lines.append(
            f"time: about {total}, {measured.seconds:.3g} s x {left:,.0f} iterations, without pictures and checkpoints{rough}"
        )
    lines.append(f"memory: {_peak(options)}")
    return lines


def iterations_left(system: System, feed: Feed | None, measured: Measured, start: int, end: End) -> float | None:
    """Count the iterations up to an end.

    Args:
        system: system to train.
        feed: batches of data, at the place where training starts; None where there are no data yet.
        measured: what one iteration took; says how many batches an iteration draws where iterations differ.
        start: iteration at which training starts.
        end: where training ends.

    Returns: their number; None where epochs are counted, and there are no data yet.

    Raises:
        UserError: epochs are counted, and no step reads data, so that they never pass.
    """
    require_data(system, end)
    if math.isfinite(end.iteration):
        return max(0.0, end.iteration - start)
    if feed is None:
        return None
    each = batches_each(system) or max(1, measured.batches)
    return max(0.0, math.ceil((feed.batches_until(end.epoch) - feed.batches) / each))


def _peak(options: dict[str, Any]) -> str:
    """Returns: the most memory that this process has had, and that its arrays on a GPU have had."""
    try:
        import resource
    except ImportError:  # Windows
        text = "not known on this system"
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
        text = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20:,.0f} MiB at most (resident, data included)"
    if options["device"] == "cpu":
        return text
    if options["backend"] == "torch":
        size = importlib.import_module("torch").cuda.max_memory_reserved(options["device"])
    else:
        size = importlib.import_module("cupy").get_default_memory_pool().total_bytes()
    return f"{text}; {size / 2**20:,.0f} MiB on the GPU"
