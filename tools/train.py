"""Train a system: a run folder with the resolved system, a log, sample grids, plots and checkpoints.

A run killed at any instant resumes from its newest checkpoint and then gives what an unbroken run gives; in the other backend,
to rounding.
"""

from __future__ import annotations

import argparse
import math
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from spec import System, load_system
from spec.checkpoint import CheckpointError, Record, read_checkpoint, read_record, write_checkpoint
from spec.description import describe, differences
from spec.plan import describe_plan
from spec.state import array_shapes
from tools import backends, pictures
from tools.data import Dataset, embedded_digits, load
from tools.errors import INTERRUPTED, STOPPED, UserError
from tools.feed import Feed
from tools.runfolder import RunFolder, free_folder

_ASKED = ("backend", "device", "dtype", "draws", "seed")
_DEFAULTS = {"backend": "torch", "device": "cpu", "dtype": "float32", "draws": "host", "seed": 0}
_FETCH_EVERY = 50  # iterations between fetches of the recorded numbers from a GPU: each is a synchronisation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", nargs="?", help="a name, NAME/VARIANT, or the path of a TOML file")
    parser.add_argument("--backend", choices=backends.NAMES, help="default: torch")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cpu")
    parser.add_argument("--data", type=Path, metavar="PATH", help="IDX, a folder, tar or zip of images, .npz or .npy")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder; default: runs/SYSTEM-NNN")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=_positive, metavar="N", help="train up to this iteration in all")
    length.add_argument("--epochs", type=_positive, metavar="N", help="train up to this epoch in all")
    parser.add_argument("--seed", type=_seed, metavar="S", help="of every random number; default: 0")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: float32")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of the system")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--draws", choices=("host", "device"), help="where random numbers come from; default: host")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0, 3 where training stopped because a value was not finite, or 130 after Ctrl-C."""
    folder = RunFolder.open_existing(arguments.resume) if arguments.resume else None
    system = _system(arguments, folder)
    asked = _asked(arguments, folder)
    checkpoint = folder.newest_checkpoint() if folder else None
    if arguments.dry_run:
        return _dry_run(arguments, system, asked)
    data = _data(arguments, system, folder)
    state, record = _resumed(system, checkpoint, asked, data) if checkpoint else (None, None)
    feed = Feed(system, data, asked["seed"], asked["dtype"], record.batches if record else 0)
    options = {key: asked[key] for key in ("dtype", "device", "draws")}
    trainer = backends.make_trainer(asked["backend"], system, asked["seed"], state, **options)
    if folder is None:
        path = arguments.out or free_folder(f"{system.name}-{asked['backend']}")
        folder = RunFolder.create(path, _record(arguments, system, asked, data))
    print(f"{system.name}: {system.title}\n{data.source}\nrun folder: {folder.path}")
    return _Training(system, folder, trainer, feed, asked, data.fingerprint, record).train(
        _end(arguments, system, feed)
    )


class _Stop(Exception):
    """Training cannot go on; the message says why."""


class _Training:
    """The loop, and what happens around an iteration."""

    def __init__(
        self,
        system: System,
        folder: RunFolder,
        trainer: Any,
        feed: Feed,
        asked: dict[str, Any],
        data: str,
        record: Record | None,
    ) -> None:
        self.system, self.folder, self.trainer, self.feed = system, folder, trainer, feed
        self.asked, self.data = asked, data
        self.to_numpy = backends.load(asked["backend"]).to_numpy
        self.columns = ("iteration", "epoch", *system.plan.columns())
        self.epoch: dict[str, Any] = dict(record.epoch) if record else {"sum": 0.0, "count": 0, "last": None}
        self.pending: list[tuple[int, int, dict[str, Any]]] = []
        self.saved = trainer.iteration if record else -1
        self.latents = pictures.latents(system, asked["seed"])
        self.without = pictures.missing()

    def train(self, end: tuple[int, int]) -> int:
        """Train up to an iteration or an epoch, whichever comes first. Returns: the exit code."""
        if self.without:
            print(
                f"no pictures: {' and '.join(self.without)} missing; pip install 'ganspec[pictures]'", file=sys.stderr
            )
        iterations, epochs = end
        start = self.trainer.iteration
        self.folder.open_log(self.columns, start)
        total = min(iterations, start + self._iterations_to(epochs))
        try:
            with _interrupts() as interrupted, _bar(start, total) as bar:
                if start == 0:
                    self._checkpoint()
                    self._pictures()
                while self.trainer.iteration < iterations and self.feed.epoch < epochs and not interrupted:
                    self._iterate(bar)
                self._fetch(bar)
                self._checkpoint()
                self._pictures()
        except _Stop as stop:
            print(f"stopped: {stop}\nthe last good checkpoint is {self.folder.newest_checkpoint()}", file=sys.stderr)
            return STOPPED
        except CheckpointError as error:
            raise UserError(str(error)) from None
        finally:
            self.folder.close()
        if interrupted:
            print(f"interrupted and saved; go on with: ganspec train --resume {self.folder.path}", file=sys.stderr)
            return INTERRUPTED
        print(f"done: {self.trainer.iteration} iterations, {self.feed.epoch} epochs")
        return 0

    def _iterations_to(self, epochs: int) -> int:
        """Returns: about how many iterations are left until an epoch."""
        schedule = self.system.schedule
        steps = [step for step in self.system.plan.steps if {"x", "y"} & set(step.draws())]
        each = {"iteration": 1, "step": len(steps), "repeat": sum(step.step.repeat for step in steps)}[schedule.data]
        return -(-(epochs * self.feed.per_epoch - self.feed.batches) // each)

    def _iterate(self, bar: Any) -> None:
        epoch = self.feed.epoch
        recorded = self.trainer.iterate(self.feed)
        iteration = self.trainer.iteration
        self.pending.append((iteration, epoch, recorded))
        bar.update()
        run, new_epoch = self.system.run, self.feed.epoch > epoch
        sample, save = iteration % run.samples_every == 0, iteration % run.checkpoint_every == 0
        if self.asked["device"] == "cpu" or len(self.pending) == _FETCH_EVERY or new_epoch or sample or save:
            self._fetch(bar)
        if new_epoch:
            self._end_epoch()
        if save:
            self._checkpoint()
        if sample:
            self._pictures()

    def _fetch(self, bar: Any) -> None:
        """Bring the recorded numbers of the pending iterations to the log."""
        rows = []
        for iteration, epoch, recorded in self.pending:
            values = {name: float(self.to_numpy(value)) for name, value in recorded.items()}
            bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
            if bad:
                self.folder.log(rows)
                self.pending.clear()
                raise _Stop(f"{' and '.join(bad)} in iteration {iteration}")
            rows.append((iteration, epoch, *(values[name] for name in self.columns[2:])))
            if self.system.decay:
                self.epoch["sum"] += values[self.system.decay.watch]
                self.epoch["count"] += 1
        self.folder.log(rows)
        if self.pending:
            first = self.columns[2]
            bar.set_postfix_str(f"{first} {rows[-1][2]:.4g}", refresh=False)
        self.pending.clear()

    def _end_epoch(self) -> None:
        decay = self.system.decay
        if decay is None:
            return
        mean = self.epoch["sum"] / self.epoch["count"]
        if self.epoch["last"] is not None and mean >= self.epoch["last"]:
            self.trainer.scale_learning_rates(decay.factor, decay.minimum)
        self.epoch = {"sum": 0.0, "count": 0, "last": mean}

    def _checkpoint(self) -> None:
        if self.saved == self.trainer.iteration:
            return
        self.folder.settle_log()
        record = Record(
            describe(self.system),
            self.asked["seed"],
            self.asked["dtype"],
            self.asked["draws"],
            self.feed.batches,
            self.data,
            self.epoch,
        )
        state = self.trainer.state()
        bad = [name for name, array in state.arrays.items() if not np.isfinite(array).all()]
        if bad:
            raise _Stop(f"{bad[0]} has a value that is not finite after iteration {state.iteration}")
        write_checkpoint(self.folder.checkpoint_path(state.iteration), state, record)
        self.folder.drop_old_checkpoints()
        self.saved = state.iteration

    def _pictures(self) -> None:
        if "Pillow" not in self.without:
            images = self.trainer.generate(*self.latents)
            pictures.save_grid(self.folder, self.system, images, self.trainer.iteration)
        if "matplotlib" not in self.without and self.trainer.iteration:
            pictures.save_plots(self.folder)


def _bar(start: int, total: int) -> Any:
    # A log file wants a line now and then, a terminal a moving bar.
    every = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(initial=start, total=total, unit="it", dynamic_ncols=True, mininterval=every, maxinterval=every)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying in the middle of an iteration; a second one kills at once."""
    caught: list[int] = []

    def note(number: int, _frame: Any) -> None:
        caught.append(number)
        signal.signal(number, before[number])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _system(arguments: argparse.Namespace, folder: RunFolder | None) -> System:
    name, settings = arguments.system, arguments.set
    if folder is not None:
        name = name or folder.record["system"]
        settings = settings or folder.record["settings"]
    if not name:
        raise UserError("which system? 'ganspec systems' lists them; or --resume DIR")
    system = load_system(name, settings)
    if "G" not in system.networks:
        raise UserError(f"{system.name}: has no network G to draw samples from")
    return system


def _asked(arguments: argparse.Namespace, folder: RunFolder | None) -> dict[str, Any]:
    """Returns: the options, from the command line, else from the run that is resumed, else the defaults."""
    before = {key: folder.record[key] for key in _ASKED} if folder else _DEFAULTS
    asked = {key: before[key] if getattr(arguments, key) is None else getattr(arguments, key) for key in _ASKED}
    if folder:
        for key in ("seed", "dtype", "draws"):
            if asked[key] != before[key]:
                raise UserError(f"{folder.path}: was started with --{key} {before[key]}, which resuming cannot change")
        if arguments.out:
            raise UserError("--out and --resume exclude each other: a run goes on in its own folder")
    return asked


def _data(arguments: argparse.Namespace, system: System, folder: RunFolder | None) -> Dataset:
    path = arguments.data
    if path is None and folder is not None and folder.record["data"]:
        path = Path(folder.record["data"])
    if path is None:
        if not system.data.embedded:
            raise UserError(f"{system.name}: no data ships with ganspec for it; give some with --data PATH")
        path = embedded_digits()
    wanted = system.data
    return load(path, shape=wanted.shape, fit=wanted.fit, skip_grey=wanted.skip_grey, progress=sys.stderr.isatty())


def _resumed(system: System, checkpoint: Path, asked: dict[str, Any], data: Dataset) -> tuple[Any, Record]:
    try:
        _, record = read_record(checkpoint)
        changed = differences(record.description, describe(system))
        if changed:
            lines = "\n".join(f"    {line}" for line in changed)
            raise UserError(f"{checkpoint}: the system has changed since; a resumed run must be the same run:\n{lines}")
        for key in ("seed", "dtype", "draws"):
            if getattr(record, key) != asked[key]:
                raise UserError(f"{checkpoint}: was written with {key} {getattr(record, key)}, not {asked[key]}")
        if record.data != data.fingerprint:
            raise UserError(f"{data.source}: is not the data that this run was started with; give that with --data")
        return read_checkpoint(checkpoint, array_shapes(system))
    except CheckpointError as error:
        raise UserError(f"{error}\nto go on from an earlier checkpoint, move this file away") from None


def _record(arguments: argparse.Namespace, system: System, asked: dict[str, Any], data: Dataset) -> dict[str, Any]:
    return {
        "system": str(Path(arguments.system).resolve()) if arguments.system.endswith(".toml") else arguments.system,
        "settings": arguments.set,
        **asked,
        "data": str(arguments.data.resolve()) if arguments.data else "",
        "data_source": data.source,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "resolved": describe(system),
    }


def _end(arguments: argparse.Namespace, system: System, feed: Feed) -> tuple[int, int]:
    """Returns: the iteration and the epoch to train up to; the one that was not asked for is out of reach."""
    if arguments.iterations:
        return arguments.iterations, sys.maxsize // feed.per_epoch
    return sys.maxsize, arguments.epochs or system.run.epochs


def _dry_run(arguments: argparse.Namespace, system: System, asked: dict[str, Any]) -> int:
    print(f"{system.name}: {system.title}")
    print(", ".join(f"{key} {value}" for key, value in asked.items()))
    where = arguments.data or (system.data.embedded and f"the embedded {system.data.embedded}") or "none: give --data"
    print(f"data: {where}")
    print("\n".join(describe_plan(system.plan, system.schedule)))
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a whole number from 1")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("expected a whole number from 0 to 2^63 - 1")
    return number
