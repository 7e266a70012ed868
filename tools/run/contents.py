"""What a run's folder holds, read for its report: within bounds, and as far as it is there.

Folders come from strangers, and from runs that are under way, were killed, or are years old. What cannot be read is left out, and
a note says so; only a folder that is no run's is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.training.checkpoint import CheckpointError
from ganspec.spec.training.checkpoint import read_record as read_checkpoint_record
from ganspec.spec.training.record import RunError, read_record, read_regular_file
from ganspec.spec.training.runs import check_name, checkpoints, numbered
from ganspec.tools.errors import UserError
from ganspec.tools.quality.figures import NAME as FIGURES
from ganspec.tools.quality.figures import Figure, read_figures
from ganspec.tools.run.log import read_log

MOST_PICTURES = 12  # samples over time
_MOST_ANIMATIONS = 12
_MAX_LOG = 2**27  # bytes of a log: two million rows
_MAX_PICTURE = 3_000_000  # bytes
# Bytes of all pictures together; a page has four for three of them.
_MAX_TIMELINE, _MAX_ANIMATIONS = 3_000_000, 2_500_000
_SIGNATURES = {".png": b"\x89PNG\r\n\x1a\n", ".gif": b"GIF8"}


@dataclass
class Contents:
    """A run's folder.

    Args:
        path: path of the folder.
        record: content of `run.json`; the keys that resuming does not read may be anything.
        columns: names of the log's columns; empty without a log.
        table: the log's rows, float64 (rows, columns), NaN where a cell is empty.
        figures: what was measured of the quality of samples.
        written: seconds since 1970 when the log was written last; None without a log.
        newest: iteration of the newest checkpoint; None without one.
        epochs: number of epochs that were complete at the newest row of the log; None where the folder does not say it.
        real: picture of real images; None where there is none. The same of `interpolation`.
        samples: iteration and picture of some of the samples, in order; the first and the newest ones are among them.
        drawn: number of pictures of samples that the folder has.
        manifolds: animations of the manifold, by file name.
        notes: what was left out, and why.
    """

    path: Path
    record: dict[str, Any]
    columns: list[str] = field(default_factory=list)
    table: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    figures: list[Figure] = field(default_factory=list)
    written: float | None = None
    newest: int | None = None
    epochs: int | None = None
    real: bytes | None = None
    interpolation: bytes | None = None
    samples: list[tuple[int, bytes]] = field(default_factory=list)
    drawn: int = 0
    manifolds: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_contents(path: Path) -> Contents:
    """Read a run's folder.

    Args:
        path: path of the folder; nothing in it is changed.

    Raises:
        UserError: it is not the folder of a run.
    """
    try:
        found = Contents(path, read_record(path))
    except RunError as error:
        raise UserError(str(error)) from None
    _read_numbers(found)
    found.epochs = _epochs(found)
    found.real, found.interpolation = (_picture(path / f"{name}.png", found) for name in ("real", "interpolation"))
    _read_samples(found)
    _read_manifolds(found)
    return found


def _read_numbers(found: Contents) -> None:
    log = found.path / "log.csv"
    try:
        if log.exists():
            status = log.stat()
            if status.st_size > _MAX_LOG:
                raise UserError(f"{log}: is larger than {_MAX_LOG:,} bytes, too large for a page")
            found.written = status.st_mtime
            found.columns, found.table = read_log(log)
    except UserError as error:
        found.notes.append(str(error))
    try:
        found.figures = read_figures(found.path / FIGURES)
    except UserError as error:
        found.notes.append(str(error))
    try:
        for iteration, path in reversed(checkpoints(found.path).items()):
            found.newest = iteration
            check_name(path, read_checkpoint_record(path)[0]["iteration"])
            break
    except CheckpointError as error:
        found.newest = None
        found.notes.append(str(error))
    except RunError as error:
        found.notes.append(str(error))


def _epochs(found: Contents) -> int | None:
    """Returns: epochs that are complete, from the number of batches in a checkpoint, else from the log."""
    if not len(found.table) or "epoch" not in found.columns:
        return None
    iteration, before = found.table[-1, 0], found.table[-1, found.columns.index("epoch")]
    size, known = found.record.get("images_per_epoch"), int(before) if np.isfinite(before) else None
    if found.newest is None or size is None or found.newest != iteration:
        return known  # those that were complete when the iteration began
    try:
        _, record = read_checkpoint_record(checkpoints(found.path)[found.newest])
    except (CheckpointError, RunError, KeyError):
        return known
    batch = record.description.get("batch")
    return record.batches * batch // int(size) if isinstance(batch, int) else known


def _read_samples(found: Contents) -> None:
    paths = numbered((found.path / "samples").glob("*.png"))
    found.drawn = len(paths)
    # Fewer where they are large; the newest one is there in any case.
    for count in range(min(MOST_PICTURES, len(paths)), 0, -1):
        chosen = [paths[i] for i in _spread(len(paths), count)]
        if count == 1 or sum(map(_size, chosen)) <= _MAX_TIMELINE:
            pictures = ((int(path.stem), _picture(path, found)) for path in chosen)
            found.samples = [(iteration, picture) for iteration, picture in pictures if picture is not None]
            return


def _spread(count: int, most: int) -> list[int]:
    """Returns: the numbers of at most `most` of `count` things, evenly spread; the last one is among them."""
    return sorted({round(place) for place in np.linspace(count - 1, 0, most)})


def _read_manifolds(found: Contents) -> None:
    paths, size = sorted(found.path.glob("manifold*.gif")), 0
    for path in paths[:_MOST_ANIMATIONS]:
        if size + _size(path) > _MAX_ANIMATIONS:
            break
        if picture := _picture(path, found):
            size += len(picture)
            found.manifolds[path.name] = picture
    if len(found.manifolds) < len(paths):
        left_out = len(paths) - len(found.manifolds)
        found.notes.append(
            f"{left_out} of {len(paths)} animations of the manifold are left out, to keep the page small"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _picture(path: Path, found: Contents) -> bytes | None:
    """Returns: a picture, where there is one; what is no picture, or too large, is noted."""
    try:
        content = read_regular_file(path, _MAX_PICTURE)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        found.notes.append(f"{path.name}: {getattr(error, 'strerror', None) or error}")
        return None
    if not content.startswith(_SIGNATURES[path.suffix]):
        found.notes.append(f"{path.name}: is no picture")
        return None
    return content


def protocol_of(figure: Figure) -> tuple[tuple[str, Any], ...]:
    """Returns: what a figure was measured with, such that equal protocols are equal."""
    return tuple(sorted(figure.protocol.items()))


def protocols(figures: Iterable[Figure]) -> list[tuple[tuple[str, Any], ...]]:
    """Returns: the different protocols of figures, in the order in which they first appear."""
    return list(dict.fromkeys(map(protocol_of, figures)))
