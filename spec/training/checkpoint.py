"""The neutral checkpoint: one safetensors file with every array, and a JSON record in its header.

Written atomically: a file by its final name is whole. Read with suspicion: nothing is unpickled, names, shapes and
dtypes are compared with what the system needs before any array is loaded, a digest guards the content, and a value
that is not finite is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ganspec.spec.layers import Shape
from ganspec.spec.training.state import TrainingState

FORMAT = "ganspec checkpoint 1"
_DTYPES = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}


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
        description: of the system (see `spec.description`).
        seed, dtype, draws: of the run; a run resumes only with the same.
        batches: how many batches of data were drawn.
        data: the fingerprint of the data, "" where there was none.
        epoch: what the learning-rate decay remembers: sum and count of the watched report in this epoch, mean of the
            last.
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

    Raises:
        NotFiniteError: an array has a value that is not finite.
        CheckpointError: the file cannot be written.
    """
    for name, array in state.arrays.items():
        if not np.isfinite(array).all():
            raise NotFiniteError(path, name)
    header = {
        "format": FORMAT,
        "iteration": state.iteration,
        "updates": state.updates,
        "learning_rates": state.learning_rates,
        "digest": _digest(state.arrays),
        **asdict(record),
    }
    content = save(
        {name: np.asarray(a, order="C") for name, a in state.arrays.items()}, {"ganspec": json.dumps(header)}
    )
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}; earlier checkpoints are intact") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at every instant either the old one or the whole new one stands there.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
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
    """Read what a checkpoint says, without its arrays.

    Returns: the header and the record in it.

    Raises:
        CheckpointError: it is not a whole checkpoint of this format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["ganspec"])
        if header["format"] != FORMAT:
            raise CheckpointError(f"{path}: has the format {header['format']!r}, expected {FORMAT!r}")
        return header, Record(**{key: header[key] for key in Record.__dataclass_fields__})
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is truncated or not a safetensors file ({error})") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: is a safetensors file, but not a checkpoint of ganspec") from None


def read_checkpoint(path: Path, shapes: Mapping[str, Shape] | None = None) -> tuple[TrainingState, Record]:
    """Read a checkpoint.

    Args:
        path: the file.
        shapes: the arrays that the system needs (see `spec.training.state.array_shapes`); None to take what there is.

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
        state = TrainingState(
            int(header["iteration"]),
            {str(name): int(count) for name, count in header["updates"].items()},
            {str(name): float(rate) for name, rate in header["learning_rates"].items()},
            arrays,
        )
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{path}: is a safetensors file, but not a checkpoint of ganspec") from None
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{path}: {name} has a value that is not finite; resume from an earlier checkpoint")
    if _digest(arrays) != header["digest"]:
        raise CheckpointError(f"{path}: is damaged: its content does not match its digest")
    return state, record


def _compare(path: Path, found: Mapping[str, Any], shapes: Mapping[str, Shape] | None) -> None:
    for name, part in found.items():
        if part.get_dtype() not in _DTYPES:
            raise CheckpointError(f"{path}: {name} has the dtype {part.get_dtype()}, expected F32 or F64")
        if shapes is not None and tuple(part.get_shape()) != shapes.get(name):
            wanted = f"the shape {list(shapes[name])}" if name in shapes else "no such array"
            raise CheckpointError(
                f"{path}: is of another system: {name} has the shape {part.get_shape()}, expected {wanted}"
            )
    missing = [name for name in shapes or {} if name not in found]
    if missing:
        raise CheckpointError(f"{path}: is of another system: {missing[0]} is missing")


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + np.asarray(arrays[name], order="C").tobytes())
    return digest.hexdigest()
