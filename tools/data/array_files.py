"""Arrays on the disk: `.npy` files that are written image by image, and mapped into memory where they are read.

A file is NumPy's format 1.0 with a header of 128 bytes, so that any program with NumPy reads it. Here no header is parsed: the
caller says which array the file must hold, and the header must be exactly that array's. Source: numpy.lib.format, "Format Version
1.0".

Writing goes through the file, not through a map, so that a full disk is an error that can be told and not a signal that ends the
process.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganspec.tools.data.detect import open_file

_READ_AHEAD = 2**20  # bytes
_HEADER = 128  # bytes: two million images of any shape that is admitted fit into it


class ArrayFile:
    """A new array of images on the disk.

    Args:
        path: path of the file.
        count: number of images.
        shape: shape of each.
        dtype: type of its values.
        told: function that makes the exception to raise where the system does not let us write, here or in a method.
    """

    def __init__(
        self, path: Path, count: int, shape: tuple[int, ...], dtype: np.dtype, told: Callable[[OSError], Exception]
    ) -> None:
        self._path, self._count, self._shape, self._dtype = path, count, shape, np.dtype(dtype)
        self._each = math.prod(shape) * self._dtype.itemsize
        self._told = told
        with self._telling():
            self._file = open(path, "xb+")  # noqa: SIM115 (closed by `finish` or `close`)

    def put(self, index: int, images: np.ndarray) -> None:
        """Write images (n, *shape) from the place `index` on."""
        with self._telling():
            self._file.seek(_HEADER + index * self._each)
            self._file.write(np.ascontiguousarray(images, self._dtype.newbyteorder("<")).data)

    def keep(self, kept: np.ndarray) -> None:
        """Drop the images where `kept`, bool (n,), is false; the others move up."""
        places = np.flatnonzero(kept)
        with self._telling():
            for index, place in enumerate(places.tolist()):
                if index != place:
                    self._file.seek(_HEADER + place * self._each)
                    image = self._file.read(self._each)
                    self._file.seek(_HEADER + index * self._each)
                    self._file.write(image)
        self._count = len(places)

    def finish(self) -> np.ndarray:
        """Write the header, and see to it that all is on the disk.

        Returns: the whole array, mapped into memory and read-only.
        """
        with self._telling():
            self._file.truncate(_HEADER + self._count * self._each)
            self._file.seek(0)
            self._file.write(_header((self._count, *self._shape), self._dtype))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        with open_file(self._path) as handle:
            array = mapped(handle, (self._count, *self._shape), self._dtype)
        assert array is not None
        return array

    def close(self) -> None:
        """Close the file, whole or not."""
        with contextlib.suppress(OSError):  # what is left to write does not fit, and this is not where it matters
            self._file.close()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._told(error) from None


def content(handle: BinaryIO) -> Iterator[bytes]:
    """Read the values of an array that `ArrayFile` wrote.

    A map would keep all in memory, and would end the process where the disk cannot be read.

    Args:
        handle: the file, open for reading; it must stay open.

    Yields: the values as bytes, some at a time.
    """
    handle.seek(_HEADER)
    while block := handle.read(_READ_AHEAD):
        yield block


def mapped(handle: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Map an array into memory, so that only what is looked at is read.

    Args:
        handle: a file that `ArrayFile` wrote, or somebody else, open for reading; it may be closed afterwards.
        shape: shape of the array that it must hold.
        dtype: type of its values.

    Returns: the array, read-only; None where the file holds something else.

    Raises:
        OSError: the file cannot be read.
    """
    dtype = np.dtype(dtype).newbyteorder("<")
    size = _HEADER + math.prod(shape) * dtype.itemsize
    handle.seek(0)
    if os.fstat(handle.fileno()).st_size != size or handle.read(_HEADER) != _header(shape, dtype):
        return None
    return np.memmap(handle, dtype, "r", _HEADER, shape).view(np.ndarray)


def release(array: np.ndarray) -> None:
    """Let go of what was read of an array that `mapped` gave; it is read again where it is looked at again.

    What a process looks at of a map stays in its memory until the system needs room, so that a run would seem to hold its
    whole data set by the end of an epoch. Arrays in memory stay as they are.
    """
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
        base.madvise(mmap.MADV_DONTNEED)


def _header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    descr = np.dtype(dtype).newbyteorder("<").str
    sizes = f"({', '.join(str(int(size)) for size in shape)}{',' if len(shape) == 1 else ''})"
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {sizes}, }}"
    start = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
    return start + text.encode("ascii").ljust(_HEADER - 11) + b"\n"
