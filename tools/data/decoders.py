"""Many pictures decoded and fitted, in this process or in several; what comes out is the same, in the same order.

Other processes take a second or two to start, so that pictures are decoded here first, and there only where much is left to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganspec.tools.data import archives
from ganspec.tools.data.decoding import decoded
from ganspec.tools.data.detect import open_file
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.fitting import Wanted, fitted
from ganspec.tools.processes import spread

ALONE_SECONDS = 2.0  # in this process, before it is known how long the rest will take
WORTH_SECONDS = 5.0  # of this process's work that others are started for
_CHUNK_PICTURES = 64  # sent to a process at once
_CHUNK_BYTES = 4 * 2**20  # of files sent, and of images that come back

# A picture is a file, or a function that reads a member of an archive, to be called before the next picture is requested.
Source = Path | Callable[[], bytes]
_Problem = tuple[str, str, str]  # of a `DataError`, which does not travel between processes


class FittedPicture(NamedTuple):
    """What became of a picture.

    Args:
        name: path of the picture in its folder or archive.
        image: uint8 image of the wanted shape; None where the picture is grey and skipped, or cannot be used.
        problem: what is wrong, what was expected and how to mend it, where it cannot be used.
    """

    name: str
    image: np.ndarray | None
    problem: _Problem | None = None


def fit_all(pictures: Iterable[tuple[str, Source]], total: int, wanted: Wanted) -> Iterator[FittedPicture]:
    """Decode pictures and bring them to the wanted shape.

    Args:
        pictures: names and sources of the pictures.
        total: number of pictures, from which it is estimated how long they will take.
        wanted: shape and kind of the images, and the number of processes.

    Yields: what became of each, in their order.

    Raises:
        DataError: walking over the pictures fails. A picture that cannot be used raises nothing.
        UserError: a process was ended from outside.
    """
    rest = iter(pictures)
    start = time.perf_counter()
    for number, (name, source) in enumerate(rest, 1):
        yield fit_one(name, source, wanted)
        passed = time.perf_counter() - start
        if wanted.jobs > 1 and passed > ALONE_SECONDS and passed / number * (total - number) > WORTH_SECONDS:
            break
    for chunk in spread(_fit_chunk, _chunks(rest, wanted), wanted.jobs):
        yield from chunk


def fit_one(name: str, source: Source, wanted: Wanted) -> FittedPicture:
    """Returns: what became of one picture."""
    try:
        picture = decoded(_content(source), wanted)[np.newaxis]
        if wanted.skip_grey and is_grey(picture)[0]:
            return FittedPicture(name, None)
        return FittedPicture(name, fitted(picture, wanted.shape, wanted.fit, wanted.crop)[0])
    except DataError as error:
        return FittedPicture(name, None, (error.problem, error.expected, error.remedy))


def is_grey(images: np.ndarray) -> np.ndarray:
    """Which images (n, c, height, width) have no colour: one channel, or three equal ones. Returns bool (n,)."""
    if images.shape[1] != 3:
        return np.full(len(images), images.shape[1] == 1)
    return np.array([np.array_equal(red, green) and np.array_equal(green, blue) for red, green, blue in images], bool)


def _content(source: Source) -> bytes:
    if not isinstance(source, Path):
        return source()
    try:
        with open_file(source, "a picture") as handle:
            size = os.fstat(handle.fileno()).st_size
            archives.refuse_large(source.name, size)
            return handle.read(size)
    except OSError as error:
        raise DataError(f"cannot be read ({error})", "a readable file", "check the disk it is on") from error


# What is sent: the wanted images, and names with a path, the bytes of a file, or what is wrong with it.
_Sent = tuple[Wanted, list[tuple[str, Path | bytes | _Problem]]]


def _chunks(pictures: Iterator[tuple[str, Source]], wanted: Wanted) -> Iterator[_Sent]:
    each = int(np.prod(wanted.shape))
    chunk: list[tuple[str, Path | bytes | _Problem]] = []
    size = 0
    for name, source in pictures:
        sent: Path | bytes | _Problem
        try:
            sent = source if isinstance(source, Path) else source()
        except DataError as error:
            sent = (error.problem, error.expected, error.remedy)
        chunk.append((name, sent))
        size += each + (len(sent) if isinstance(sent, bytes) else 0)
        if len(chunk) == _CHUNK_PICTURES or size > _CHUNK_BYTES:
            yield wanted, chunk
            chunk, size = [], 0
    if chunk:
        yield wanted, chunk


def _fit_chunk(sent: _Sent) -> list[FittedPicture]:
    wanted, chunk = sent
    found = []
    for name, given in chunk:
        if isinstance(given, tuple):
            found.append(FittedPicture(name, None, given))
        else:
            found.append(fit_one(name, given if isinstance(given, Path) else lambda given=given: given, wanted))
    return found
