"""The record of a run, `run.json`: what was asked for, how it is written, and how it is read with suspicion.

A run's folder may come from a stranger: every key that resuming reads is checked as the option of that name is.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import expected_one_of, printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.options import CUDA_CHOICES, DEVICES, DRAWS, DTYPES, MAX_SEED, PRECISIONS, is_device
from ganspec.spec.training.protocol import BACKENDS, training_backends

FORMAT = "ganspec run 2"
NAME = "run.json"
_OLDER = ("ganspec run 1",)
_MAX_BYTES = 10_000_000  # of run.json; that of the largest system has under 100 kB
_MAX_TEXT = 5_000  # characters of a name or path
_MAX_SETTINGS = 1_000
_MAX_COUNT = 10**12  # images of an epoch
_MAX_CLASSES = 30_000  # names of classes of the data, as many as `tools/data/bounds.py` admits


class RunError(Exception):
    """A folder is not that of a run, or lacks what is asked for; the message says which and what to do."""


_Complaint = str | None  # what was expected instead; None where a value is right


def _choice(valid: tuple[str, ...]) -> Callable[[Any], _Complaint]:
    return lambda value: None if isinstance(value, str) and value in valid else expected_one_of(valid)


def _backend(value: Any) -> _Complaint:
    right = isinstance(value, str) and (value in BACKENDS or value in training_backends())
    return None if right else expected_one_of(training_backends())


def _seed(value: Any) -> _Complaint:
    right = type(value) is int and 0 <= value <= MAX_SEED
    return None if right else "expected a whole number from 0 to 2^63 - 1"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and "\0" not in value


def _text(value: Any) -> _Complaint:
    return None if _is_text(value) else f"expected text of at most {_MAX_TEXT:,} characters"


def _name(value: Any) -> _Complaint:
    return None if _is_text(value) and value else "expected the name of a system, or the path of its file"


def _settings(value: Any) -> _Complaint:
    right = isinstance(value, list) and len(value) <= _MAX_SETTINGS and all(map(_is_text, value))
    return None if right else f"expected a list of at most {_MAX_SETTINGS:,} texts such as 'run.batch=32'"


_CHECKS: dict[str, Callable[[Any], _Complaint]] = {  # what resuming reads
    "system": _name,
    "settings": _settings,
    "data": _text,
    "backend": _backend,
    "device": lambda value: None if is_device(value) else expected_one_of(DEVICES),
    "dtype": _choice(DTYPES),
    "draws": _choice(DRAWS),
    "seed": _seed,
}


def _classes(value: Any) -> _Complaint:
    right = isinstance(value, list) and 0 < len(value) <= _MAX_CLASSES and all(map(_is_text, value))
    return None if right else f"expected a list of 1 to {_MAX_CLASSES:,} texts, the names of the classes"


def _flag(value: Any) -> _Complaint:
    return None if isinstance(value, bool) else "expected true or false"


def _count(value: Any) -> _Complaint:
    right = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_COUNT
    return None if right else f"expected a whole number from 1 to {_MAX_COUNT:,}"


def _cuda(value: Any) -> _Complaint:
    few = isinstance(value, list) and len(value) <= len(CUDA_CHOICES)
    right = few and all(isinstance(choice, str) and choice in CUDA_CHOICES for choice in value)
    return None if right else f"expected a list of some of {', '.join(CUDA_CHOICES)}"


_OPTIONAL: dict[str, Callable[[Any], _Complaint]] = {  # what a record may have besides
    "classes": _classes,
    "images_per_epoch": _count,
    "tensorboard": _flag,
    "precision": _choice(PRECISIONS),
    "sharing": _flag,
    "cuda": _cuda,
}


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record of a run, whole or not at all.

    Args:
        folder: folder of the run.
        record: what was asked for; `FORMAT` is added.

    Raises:
        OSError: it cannot be written.
    """
    content = {"format": FORMAT, **record}
    write_atomically(folder / NAME, (json.dumps(content, indent=1) + "\n").encode())


def read_record(folder: Path) -> dict[str, Any]:
    """Read the record of a run, and check every key that resuming reads.

    Args:
        folder: folder of the run.

    Returns: the record.

    Raises:
        RunError: it is not there, of another version, or damaged; the message names the key and what was expected.
    """
    path = folder / NAME
    try:
        content = read_regular_file(path, _MAX_BYTES)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise RunError(f"{folder}: is not the folder of a run: {NAME}: {why}") from None
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        raise RunError(f"{path}: is not what a run writes; is this the folder of a run?") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found in _OLDER:
        raise RunError(
            f"{path}: was written by an earlier version of ganspec ({found}, expected {FORMAT}); "
            "go on with that version, or start a new run with another --out DIR"
        )
    if found != FORMAT:
        raise RunError(f"{path}: is not the record of a run of this version ({FORMAT})")
    for key, check in (_CHECKS | {key: check for key, check in _OPTIONAL.items() if key in record}).items():
        if key not in record:
            raise RunError(f"{path}: is damaged: the key '{key}' is missing; put it back, or start a new run")
        if complaint := check(record[key]):
            shown = printable(repr(record[key])[:80])
            raise RunError(f"{path}: {key}: {complaint}, found {shown}; correct it, or start a new run")
    checked: dict[str, Any] = record
    return checked


def read_regular_file(path: Path, most: int) -> bytes:
    """Read a file that may be anything: opening a named pipe would wait without end, and /dev/zero has none.

    Args:
        path: path of the file.
        most: bytes that it may have.

    Returns: its content.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a regular file, or larger; the message says which.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is not a regular file")
        if status.st_size > most:  # before any of it is read: a sparse file is large at no cost
            raise ValueError(f"is larger than {most:,} bytes")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"is larger than {most:,} bytes")
    return content
