"""The log of a run: one row for each iteration, every recorded number; an empty cell where a number was not computed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.errors import UserError, cannot_write, command, reason

_MAX_BYTES = 8 * 2**30  # of a log: a hundred million rows
_MAX_DIGITS = 15  # of an iteration's number
_REMEDY = "put back the log as the run wrote it, or start a new run with another --out DIR"
RATE = "learning_rate_"  # and the name of a network: a column


@dataclass(frozen=True)
class Columns:
    """The columns of a run's log.

    Args:
        reports: those of the numbers that the system records.
        rates: networks whose learning rates follow, where these change or did before.
    """

    reports: list[str]
    rates: list[str]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in their order."""
        return ("iteration", "epoch", *self.reports, *(RATE + name for name in self.rates))

    @property
    def added(self) -> set[str]:
        """Those that an earlier part of the run may lack."""
        return {RATE + name for name in self.rates}


def columns_of(system: System, before: Iterable[str] = ()) -> Columns:
    """Choose the columns of a run's log.

    Args:
        system: system that is trained.
        before: columns of the run that is resumed; where rates are among them, they are logged to its end.
    """
    reports = list(dict.fromkeys(name for stage in system.stages for name in stage.plan.columns()))
    changing = system.decay or system.learning_rate_schedules
    logged = any(name.startswith(RATE) for name in before)
    return Columns(reports, list(system.optimizers) if changing or logged else [])


class RunLog:
    """The file `log.csv` of a run's folder.

    Args:
        path: path of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def columns(self) -> list[str]:
        """Returns: the columns of the log as it is, none where there is no log.

        Raises:
            UserError: it cannot be read.
        """
        return _read(self.path).partition("\n")[0].split(",") if self.path.exists() else []

    def open(self, columns: Sequence[str], iteration: int, added: Collection[str] = ()) -> None:
        """Open the log for appending after the row of `iteration`; later and half-written rows are dropped.

        Args:
            columns: names of the columns; the first is "iteration".
            iteration: iteration that training goes on from; 0 for a new log.
            added: those of the columns that the log may lack so far; its rows get empty cells there.

        Raises:
            UserError: the log cannot be read or written, has other columns, lacks rows before `iteration`, or has a row
                that is not numbers.
        """
        header = ",".join(columns)
        rows = self._rows(columns, iteration, added) if iteration else []
        try:
            write_atomically(self.path, "".join(f"{row}\n" for row in (header, *rows)).encode())
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise self._cannot_write(error) from None

    def check(self, columns: Columns, iteration: int) -> None:
        """See to it that the log can be opened after an iteration; nothing is written.

        Raises:
            UserError: as `open` does.
        """
        if iteration:
            self._rows(columns.names, iteration, columns.added)

    def append(self, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows; other programs that read the file see them at once.

        Args:
            rows: cells of each row: numbers, and "" where there is none.

        Raises:
            UserError: they cannot be written. What was written of them is dropped when the run is resumed.
        """
        content = memoryview("".join(f"{','.join(map(_cell, row))}\n" for row in rows).encode())
        try:
            while content:  # without a buffer of Python's, which would be written again, and fail again, at the end
                content = content[self._file.write(content) :]
        except OSError as error:
            raise self._cannot_write(error) from None

    def settle(self) -> None:
        """Wait until the rows are on the disk.

        Raises:
            UserError: the disk does not take them.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from None

    def close(self) -> None:
        """Close the file; nothing is left to be written."""
        if self._file is not None:
            self._file.close()

    def _rows(self, columns: Sequence[str], iteration: int, added: Collection[str]) -> list[str]:
        """Returns: the rows of the iterations from 1 to `iteration`, with empty cells in columns that they lacked."""
        first, *rows = _read(self.path).split("\n")
        there = first.split(",")
        if there != [name for name in columns if name in there or name not in added]:
            header = ",".join(columns)
            raise UserError(f"{self.path}: has the columns {_short(first)}, expected {_short(header)}; {_REMEDY}")
        width = len(there)
        # What follows the last line break is empty, or a row that was cut short. What follows `iteration` is done again.
        kept = rows[:-1][:iteration]
        for number, row in enumerate(kept, 1):
            if _number(row) != number or not _is_numbers(row, width):
                wanted = f"expected iteration {number} and its {width - 1} other numbers"
                raise UserError(f"{self.path}: line {number + 1} is {_short(row)}, {wanted}; {_REMEDY}")
        if len(kept) < iteration:
            raise UserError(f"{self.path}: has {len(kept)} of the {iteration} rows before the checkpoint; {_REMEDY}")
        if there == list(columns):
            return kept
        cells = (dict(zip(there, row.split(","), strict=True)) for row in kept)
        return [",".join(row.get(name, "") for name in columns) for row in cells]

    def _cannot_write(self, error: OSError) -> UserError:
        resume = command("ganspec", "train", "--resume", self.path.parent)
        return cannot_write(self.path, error, then=f"go on with: {resume}")


def read_log(path: Path) -> tuple[list[str], np.ndarray]:
    """Read a log.

    Args:
        path: path of a `log.csv`.

    Returns: the columns' names, and all rows as float64 (rows, columns), NaN where a cell is empty.

    Raises:
        UserError: it cannot be read, or is not a table of numbers.
    """
    header, _, rows = _read(path).partition("\n")
    names, rows = header.split(","), rows[: rows.rfind("\n") + 1]  # a run that goes on may be in the middle of a row
    for empty, filled in ((",,", ",nan,"), (",,", ",nan,"), (",\n", ",nan\n")):  # twice, because those of ",,," overlap
        rows = rows.replace(empty, filled)
    try:
        values = np.array(rows.replace("\n", ",").split(",")[:-1], dtype=np.float64)
        return names, values.reshape(-1, len(names))
    except ValueError:
        raise UserError(f"{path}: is not a table of {len(names)} columns of numbers; {_REMEDY}") from None


def _read(path: Path) -> str:
    try:
        return read_regular_file(path, _MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}; {_REMEDY}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a log: it has bytes that are not text; {_REMEDY}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; {_REMEDY}") from None


def _cell(value: Any) -> str:
    return float.__repr__(value) if isinstance(value, float) else str(value)


def _number(row: str) -> int:
    """Returns: the iteration of a row, 0 where it has none."""
    first = row.partition(",")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) <= _MAX_DIGITS else 0


def _is_numbers(row: str, width: int) -> bool:
    cells = row.split(",")
    try:
        return len(cells) == width and all(not cell or ("_" not in cell and float(cell) is not None) for cell in cells)
    except ValueError:
        return False


def _short(text: str) -> str:
    return printable(repr(text if len(text) <= 80 else f"{text[:80]}..."))
