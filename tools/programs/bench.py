"""Time training against a plain hand-written loop of the same system in the same framework.

Both train in one process, turn by turn: a round times some iterations of ours, then as many of theirs, so that
whatever else the machine does falls on both. Each iteration includes its batch and fetching the numbers that are
recorded. The loops stand in `tools.baselines`; every system and backend is timed in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ganspec.spec import System, load_system
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.options import DRAWS, device_number
from ganspec.tools import data
from ganspec.tools.backends import NAMES, load, make_trainer
from ganspec.tools.baselines import MODULES
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.programs import options as shared
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.reading import load_for

SEED = 0
WARM_UP = 2  # iterations; the second one is timed
ROUND_SECONDS = 1.0  # how long one side of a round takes about, where --iterations is not given
# NumPy's and PyTorch's libraries read these once, when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Iterate = Callable[[], dict[str, float]]


@dataclass(frozen=True)
class Measurement:
    """What was timed.

    Args:
        system: name of the system.
        backend: "torch" or "chainer".
        device: "cpu", "cuda" or "cuda:N".
        threads: number of threads that was asked for, 0 for the libraries' choice.
        iterations: number of iterations of each side in a round.
        ours: seconds per iteration of ganspec, for each round.
        theirs: seconds per iteration of the hand-written loop, for each round.
    """

    system: str
    backend: str
    device: str
    threads: int
    iterations: int
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    def ratios(self) -> list[float]:
        """Returns: theirs / ours for each round; above 1 where ours is faster."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def ratio(self) -> tuple[float, float, float]:
        """Returns: the ratios' lower quartile, median and upper quartile."""
        low, middle, high = np.percentile(self.ratios(), [25, 50, 75])
        return float(low), float(middle), float(high)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec bench`."""
    small = [name for name in MODULES if load_system(name).data.embedded]
    parser.add_argument(
        "systems", metavar="SYSTEM", nargs="*", default=small,
        help=f"one of {', '.join(MODULES)}; without any: {' and '.join(small)}",
    )  # fmt: skip
    shared.add_backend(parser, "both", both=True)
    shared.add_device(parser)
    parser.add_argument(
        "--draws", choices=DRAWS, default="host",
        help="where ours takes random numbers from, as in train (default: host)",
    )  # fmt: skip
    parser.add_argument(
        "--rounds", metavar="N", type=shared.positive, default=10, help="number of timed pairs (default: 10)"
    )
    parser.add_argument(
        "--iterations", metavar="N", type=shared.positive,
        help=f"iterations of each side in a round (default: about {ROUND_SECONDS:g} s of them)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", metavar="N", type=shared.positive, help="threads on the CPU (default: the libraries' choice)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the times of every round to a file, too")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0, whichever is faster."""
    for name in arguments.systems:
        baseline_name(name)
    backends = NAMES if arguments.backend == "both" else (arguments.backend,)
    measured = []
    print(_row(["system", "backend", "ours", "theirs", "theirs/ours", "quartiles"]), flush=True)
    for name in arguments.systems:
        for backend in backends:
            measured.append(_in_new_process(name, backend, arguments))
            print(table_row(measured[-1]), flush=True)
    print("median ms per iteration; theirs is the hand-written loop; above 1, ours is faster")
    if arguments.json is not None:
        _write_json(arguments.json, measured)
    return 0


def baseline_name(system: str) -> str:
    """Returns: the first part of the names of a system's modules in `tools.baselines`.

    Raises:
        UserError: there is no hand-written loop of it.
    """
    if system not in MODULES:
        hint = did_you_mean(system, MODULES)
        message = f"no hand-written loop of '{system}' to compare with: {expected_one_of(MODULES)}"
        raise UserError(f"{message}; {hint}" if hint else message)
    return MODULES[system]


def measure(
    name: str,
    backend: str,
    *,
    device: str = "cpu",
    draws: str = "host",
    rounds: int = 10,
    iterations: int | None = None,
    threads: int | None = None,
) -> Measurement:
    """Time ours and theirs in this process.

    Args:
        name: name of a system that has a hand-written loop.
        backend: "torch" or "chainer".
        device: "cpu", "cuda" or "cuda:N".
        draws: where ours takes random numbers from, "host" or "device"; theirs come from the framework.
        rounds: number of pairs to time.
        iterations: number of iterations of each side in a round; as many as ours does in about a second if None.
        threads: number of threads of PyTorch; NumPy's is fixed when it is loaded, so that the caller must set it.

    Returns: the times of all rounds.

    Raises:
        UserError: there is no such loop, or the framework or device is not there.
    """
    baseline, system = baseline_name(name), load_system(name)
    load(backend)
    _use_threads(backend, threads)
    dataset = _dataset(system)
    ours = _ours(system, backend, device, draws, dataset)
    make = importlib.import_module(f"ganspec.tools.baselines.{baseline}_{backend}").make
    theirs = make(system, dataset.images, dataset.labels, device)
    synchronise = _synchronise(backend, device)
    for side in (ours, theirs):
        warm = _seconds(side, WARM_UP - 1, synchronise), _seconds(side, 1, synchronise)
        if side is ours and iterations is None:
            iterations = max(1, round(ROUND_SECONDS / warm[1]))
    assert iterations is not None
    pairs = [tuple(_seconds(side, iterations, synchronise) for side in (ours, theirs)) for _ in range(rounds)]
    ours_seconds, theirs_seconds = zip(*pairs, strict=True)
    return Measurement(name, backend, device, threads or 0, iterations, ours_seconds, theirs_seconds)


def table_row(measured: Measurement) -> str:
    """Returns: a measurement as a line of the table."""
    low, middle, high = measured.ratio()
    ours, theirs = (f"{1000 * statistics.median(side):.2f}" for side in (measured.ours, measured.theirs))
    return _row([measured.system, measured.backend, ours, theirs, f"{middle:.2f}x", f"{low:.2f}..{high:.2f}"])


def _row(cells: list[str]) -> str:
    system, backend, ours, theirs, ratio, spread = cells
    return f"{system:<18} {backend:<8} {ours:>10} {theirs:>10} {ratio:>12}  {spread}"


def _ours(system: System, backend: str, device: str, draws: str, dataset: data.Dataset) -> Iterate:
    trainer = make_trainer(backend, system, SEED, device=device, draws=draws)
    to_numpy, feed = load(backend).to_numpy, Feed(system, dataset, SEED, "float32")
    return lambda: {key: float(to_numpy(value)) for key, value in trainer.iterate(feed).items()}


def _dataset(system: System) -> data.Dataset:
    """Returns: the packaged images where the system has some, else random ones."""
    if system.data.embedded:
        return load_for(system, None)
    shape = (16 * system.run.batch, *system.data.shape)
    images = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
    return data.Dataset(images, None, "random images", "")


def _seconds(side: Iterate, iterations: int, synchronise: Callable[[], None]) -> float:
    """Returns: seconds per iteration."""
    synchronise()
    start = time.perf_counter()
    for _ in range(iterations):
        side()
    synchronise()
    return (time.perf_counter() - start) / iterations


def _synchronise(backend: str, device: str) -> Callable[[], None]:
    if device == "cpu":
        return lambda: None
    if backend == "torch":
        return partial(importlib.import_module("torch").cuda.synchronize, device)
    return importlib.import_module("cupy").cuda.Device(device_number(device)).synchronize


def _use_threads(backend: str, threads: int | None) -> None:
    if backend == "torch" and threads:
        importlib.import_module("torch").set_num_threads(threads)


def _in_new_process(name: str, backend: str, given: argparse.Namespace) -> Measurement:
    options = {key: getattr(given, key) for key in ("device", "draws", "rounds", "iterations", "threads")}
    with _thread_variables(given.threads), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, name, backend, **options).result()
        except BrokenProcessPool:
            raise UserError(f"{name}, {backend}: its process died; is there memory for two copies of it?") from None


@contextmanager
def _thread_variables(threads: int | None) -> Iterator[None]:
    """Set the variables for processes started inside."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if threads:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _write_json(path: Path, measured: list[Measurement]) -> None:
    described = [{**asdict(m), "ratio": dict(zip(("low", "median", "high"), m.ratio(), strict=True))} for m in measured]
    try:
        write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())
    except OSError as error:
        raise cannot_write(path, error, option="--json FILE") from None
