"""What a run records, for TensorBoard: the folder `tensorboard` of the run's folder.

    scalars    the columns of `log.csv` under their names, the learning rates, and metrics/NAME for the figures of `metrics.jsonl`
    images     samples, and real

An event file is a list of records: the length of a record's content, a checksum of that, the content (an event as a protocol
buffer), a checksum of that (TensorFlow's TFRecord format: https://www.tensorflow.org/tutorials/load_data/tfrecord). The package
tensorboardX, of the extra `tensorboard`, has the events and the checksum. The files are written here, without its thread, so that
every event is in the file when training goes on, and a full disk is said and loses nothing.

No iteration stands there twice. Training that is resumed from a checkpoint drops the events after it, writes those that the
files lack from the run's log and pictures, and goes on in a new file, which begins with a mark that lets a TensorBoard that looks
on forget the dropped ones, too.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.errors import UserError, reason
from ganspec.tools.quality.figures import NAME as FIGURES
from ganspec.tools.quality.figures import read_figures
from ganspec.tools.run.folder import RunFolder
from ganspec.tools.run.log import read_log

FOLDER = "tensorboard"  # also the key of a run's record that says whether there are events
_PATTERN = "events.out.tfevents.*"  # by which TensorBoard finds event files, read in the order of their names
_HEADER, _CHECKSUM = struct.Struct("<QI"), struct.Struct("<I")
_MAX_BYTES = 4 * 2**30  # of an event file
_MAX_PICTURE = 2**26
_EVERY_ROW = "epoch"  # a column that is never empty
_ROWS = 1000  # of an older log, written at once


def recorded(asked: bool | None, record: Mapping[str, Any]) -> dict[str, bool]:
    """Settle whether a run writes events, and see to it that it can.

    Args:
        asked: whether the command line says so; None where it says nothing.
        record: record of the run that is resumed; empty for a new run.

    Returns: what the run's record says of it from now on; empty for a run that never had TensorBoard.

    Raises:
        UserError: the package that events are written with is not installed.
    """
    wanted = bool(record.get(FOLDER, False)) if asked is None else asked
    if wanted and not importlib.util.find_spec("tensorboardX"):
        raise UserError(
            "--tensorboard: tensorboardX is missing; install with: pip install 'ganspec[tensorboard]', "
            "or go on without: --no-tensorboard"
        )
    return {FOLDER: wanted} if wanted or FOLDER in record else {}


def check_files(folder: Path) -> None:
    """See to it that what would be rewritten are event files. Nothing is written.

    Args:
        folder: folder of a run.

    Raises:
        UserError: a file by the name of an event file is none, or cannot be read; the message names it.
    """
    for path in sorted((folder / FOLDER).glob(_PATTERN)):
        _read_events(path)


class Board:
    """The events of one run.

    Args:
        folder: folder of the run, locked; its log and pictures are those of the iterations up to `iteration`.
        iteration: iteration that training goes on from; 0 for a new run.

    Raises:
        UserError: events cannot be read or written.
    """

    def __init__(self, folder: RunFolder, iteration: int) -> None:
        self.folder = folder
        self.protocols: dict[str, list[str]] = {}  # of each metric, in the order of their first figures
        self._event: Any = importlib.import_module("tensorboardX.proto.event_pb2")
        summaries: Any = importlib.import_module("tensorboardX.proto.summary_pb2")
        self._summary, self._metadata = summaries.Summary, summaries.SummaryMetadata
        self._checksum: Any = importlib.import_module("tensorboardX.record_writer").masked_crc32c
        self.newest: dict[str, int] = {}  # the newest iteration of each tag
        self.path = folder.path / FOLDER / f"events.out.tfevents.{int(time.time())}.ganspec.{iteration:015}"
        try:
            self.path.parent.mkdir(exist_ok=True)
            for path in sorted(self.path.parent.glob(_PATTERN)):
                self._drop_later(path, iteration)
            self._file = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
            )
        except OSError as error:
            raise folder.cannot_write(Path(error.filename or self.path), error) from None
        start = self._event.SessionLog(status=self._event.SessionLog.START)
        self._write([self._new(0, file_version="brain.Event:2"), self._new(iteration + 1, session_log=start)])
        if iteration:
            self._catch_up(iteration)

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of the log.

        Args:
            columns: names of the log's columns; the first is "iteration".
            rows: their cells: numbers, and "" where there is none.

        Raises:
            UserError: they cannot be written; the same of the methods below.
        """
        events = []
        for row in rows:
            there = {name: value for name, value in zip(columns[1:], row[1:], strict=True) if value not in ("", None)}
            events.append(self._scalars(int(row[0]), there))
        self._write(events)

    def scalars(self, iteration: int, values: Mapping[str, float]) -> None:
        """Write numbers of one iteration by their tags, unless they stand there."""
        new = {tag: value for tag, value in values.items() if self.newest.get(tag, -1) < iteration}
        if new:
            self._write([self._scalars(iteration, new)])

    def picture(self, tag: str, iteration: int, png: bytes, wall_time: float | None = None) -> None:
        """Write a picture.

        Args:
            tag: name that TensorBoard shows it under.
            iteration: iteration after which it was drawn.
            png: content of a PNG file.
            wall_time: seconds since 1970 when it was drawn; None for now.
        """
        if self.newest.get(tag, -1) >= iteration:
            return
        width, height = struct.unpack(">II", png[16:24])  # of the first chunk, which is always the header
        image = self._summary.Image(height=height, width=width, encoded_image_string=png)
        self.newest[tag] = iteration
        summary = self._summary(value=[self._summary.Value(tag=tag, image=image)])
        self._write([self._new(iteration, wall_time, summary=summary)])

    def figures(self) -> None:
        """Write the figures of `metrics.jsonl` that are new; those of another protocol have another tag."""
        path, events = self.folder.path / FIGURES, []
        for figure in read_figures(path):
            protocol = json.dumps(dict(figure.protocol), sort_keys=True)
            known = self.protocols.setdefault(figure.metric, [])
            if protocol not in known:
                known.append(protocol)
            number = known.index(protocol)
            tag = f"metrics/{figure.metric}" + (f" (protocol {number + 1})" if number else "")
            if self.newest.get(tag, -1) < figure.iteration:
                events.append(self._scalars(figure.iteration, {tag: figure.value}, f"protocol: `{protocol}`"))
        self._write(events)

    def settle(self) -> None:
        """Wait until all events are on the disk."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self.folder.cannot_write(self.path, error) from None

    def close(self) -> None:
        """Close the file; nothing is left to be written."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _scalars(self, iteration: int, values: Mapping[str, float], description: str = "") -> Any:
        """Returns: an event of numbers by their tags, with what TensorBoard says of them."""
        plugin = self._metadata.PluginData(plugin_name="scalars")
        said = {"metadata": self._metadata(plugin_data=plugin, summary_description=description)} if description else {}
        found = [self._summary.Value(tag=tag, simple_value=float(value), **said) for tag, value in values.items()]
        self.newest.update(dict.fromkeys(values, iteration))
        return self._new(iteration, summary=self._summary(value=found))

    def _new(self, step: int, wall_time: float | None = None, **content: Any) -> Any:
        return self._event.Event(wall_time=time.time() if wall_time is None else wall_time, step=step, **content)

    def _write(self, events: Iterable[Any]) -> None:
        rest = memoryview(b"".join(self._record(event.SerializeToString()) for event in events))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise self.folder.cannot_write(self.path, error) from None

    def _record(self, content: bytes) -> bytes:
        length = struct.pack("<Q", len(content))
        header = _HEADER.pack(len(content), self._checksum(length))
        return header + content + _CHECKSUM.pack(self._checksum(content))

    def _drop_later(self, path: Path, iteration: int) -> None:
        """Take the events after an iteration, and what a killed process left unfinished, out of a file; note what stays."""
        content = _read_events(path)
        kept, size = [], 0
        for record in _records(content):
            try:
                event = self._event.Event.FromString(record[_HEADER.size : -_CHECKSUM.size])
            except Exception:  # protobuf's own DecodeError: what follows cannot be trusted, either
                break
            if event.step <= iteration:
                kept.append(record)
                size += len(record)
                for value in event.summary.value:
                    self.newest[value.tag] = max(self.newest.get(value.tag, -1), event.step)
        if size < len(content) and not _is_begun(content):
            write_atomically(path, b"".join(kept))

    def _catch_up(self, iteration: int) -> None:
        """Write what the files lack of the iterations so far: all, where the run had no TensorBoard until now."""
        columns, table = read_log(self.folder.log.path)
        before = self.newest.get(_EVERY_ROW, 0)
        missing = table[(table[:, 0] > before) & (table[:, 0] <= iteration)]
        for first in range(0, len(missing), _ROWS):
            some = missing[first : first + _ROWS].tolist()
            self.rows(columns, ([row[0], *("" if math.isnan(value) else value for value in row[1:])] for row in some))
        kept = [("real", 0, self.folder.path / "real.png")]
        kept += [("samples", int(path.stem), path) for path in self.folder.pictures("samples")]
        for tag, number, path in kept:
            if self.newest.get(tag, -1) < number <= iteration:
                try:
                    self.picture(tag, number, read_regular_file(path, _MAX_PICTURE), path.stat().st_mtime)
                except (
                    OSError,
                    ValueError,
                    struct.error,
                ):  # a picture that is damaged or gone is not there to be shown
                    continue


def _read_events(path: Path) -> bytes:
    """Returns: the content of an event file.

    Raises:
        UserError: it cannot be read, or its first record is no event: what it holds is not a run's to rewrite.
    """
    try:
        content = read_regular_file(path, _MAX_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}; move it away") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; move it away") from None
    first = next(_records(content), b"")
    try:
        importlib.import_module("tensorboardX.proto.event_pb2").Event.FromString(first[_HEADER.size : -_CHECKSUM.size])
        right = bool(first) and _is_header(content)
    except Exception:  # protobuf's own DecodeError
        right = False
    if not right and not _is_begun(content):
        raise UserError(f"{path}: has the name of an event file of TensorBoard, and is none; move it away")
    return content


def _is_header(content: bytes) -> bool:
    """Returns: whether the checksum of the first record's length is right."""
    checksum = importlib.import_module("tensorboardX.record_writer").masked_crc32c
    return bool(_HEADER.unpack_from(content)[1] == checksum(content[:8]))


def _is_begun(content: bytes) -> bool:
    """Returns: whether a file is the beginning of its first record: its process was killed then, or it is another file, of a few
    bytes. It holds no event, and stays as it is."""
    if len(content) < _HEADER.size:
        return True
    return not any(True for _ in _records(content)) and _is_header(content)


def _records(content: bytes) -> Iterator[bytes]:
    """Yields: the whole records at the beginning of an event file."""
    place = 0
    while place + _HEADER.size <= len(content):
        (length, _) = _HEADER.unpack_from(content, place)
        end = place + _HEADER.size + length + _CHECKSUM.size
        if end > len(content):
            return
        yield content[place:end]
        place = end
