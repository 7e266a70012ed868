"""The loop of training, and what happens around an iteration: log, checkpoints, pictures, learning rates, interruptions."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganspec.spec import System
from ganspec.spec.description import describe
from ganspec.spec.training.checkpoint import CheckpointError, NotFiniteError, Record, check_finite, write_checkpoint
from ganspec.tools import backends
from ganspec.tools.errors import INTERRUPTED, STOPPED, UserError, is_out_of_memory, say
from ganspec.tools.quality.watch import Watch
from ganspec.tools.run import tensorboard
from ganspec.tools.run.album import Album
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.folder import RunFolder
from ganspec.tools.run.log import RATE, columns_of
from ganspec.tools.run.memory import keep_freed_memory
from ganspec.tools.run.progress import Bar, End
from ganspec.tools.run.ranks import Together

_FETCH_EVERY = 50  # iterations between fetches of the recorded numbers from a GPU, each of which waits for it


class _Stop(Exception):
    """Training cannot go on; the message says why."""


class Training:
    """One run, from where it is to its end.

    Args:
        system: system that is trained.
        folder: folder of the run, locked.
        trainer: trainer of a backend, in the state to go on from.
        feed: batches to go on with.
        album: pictures of the run.
        options: backend, device, dtype, draws and seed of the run.
        data: fingerprint of the data.
        record: record of the checkpoint that is resumed, None for a new run.
        ranks: the processes that share each batch.
        watch: what measures the samples and warns; None for nothing.
    """

    def __init__(
        self,
        system: System,
        folder: RunFolder,
        trainer: Any,
        feed: Feed,
        album: Album,
        options: dict[str, Any],
        data: str,
        record: Record | None,
        ranks: Together | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.system, self.folder, self.trainer, self.feed, self.album = system, folder, trainer, feed, album
        self.options, self.data, self.ranks, self.watch = options, data, ranks or Together(), watch
        backend = backends.load(options["backend"])
        self.to_numbers = getattr(backend, "to_numbers", None) or _one_by_one(backend.to_numpy)
        # Where learning rates change, those in force are logged, too, and from then on to the end of the run.
        columns = columns_of(system, folder.log.columns() if record is not None else ())
        self.reports, self.rates, self.columns, self.added = (
            columns.reports,
            columns.rates,
            columns.names,
            columns.added,
        )
        self.board: tensorboard.Board | None = None
        self.epoch: dict[str, Any] = dict(record.epoch) if record else {"sum": 0.0, "count": 0, "last": None}
        self.pending: list[tuple[int, int, dict[str, Any]]] = []
        self.saved = trainer.iteration if record else -1
        self.eager = False  # whether it was said why no iteration is captured

    def train(self, end: End) -> int:
        """Train up to the end, or until a value is not finite or a signal interrupts.

        Args:
            end: iteration or epoch to train up to; it may have passed already.

        Returns: the exit code: 0, 3 where a value was not finite, or 130 after a signal.

        Raises:
            UserError: something cannot be written, or there is no memory left; the message says how to go on.
        """
        if missing := self.album.missing:
            say(f"no pictures: {' and '.join(missing)} missing; install with: pip install 'ganspec[pictures]'")
        keep_freed_memory()
        start = self.trainer.iteration
        bar = Bar(self.system, self.feed, start, end, self.options)
        try:
            with _interrupts(several=self.ranks.size > 1) as interrupted, bar:
                # What came after the checkpoint is dropped, and made again.
                self.folder.log.open(self.columns, start, self.added)
                self.folder.drop_later_pictures(start)
                if self.folder.record.get(tensorboard.FOLDER):
                    self.board = self.album.board = tensorboard.Board(self.folder, start)
                self.album.add_real(self.feed)
                if self.watch:
                    self.watch.start(self.folder.path, start)
                # A new run has pictures and a checkpoint of its initial state.
                if start == 0:
                    self.album.add()
                    self._checkpoint()
                # Train, one iteration after the other.
                while (
                    self.trainer.iteration < end.iteration
                    and self.feed.epoch < end.epoch
                    and not self._ends(interrupted)
                ):
                    self._iterate(bar)
                # Log what is pending, save, draw the last pictures.
                self._fetch(bar)
                self._end(bool(interrupted))
        except _Stop as stop:
            self.album.close()
            say(f"stopped: {stop}\nthe last good checkpoint is {self.folder.newest_checkpoint()}")
            return STOPPED
        except CheckpointError as error:
            if isinstance(error.__cause__, OSError):
                raise self.folder.cannot_write(self._checkpoint_path(), error.__cause__) from None
            raise UserError(str(error)) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise self._out_of_memory() from None
        finally:
            self.folder.log.close()
            if self.board:
                self.board.close()
        if interrupted:
            say(f"interrupted and saved; go on with: {self.folder.resume_command()}")
            return INTERRUPTED
        already = "; it had them already" if self.trainer.iteration == start else ""
        print(f"done: {self.trainer.iteration} iterations, {self.feed.epoch} epochs{already}")
        return 0

    def _ends(self, interrupted: list[int]) -> bool:
        """Returns: whether this process was interrupted, or any other."""
        if self.ranks.any(bool(interrupted)) and not interrupted:
            interrupted.append(signal.SIGINT)
        return bool(interrupted)

    def _iterate(self, bar: Bar) -> None:
        epoch = self.feed.epoch
        with self.ranks.step():
            recorded = self.trainer.iterate(self.feed)
        iteration = self.trainer.iteration
        if (reason := getattr(self.trainer, "eager_reason", "")) and not self.eager:
            say(f"each operation is launched by itself, no iteration as one graph: {reason}")
            self.eager = True
        self.pending.append((iteration, epoch, recorded))
        bar.update()
        # What is due after this iteration? Numbers stay on a GPU until something needs them.
        new_epoch, shows = self.feed.epoch > epoch, self.system.run.shows(iteration)
        save = iteration % self.system.run.checkpoint_every == 0
        if self.options["device"] == "cpu" or len(self.pending) == _FETCH_EVERY or new_epoch or shows or save:
            self._fetch(bar)
        if new_epoch:
            self._end_epoch()
        if shows:
            self.album.add()  # before the checkpoint: a run resumed from that does not draw them again
        if self.watch:
            self.watch.after(iteration, shows=shows)
        if save:
            self._checkpoint()
            self.album.review()

    def _fetch(self, bar: Bar) -> None:
        """Bring the recorded numbers of the pending iterations to the log; stop where one is not finite."""
        rows = []
        fetched = self.to_numbers([recorded for _, _, recorded in self.pending])
        for (iteration, epoch, _), values in zip(self.pending, fetched, strict=True):
            bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
            if bad:
                self.folder.log.append(rows)
                self.pending.clear()
                raise _Stop(f"{' and '.join(bad)} in iteration {iteration}")
            # They decay at the end of an epoch only, and no row is pending then: these, times the schedule, were in force.
            rates = (
                self.trainer.learning_rates[name] * self.system.rate_factor(name, iteration - 1) for name in self.rates
            )
            rows.append((iteration, epoch, *(values.get(name, "") for name in self.reports), *rates))
            # What the learning-rate decay watches.
            if (decay := self.system.decay) and decay.watch in values:
                self.epoch["sum"] += values[decay.watch]
                self.epoch["count"] += 1
            bar.say(values)
        self.folder.log.append(rows)
        if self.board:
            self.board.rows(self.columns, rows)
        self.pending.clear()

    def _end_epoch(self) -> None:
        """Let the learning rates decay if the watched mean did not fall."""
        decay = self.system.decay
        if decay is None or not self.epoch["count"]:
            return
        mean = self.epoch["sum"] / self.epoch["count"]
        if self.epoch["last"] is not None and mean >= self.epoch["last"]:
            self.trainer.scale_learning_rates(decay)
        self.epoch = {"sum": 0.0, "count": 0, "last": mean}

    def _end(self, interrupted: bool) -> None:
        """Leave pictures, checkpoint, plots and animations of where training ends."""
        self.album.add(frames=not interrupted)
        self._checkpoint()
        self._settle_board()
        self.album.review()
        self.album.close()

    def _checkpoint(self) -> None:
        """Write a checkpoint, unless that was done, and delete what it makes superfluous."""
        if self.saved == self.trainer.iteration:
            return
        self.folder.log.settle()
        self._settle_board()
        record = Record(
            describe(self.system),
            self.options["seed"],
            self.options["dtype"],
            self.options["draws"],
            self.feed.batches,
            self.data,
            self.epoch,
        )
        state = self.trainer.state()
        self.ranks.check_same(lambda: state)
        try:
            if self.ranks.leads:
                write_checkpoint(self._checkpoint_path(), state, record)
            check_finite(self._checkpoint_path(), state)  # where none is written, too
        except NotFiniteError as error:
            reason = f"{error.array} has a value that is not finite after iteration {state.iteration}"
            raise _Stop(reason) from None
        self.folder.drop_old_checkpoints(self.system.run.keep)
        self.saved = state.iteration

    def _settle_board(self) -> None:
        """Bring to TensorBoard what is measured now and then, and its events to the disk."""
        if self.board:
            rates = {} if self.rates else self.trainer.learning_rates  # or they are columns of the log
            self.board.scalars(self.trainer.iteration, {RATE + name: value for name, value in rates.items()})
            self.board.figures()
            self.board.settle()

    def _checkpoint_path(self) -> Path:
        return self.folder.checkpoint_path(self.trainer.iteration)

    def _out_of_memory(self) -> UserError:
        message = f"out of memory ({self.options['device']}) in iteration {self.trainer.iteration + 1:,}"
        if self.saved >= 0:
            message += f"; the run is safe up to iteration {self.saved:,}"
            message += f"\nend other programs, then go on with: {self.ranks.resume_command or self.folder.resume_command()}\nor"
        else:
            message += ";"
        return UserError(
            f"{message} start a smaller run, such as with --set run.batch={max(1, self.system.run.batch // 2)}"
        )


def _one_by_one(to_numpy: Callable[[Any], Any]) -> Callable[[list[dict[str, Any]]], list[dict[str, float]]]:
    """Returns: what fetches rows of numbers, for a backend that does not do it at once."""
    return lambda rows: [{name: float(to_numpy(value)) for name, value in row.items()} for row in rows]


@contextmanager
def _interrupts(*, several: bool) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that none ends the process in the middle of an iteration; a second one ends it at once.

    One of several processes gets the signal of the terminal, and again that of what started it: there none ends it at once.
    """
    caught: list[int] = []

    def note(number: int, _frame: Any) -> None:
        caught.append(number)
        if not several:
            signal.signal(number, before[number])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
