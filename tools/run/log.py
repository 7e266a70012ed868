"""The log of a run: one row for each iteration, every recorded number; an empty cell where one was not computed."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.errors import UserError, cannot_write


class RunLog:
    """The file `log.csv` of a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def open(self, columns: Sequence[str], iteration: int) -> None:
        """Open the log for appending after the row of `iteration`; later and half-written rows are dropped.

        Raises:
            UserError: the log cannot be written, or rows before `iteration` are missing.
        """
        path = self.path
        try:
            rows = path.read_text().splitlines(keepends=True) if path.exists() and iteration else []
            kept = [",".join(columns) + "\n", *(row for row in rows[1:] if _is_up_to(row, iteration))]
            if len(kept) != iteration + 1:
                raise UserError(f"{path}: has {len(kept) - 1} of the {iteration} rows before the checkpoint")
            write_atomically(path, "".join(kept).encode())
            self._file = path.open("a", newline="")
        except OSError as error:
            raise cannot_write(path, error) from None

    def append(self, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows; whoever reads the file sees them at once."""
        try:
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def settle(self) -> None:
        """Wait until the rows are on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_log(path: Path) -> tuple[list[str], np.ndarray]:
    """Returns: the columns' names, and every row; NaN where a cell is empty."""
    header, _, rows = path.read_text().partition("\n")
    names = header.split(",")
    for empty, filled in ((",,", ",nan,"), (",,", ",nan,"), (",\n", ",nan\n")):  # twice, because those of ",,," overlap
        rows = rows.replace(empty, filled)
    values = np.array(rows.replace("\n", ",").split(",")[:-1], dtype=np.float64)
    return names, values.reshape(-1, len(names))


def _is_up_to(row: str, iteration: int) -> bool:
    first = row.split(",", 1)[0]
    return row.endswith("\n") and first.isdigit() and int(first) <= iteration
