"""How much the readers accept, each number with its reason, and the functions that keep to it.

A data set comes from the network. A few kilobytes can declare, or unpack to, more than any machine holds; so a size
is compared with its bound before memory is taken, and every stream is read through a limit. A larger data set than
these bounds is not wrong: raise the constant, in a change that says why.
"""

from __future__ import annotations

import io
import math
from typing import BinaryIO

import numpy as np

from ganspec.tools.data.errors import DataError

# The array in memory. LFW whole at 3x250x250 and CelebA at 3x64x64 take 2.5 GB each; a training machine holds 4.
MAX_DATASET_BYTES = 4 * 2**30

# Where there is a cache (`cache`), a larger array than this is kept in it, not in memory: reading it again takes minutes.
CACHE_ABOVE_BYTES = 2**30

# The array in a cache: ImageNet at 3x512x512 takes 1.0 TB.
MAX_CACHED_BYTES = 2 * 2**40

# What an archive may unpack to, read as a stream and never kept: ImageNet's JPEGs are 138 GB.
MAX_STREAM_BYTES = 256 * 2**30

# ImageNet has 1.28 million images; beyond this the per-image bookkeeping alone takes minutes.
MAX_IMAGES = 2_000_000

# An archive holds folders and notes besides its images (LFW: 13,233 images, 5,749 folders).
MAX_MEMBERS = 2 * MAX_IMAGES

# Classes, one for each folder: ImageNet-21k has 21,841. Their names go into the run's record, as JSON.
MAX_CLASSES = 30_000
MAX_CLASS_TEXT = 4_000_000

# One compressed picture: a lossless photograph of the size below stays under it.
MAX_PICTURE_BYTES = 256 * 2**20

# One decoded picture: a 48-megapixel photograph, 144 MB as RGB. Pillow's own guard (89 million) only warns.
MAX_PICTURE_PIXELS = 50_000_000

# An extended tar header (a long name, a pax record) is read whole by tarfile: real ones take a few hundred bytes.
MAX_TAR_HEADER_BYTES = 2**20

# A .npy header is one line of text; NumPy itself refuses more than 10,000 bytes, but only after reading them all.
MAX_NPY_HEADER_BYTES = 16 * 2**10

# One batch of CIFAR-10: 31 MB as published, half as much again where Python 3 has written it with protocol 2.
MAX_BATCH_BYTES = 64 * 2**20

# The pickle of such a batch has 30,000 instructions as published, 90,000 where Python 3 has written it with protocol 2.
# Fewer than 150 are outside its lists, and only of these could a key of a dictionary be made.
MAX_PICKLE_INSTRUCTIONS = 200_000
MAX_PICKLE_OUTLINE = 1_000

# DEFLATE spends at least one bit on 129 bytes, so a gzip file that declares more than this ratio is lying.
MAX_DEFLATE_RATIO = 1032

_CHUNK = 2**20  # bytes per read: large enough to be fast, small enough to stop early


def refuse_oversized(count: int, shape: tuple[int, ...], itemsize: int, *, cached: bool = False) -> None:
    """Raise `DataError` unless `count` images of `shape` with `itemsize` bytes per value stay within the bounds.

    Args:
        count: number of images.
        shape: shape of each.
        itemsize: bytes per value.
        cached: whether they are kept in a cache on the disk; in memory less is admitted.
    """
    if count > MAX_IMAGES:
        raise DataError(
            f"holds {count:,} images",
            f"at most {MAX_IMAGES:,} (MAX_IMAGES in tools/data/bounds.py)",
            "take a part of it, or raise the bound",
        )
    size = count * math.prod(shape) * itemsize
    bound = "MAX_CACHED_BYTES" if cached else "MAX_DATASET_BYTES"
    most: int = globals()[bound]
    if size > most:
        raise DataError(
            f"would take {size / 2**30:,.1f} GiB as {count:,} images of {format_sizes(shape)}",
            f"at most {most / 2**30:g} GiB ({bound} in tools/data/bounds.py)",
            "take a part of it, ask for smaller images, or raise the bound",
        )


def format_sizes(shape: tuple[int, ...]) -> str:
    """Write a shape as people do: `3x64x64`."""
    return "x".join(str(size) for size in shape)


def read_exactly(stream: BinaryIO, nbytes: int, begun: bytes = b"") -> np.ndarray:
    """Read the last `nbytes` bytes of a stream, no more and no fewer.

    Args:
        stream: binary stream, after the bytes of `begun`.
        nbytes: number of bytes wanted, already compared with the bounds.
        begun: bytes that were read ahead and come before those of the stream; they count.

    Returns:
        uint8 (nbytes,), writable.

    Raises:
        DataError: the stream ends early or continues. One byte more than wanted is requested, which makes gzip and
            zip compare their checksum: they do so only at the end.
    """
    data = np.empty(nbytes, np.uint8)
    filled = min(len(begun), nbytes)
    data[:filled] = np.frombuffer(begun, np.uint8, filled)
    view = memoryview(data)
    while filled < nbytes:
        got = stream.readinto(view[filled : filled + _CHUNK])
        if not got:
            raise DataError(
                f"is cut short: {filled:,} bytes of values",
                f"{nbytes:,} bytes, as its header declares",
                "download or copy it again",
            )
        filled += got
    if len(begun) > nbytes or stream.read(1):
        raise DataError(
            "continues after its last value",
            f"{nbytes:,} bytes of values, as its header declares",
            "download or copy it again; if it was written by a program, its header and its values disagree",
        )
    return data


class Limited(io.RawIOBase):
    """A binary stream that refuses to give more than `limit` bytes, as a guard against compressed bombs.

    Args:
        stream: source of the bytes.
        limit: number of bytes that it may give, MAX_STREAM_BYTES by default.
    """

    def __init__(self, stream: BinaryIO, limit: int | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._limit = MAX_STREAM_BYTES if limit is None else limit
        self._given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(_CHUNK if size is None or size < 0 else size)
        self._given += len(data)
        if self._given > self._limit:
            raise DataError(
                f"unpacks to more than {self._limit:,} bytes",
                "an archive within MAX_STREAM_BYTES of tools/data/bounds.py",
                "check where it comes from; if it is genuine, unpack it and give the folder, or raise the bound",
            )
        return data

    def drain(self) -> None:
        """Read to the end, so that gzip compares its checksum."""
        while self.read(_CHUNK):
            pass
