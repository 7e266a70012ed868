"""The neutral checkpoint: one safetensors file with every array, and a JSON record in its header.

It is written atomically: a file by its final name is whole. It is read with suspicion: nothing is unpickled; every field of the
record is checked; names, shapes and dtypes are compared with what the system needs before any array is loaded; a digest guards
record and arrays; and a value that is not finite is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ganspec.spec.layers import Shape
from ganspec.spec.text.errors import printable
from ganspec.spec.training.state import MAX_RATE, TrainingState

FORMAT = "ganspec checkpoint 2"
_OLDER = ("ganspec checkpoint 1",)
_DTYPES = ("F32", "F64")
_MAX_COUNT = 2**63 - 1
_MAX_DONE = 10**15  # iterations, updates and batches: more than a machine does in a thousand years
_MAX_NAMES = 1_000  # of networks; the systems here have under ten


class CheckpointError(Exception):
    """A checkpoint cannot be written or read; the message says why and what to do."""


class NotFiniteError(CheckpointError):
    """A checkpoint is not written, because an array of the state, `array`, has a value that is not finite."""

    def __init__(self, path: Path, array: str) -> None:
        super().__init__(f"{path}: not written, because {array} has a value that is not finite")
        self.array = array


@dataclass(frozen=True)
class Record:
    """What a checkpoint says besides its arrays.

    Args:
        description: description of the system (see `spec.description`).
        seed: seed of the run. A run resumes only with the same seed and dtype.
        dtype: "float32" or "float64".
        draws: where random numbers were computed, "host" or "device".
        batches: number of batches of data that were drawn.
        data: fingerprint of the data, "" where there was none.
        epoch: what the learning-rate decay remembers: "sum" and "count" of the watched report in this epoch, and "last", its mean
            in the epoch before, None in the first.
    """

    description: Mapping[str, Any]
    seed: int
    dtype: str
    draws: str
    batches: int
    data: str
    epoch: Mapping[str, float | int | None]


def write_checkpoint(path: Path, state: TrainingState, record: Record) -> None:
    """Write a checkpoint; on any failure nothing by that name is left or changed.

    Args:
        path: path of the file.
        state: state to write.
        record: what is written beside it.

    Raises:
        NotFiniteError: an array has a value that is not finite.
        CheckpointError: the file cannot be written; the system's own error is its cause.
    """
    check_finite(path, state)
    header = {
        "format": FORMAT,
        "iteration": state.iteration,
        "updates": state.updates,
        "learning_rates": state.learning_rates,
        **asdict(record),
    }
    header["digest"] = _digest(header, state.arrays)
    content = save(
        {name: np.asarray(a, order="C") for name, a in state.arrays.items()}, {"ganspec": json.dumps(header)}
    )
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}; earlier checkpoints are intact") from error


def check_finite(path: Path, state: TrainingState) -> None:
    """Raises: NotFiniteError: an array of a state that is to be written has a value that is not finite."""
    for name, array in state.arrays.items():
        if not np.isfinite(array).all():
            raise NotFiniteError(path, name)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at every instant either the old one or the whole new one stands there.

    Args:
        path: path of the file.
        content: all of it.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)  # of a killed process, or a trap: a link to another file, a named pipe
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with open(opened, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, survives a power cut
    finally:
        os.close(folder)


def read_record(path: Path) -> tuple[dict[str, Any], Record]:
    """Read what a checkpoint says, without its arrays. The digest is not compared: that takes all of the file.

    Args:
        path: path of the file.

    Returns: the header, and the record in it; every field has the right type and range.

    Raises:
        CheckpointError: it is not a whole checkpoint of this format.
    """
    try:
        if path.exists() and not path.is_file():  # opening a named pipe would wait without end
            raise CheckpointError(f"{path}: is not a regular file")
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["ganspec"])
        found = header["format"]
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is truncated or not a safetensors file ({error})") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: is a safetensors file, but not a checkpoint of ganspec") from None
    if found in _OLDER:
        raise CheckpointError(
            f"{path}: was written by an earlier version of ganspec ({found}, expected {FORMAT}); "
            "go on with that version, or train anew"
        )
    if found != FORMAT:
        raise CheckpointError(f"{path}: has the format {printable(repr(found)[:80])}, expected {FORMAT!r}")
    _check_header(path, header)
    return header, Record(**{key: header[key] for key in Record.__dataclass_fields__})


def read_checkpoint(path: Path, shapes: Mapping[str, Shape] | None = None) -> tuple[TrainingState, Record]:
    """Read a checkpoint.

    Args:
        path: path of the file.
        shapes: shape of every array that the system needs (see `spec.training.state.array_shapes`); None to take what there is.

    Returns: the state and the record.

    Raises:
        CheckpointError: it is truncated, damaged, of another system, or holds a value that is not finite.
    """
    header, record = read_record(path)
    arrays = {}
    try:
        with safe_open(path, framework="numpy") as file:
            _compare(path, {name: file.get_slice(name) for name in file.keys()}, shapes)  # noqa: SIM118
            for name in file.keys():  # noqa: SIM118
                arrays[name] = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{path}: {name} has a value that is not finite; resume from an earlier checkpoint")
    digest = header.pop("digest")
    if _digest(header, arrays) != digest:
        raise CheckpointError(f"{path}: is damaged: its content does not match its digest")
    rates = {name: float(rate) for name, rate in header["learning_rates"].items()}
    return TrainingState(header["iteration"], dict(header["updates"]), rates, arrays), record


def _check_header(path: Path, header: dict[str, Any]) -> None:
    """Check every field as an option is checked: type, range, allowed values.

    Raises:
        CheckpointError: a field is missing or wrong; the message names it.
    """
    for key, (check, expected) in _FIELDS.items():
        if key not in header:
            raise CheckpointError(f"{path}: is damaged: its record lacks {key}")
        if not check(header[key]):
            found = printable(repr(header[key])[:80])
            raise CheckpointError(f"{path}: is damaged: {key} in its record is {found}, expected {expected}")
    if header["updates"].keys() != header["learning_rates"].keys():
        raise CheckpointError(f"{path}: is damaged: updates and learning_rates in its record are of other networks")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_COUNT


def _is_done(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_DONE


def _is_rate(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= MAX_RATE


def _is_number(value: Any) -> bool:
    return math.isfinite(value) if type(value) is float else type(value) is int and abs(value) <= _MAX_COUNT


def _is_table(value: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and len(value) <= _MAX_NAMES and all(map(check, value.values()))


def _is_epoch(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"sum", "count", "last"}
        and _is_number(value["sum"])
        and _is_count(value["count"])
        and (value["last"] is None or _is_number(value["last"]))
    )


_COUNT = f"a whole number from 0 to {_MAX_COUNT}"
_DONE = f"a whole number from 0 to {_MAX_DONE}"
# For each field of the header its check, and what the message says was expected.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "iteration": (_is_done, _DONE),
    "updates": (lambda v: _is_table(v, _is_done), "a count for each network"),
    "learning_rates": (lambda v: _is_table(v, _is_rate), f"a rate from 0 to {MAX_RATE:g} for each network"),
    "description": (lambda v: isinstance(v, dict), "a table"),
    "seed": (_is_count, _COUNT),
    "dtype": (lambda v: v in ("float32", "float64"), "float32 or float64"),
    "draws": (lambda v: v in ("host", "device"), "host or device"),
    "batches": (_is_done, _DONE),
    "data": (lambda v: isinstance(v, str), "text"),
    "epoch": (_is_epoch, "sum, count and last"),
    "digest": (lambda v: isinstance(v, str), "text"),
}


def _compare(path: Path, found: Mapping[str, Any], shapes: Mapping[str, Shape] | None) -> None:
    for name, part in found.items():
        if part.get_dtype() not in _DTYPES:
            raise CheckpointError(f"{path}: {printable(name)} has the dtype {part.get_dtype()}, expected F32 or F64")
        if shapes is not None and tuple(part.get_shape()) != shapes.get(name):
            wanted = f"the shape {list(shapes[name])}" if name in shapes else "no such array"
            raise CheckpointError(
                f"{path}: is of another system: {printable(name)} has the shape {part.get_shape()}, expected {wanted}"
            )
    missing = [name for name in shapes or {} if name not in found]
    if missing:
        raise CheckpointError(f"{path}: is of another system: {missing[0]} is missing")


def _digest(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Returns: a digest of a header, without the digest itself, and of names, dtypes, shapes and values of arrays."""
    digest = hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
