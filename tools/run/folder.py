"""The folder of a training run: what is in it, and how it is written so that nothing is lost.

    run.json            what was asked for, versions, and the resolved system (see `record`)
    log.csv             one row for each iteration, every recorded value; an empty cell where it was not computed
    losses.png          plots of the log
    real.png            images of the data
    samples/NNNNNNNN.png              what G makes of the same latents, as training goes on
    manifold/LABEL/NNNNNNNN.png       what it makes of all latents of two numbers, where the system says so
    manifold-LABEL.gif, interpolation.png
    metrics.jsonl       figures of the quality of samples
    warnings.txt        what has gone wrong, if anything has
    tensorboard/        what is recorded, for TensorBoard, if that was asked for
    checkpoints/NNNNNNNN.safetensors  the newest three, or what the system's `run.keep` says (see `keeping`)
    .lock               held while a process trains here (see `lock`)

Rows and pictures are on the disk before the checkpoint that follows them, so that resuming from a checkpoint finds every one
before it and drops those after it, which training makes again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ganspec.spec.parts.keep import Keep
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.record import RunError, read_record, write_record
from ganspec.spec.training.runs import checkpoints, numbered
from ganspec.tools.errors import UserError, cannot_write, command, say
from ganspec.tools.quality.figures import NAME as METRICS
from ganspec.tools.quality.figures import read_figures
from ganspec.tools.run import lock
from ganspec.tools.run.keeping import superfluous
from ganspec.tools.run.links import check_own
from ganspec.tools.run.log import RunLog

_FOLDERS = ("samples", "checkpoints")  # of every run
MOST_RESUMED = 1_000  # parts of a run that its record lists; earlier ones are dropped


class RunFolder:
    """A run's folder. Use `create` or `open_existing`; as a context manager it closes itself.

    `length` are the options that said how long to train; without any the system says it.

    Args:
        path: path of the folder.
        record: content of `run.json`.
        held: lock on the folder; None where it is only looked at.
    """

    def __init__(self, path: Path, record: dict[str, Any], held: lock.Lock | None) -> None:
        self.path, self.record = path, record
        self.log = RunLog(path / "log.csv")
        self.length: list[str] = []
        self._held = held

    @classmethod
    def create(cls, path: Path, record: dict[str, Any]) -> RunFolder:
        """Make the folder and lock it; it must not exist, or be empty.

        Args:
            path: path of the folder.
            record: content of `run.json`.

        Raises:
            UserError: something is in it, another process is about to train in it, or it cannot be written.
        """
        try:
            _refuse_full(path)
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None
        folder = cls(path, record, lock.Lock(path))
        try:
            _refuse_full(path)  # another process may have been as quick, and have ended since
            for name in _FOLDERS:
                (path / name).mkdir()
            write_record(path, record)
        except OSError as error:
            folder.__exit__()
            _unmake(path)
            raise cannot_write(path, error) from None
        except UserError:
            folder.__exit__()
            raise
        return folder

    @classmethod
    def open_existing(cls, path: Path, *, to_train: bool = True) -> RunFolder:
        """Open the folder of an earlier run.

        Args:
            path: path of the folder.
            to_train: whether to lock it; without, nothing may be written.

        Raises:
            UserError: it is not the folder of a run, what training writes there leads out of it, or another process trains in it.
        """
        record = _record(path)  # before anything is written: the folder may be anything
        check_own(path)
        if not to_train:
            return cls(path, record, None)
        held = lock.Lock(path)
        try:
            # Another process may have changed the record before it let go of the lock.
            return cls(path, _record(path), held)
        except UserError:
            held.release()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()
        if self._held is not None:
            self._held.release()

    def add_resume(self, settings: list[str], changed: dict[str, Any], session: dict[str, Any]) -> None:
        """Record that the run goes on, and how.

        Args:
            settings: settings that hold from now on, after those that are recorded; later ones win.
            changed: keys of the record that are different from now on, such as the backend.
            session: what is recorded of this part of the run, at the end of the list "resumed".

        Raises:
            UserError: the record cannot be written.
        """
        recorded, before = self.record["settings"], self.record.get("resumed")
        if settings and recorded[-len(settings) :] == settings:  # the same command, typed again, adds nothing
            settings = []
        resumed = [*(before if isinstance(before, list) else []), session][-MOST_RESUMED:]
        self.record = {**self.record, **changed, "settings": [*recorded, *settings], "resumed": resumed}
        try:
            write_record(self.path, self.record)
        except OSError as error:
            raise self.cannot_write(self.path / "run.json", error) from None

    def newest_checkpoint(self) -> Path:
        """Returns: the path of the newest checkpoint.

        Raises:
            UserError: there is none yet.
        """
        try:
            found = list(checkpoints(self.path).values())
        except RunError as error:
            raise UserError(str(error)) from None
        if not found:
            raise UserError(f"{self.path}: has no checkpoint yet; start again with another --out DIR")
        return found[-1]

    def checkpoint_path(self, iteration: int) -> Path:
        """Returns: the path of the checkpoint after an iteration."""
        return self.path / "checkpoints" / f"{iteration:08}.safetensors"

    def drop_old_checkpoints(self, keep: Keep | None = None) -> None:
        """Delete all checkpoints but the newest ones and those that a system keeps.

        Args:
            keep: what the system says about them; None for the newest three.

        Raises:
            UserError: one cannot be deleted.
        """
        there = checkpoints(self.path)
        try:
            figures = read_figures(self.path / METRICS) if keep is not None and keep.best else []
        except UserError as error:  # which is the best is not known; training goes on all the same
            say(f"{error}\nuntil then no checkpoint is deleted")
            return
        for iteration in superfluous(there, keep, figures):
            try:
                there[iteration].unlink(missing_ok=True)
            except OSError as error:
                raise self.cannot_write(there[iteration], error) from None

    def pictures(self, name: str) -> list[Path]:
        """Returns: the pictures in a folder of this one that are named for an iteration, in their order."""
        return numbered((self.path / name).glob("*.png"))

    def drop_later_pictures(self, iteration: int) -> None:
        """Delete the pictures of iterations after one.

        Raises:
            UserError: one cannot be deleted.
        """
        for folder in (self.path / name for name in ("samples", "manifold")):
            for picture in numbered(folder.rglob("*.png")):
                if int(picture.stem) > iteration:
                    try:
                        picture.unlink(missing_ok=True)
                    except OSError as error:
                        raise self.cannot_write(picture, error) from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the folder, whole or not at all; its own folder is made if need be.

        Args:
            name: path of the file in the folder.
            content: all of it.

        Raises:
            UserError: it cannot be written.
        """
        try:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / name, content)
        except OSError as error:
            raise self.cannot_write(self.path / name, error) from None

    def cannot_write(self, path: Path, error: OSError) -> UserError:
        """Returns: the error to raise where a file of the folder cannot be written; it says how to go on afterwards."""
        return cannot_write(path, error, then=f"go on with: {self.resume_command()}")

    def resume_command(self) -> str:
        """Returns: what to type to go on with this run."""
        return command("ganspec", "train", "--resume", self.path, *self.length)


def new_folder(name: str) -> Path:
    """Make "runs/NAME-001", or the folder of the next number that is free.

    Args:
        name: name of the system and whatever else tells runs apart.

    Returns: the path of the folder, which is empty and no other process's.

    Raises:
        UserError: it cannot be made.
    """
    number = 1
    while True:
        path = Path("runs") / f"{name.replace('/', '-')}-{number:03}"
        try:
            path.mkdir(parents=True)
            return path
        except OSError as error:
            if not isinstance(error, FileExistsError) or not path.exists():
                raise cannot_write(path, error) from None
            number += 1


def _refuse_full(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir() or any(entry.name != lock.NAME for entry in path.iterdir()):
        resume = command("ganspec", "train", "--resume", path)
        raise UserError(f"{path}: exists already; choose another --out DIR, or go on with that run: {resume}")


def _unmake(path: Path) -> None:
    """Delete what `create` made before the disk was full, say; whatever else lies there stays."""
    with contextlib.suppress(OSError):
        (path / lock.NAME).unlink()
        for folder in (*(path / name for name in _FOLDERS), path):
            if folder.is_dir():
                folder.rmdir()


def _record(path: Path) -> dict[str, Any]:
    try:
        return read_record(path)
    except RunError as error:
        raise UserError(str(error)) from None
