"""The figures of a run, `metrics.jsonl`: one line of JSON for each number that says how good its samples are.

    {"iteration": 1000, "metric": "fid", "value": 12.5, "protocol": {"extractor": "digits", "images": 2000, ...}}

A figure means nothing without its protocol, which stands in the same line: what was counted, on what, by what. Lines are only
appended; a line that a killed process left unfinished is no line. The file may come from a stranger: size, names, types and
ranges are checked when it is read.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.errors import UserError, cannot_write, reason

NAME = "metrics.jsonl"
LOWER_IS_BETTER: dict[str, bool] = {
    "fid": True,
    "kid": True,
    "is": False,
    "precision": False,
    "recall": False,
    "density": False,
    "coverage": False,
    "diversity": False,
    "classes": False,
    "class_entropy": False,
}
MAX_ITERATION = 10**15
_MAX_BYTES = 2**26  # of the file: some hundred thousand figures
_MAX_KEYS = 64  # of a protocol
_MAX_TEXT = 1_000  # characters of a name or of a protocol's text
_REMEDY = "correct or delete that line; 'ganspec evaluate' measures again"

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Figure:
    """One number that was measured.

    Args:
        iteration: iteration of the run after which G was measured.
        metric: name of the metric, such as "fid"; those that `ganspec evaluate` measures are the keys of `LOWER_IS_BETTER`.
        value: the number, finite.
        protocol: what it was measured with, by name: texts, numbers, flags and None.
    """

    iteration: int
    metric: str
    value: float
    protocol: Mapping[str, Scalar]

    def line(self) -> str:
        """Returns: the figure as a line of the file, with its line break."""
        content = {"iteration": self.iteration, "metric": self.metric, "value": self.value, "protocol": self.protocol}
        return json.dumps(content, allow_nan=False) + "\n"


def read_figures(path: Path) -> list[Figure]:
    """Read the figures of a run, in the order in which they were measured.

    Args:
        path: path of the file; where there is none, nothing was measured.

    Raises:
        UserError: it cannot be read, or a whole line of it is not a figure; the message names the line.
    """
    try:
        content = read_regular_file(path, _MAX_BYTES).decode("utf-8")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}; move it away, and measure again") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: has bytes that are not text; move it away, and measure again") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; move it away, and measure again") from None
    # What follows the last line break is nothing, or a line that was cut short.
    return [_figure(path, number, line) for number, line in enumerate(content.split("\n")[:-1], 1)]


def append_figures(path: Path, figures: Iterable[Figure]) -> None:
    """Append figures, and wait until they are on the disk. A last line that was cut short is removed first.

    Raises:
        UserError: they cannot be written.
    """
    content = "".join(figure.line() for figure in figures).encode()
    try:
        opened = os.open(
            path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666
        )
        with open(opened, "rb+", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise UserError(f"{path}: is not a regular file; move it away")
            _lock(opened)
            _remove_torn_line(path, file)
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(opened)
    except OSError as error:
        raise cannot_write(path, error, then="measure again") from None


def drop_later_figures(path: Path, iteration: int) -> None:
    """Delete the figures of iterations after one: training makes them again.

    Raises:
        UserError: the file cannot be read or written, or is damaged.
    """
    figures = read_figures(path)
    kept = [figure for figure in figures if figure.iteration <= iteration]
    if len(kept) == len(figures):
        return
    try:
        write_atomically(path, "".join(figure.line() for figure in kept).encode())
    except OSError as error:
        raise cannot_write(path, error, then="resume again") from None


def _lock(opened: int) -> None:
    """Wait for other processes: `ganspec evaluate` may measure a run that trains and measures itself."""
    with contextlib.suppress(ImportError, OSError):  # Windows, or a disk that knows no locks: two may spoil a line
        import fcntl

        fcntl.flock(opened, fcntl.LOCK_EX)


def _remove_torn_line(path: Path, file: Any) -> None:
    """Cut a file after its last line break."""
    end = file.seek(0, os.SEEK_END)
    if end > _MAX_BYTES:
        raise UserError(f"{path}: is larger than {_MAX_BYTES:,} bytes; move it away, and measure again")
    file.seek(max(0, end - 1))
    if end and file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read(end).rfind(b"\n") + 1)


def _figure(path: Path, number: int, line: str) -> Figure:
    """Returns: the figure in a line, each part of the right type and range."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if complaint := _complaint(found):
        short = printable(repr(line if len(line) <= 80 else f"{line[:80]}..."))
        raise UserError(f"{path}: line {number}: {complaint}, found {short}; {_REMEDY}")
    return Figure(found["iteration"], found["metric"], float(found["value"]), found["protocol"])


def _complaint(found: Any) -> str | None:
    """Returns: what was expected instead of what a line holds; None where it is right."""
    if not isinstance(found, dict) or not {"iteration", "metric", "value", "protocol"} <= found.keys():
        return "expected an object with the keys iteration, metric, value and protocol"
    iteration, metric, value, protocol = (found[key] for key in ("iteration", "metric", "value", "protocol"))
    if type(iteration) is not int or not 0 <= iteration <= MAX_ITERATION:
        return f"iteration: expected a whole number from 0 to {MAX_ITERATION:,}"
    if not _is_text(metric) or not metric:
        return "metric: expected the name of a metric"
    if not _is_number(value):
        return "value: expected a finite number"
    right = isinstance(protocol, dict) and len(protocol) <= _MAX_KEYS
    if not right or not all(_is_text(key) and _is_scalar(entry) for key, entry in protocol.items()):
        return f"protocol: expected at most {_MAX_KEYS} keys, each with a short text, a number, true, false or null"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool) or _is_text(value) or _is_number(value)
