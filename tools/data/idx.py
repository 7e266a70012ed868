"""IDX files, the format of MNIST: a magic number, the sizes, then the values.

    00 00 TT DD    TT: type of a value (08 is uint8), DD: number of dimensions
    size * DD      big-endian 32-bit integers
    values         row by row

Images are uint8 with three dimensions (magic 0x00000803), labels uint8 with one (0x00000801), as MNIST, Fashion-MNIST,
KMNIST and EMNIST publish them. Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
"""

from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganspec.spec.text.errors import counted
from ganspec.tools.data import bounds
from ganspec.tools.data.detect import kind_of, open_file
from ganspec.tools.data.errors import DataError, damage_reported

_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_MEANING = {1: "labels", 3: "images"}
# As published, and as Kaggle renamed them.
_NAMES = (("images-idx3-ubyte", "labels-idx1-ubyte"), ("images.idx3-ubyte", "labels.idx1-ubyte"))
_SETS = ("train", "t10k")


def read_idx(path: Path, handle: BinaryIO, gzipped: bool) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Read an IDX images file, with its labels where the conventionally named file lies beside it.

    Args:
        path: path of the images file, beside which the labels are looked for.
        handle: images file, open at its start.
        gzipped: whether it is compressed with gzip.

    Returns:
        images uint8 (n, 1, height, width), labels int64 (n,) or None, and a line that says what was read.

    Raises:
        DataError: one of the files is damaged or is another kind of file, or their numbers of entries differ.
    """
    images = _read_values(handle, gzipped, 3)[:, np.newaxis]
    beside = labels_beside(path)
    if beside is None:
        return images, None, "IDX images without labels"
    try:
        with open_file(beside, _wanted(1)) as labels_handle:
            kind, gzipped = kind_of(labels_handle, _wanted(1))
            if kind != "idx":
                raise DataError(f"is a {kind} file", _wanted(1), "download it again")
            labels = _read_values(labels_handle, gzipped, 1).astype(np.int64)
        if len(labels) != len(images):
            raise DataError(
                f"holds {counted(len(labels), 'label')}, and {path.name} holds {counted(len(images), 'image')}",
                "as many labels as images",
                "put the two files of one data set side by side, or move the labels away to read images alone",
            )
    except DataError as error:
        error.path = beside
        raise
    return images, labels, f"IDX images with labels from {beside.name}"


def find_idx(folder: Path) -> Path | None:
    """Find the conventionally named IDX images file in a folder, the training set before the test set; None without one."""
    for images, _ in _NAMES:
        for part in _SETS:
            for ending in ("", ".gz"):
                path = folder / f"{part}-{images}{ending}"
                if os.path.isfile(path):  # unlike Path.is_file, False where the folder may not be searched
                    return path
    return None


def labels_beside(path: Path) -> Path | None:
    """Returns: the path of the labels file that lies beside an IDX images file; None without one."""
    for images, labels in _NAMES:
        stem, found, ending = path.name.rpartition(images)
        if found and ending in ("", ".gz"):
            for other in (ending, "" if ending else ".gz"):
                beside = path.with_name(stem + labels + other)
                if os.path.exists(beside):
                    return beside
    return None


def _read_values(handle: BinaryIO, gzipped: bool, dimensions: int) -> np.ndarray:
    """Read the values of an open IDX file as uint8, with that number of dimensions."""
    with damage_reported("an IDX file"):
        stream = gzip.GzipFile(fileobj=handle) if gzipped else handle
        sizes = _read_header(stream, dimensions)
        nbytes = math.prod(sizes)
        on_disk = os.fstat(handle.fileno()).st_size
        if nbytes > on_disk * (bounds.MAX_DEFLATE_RATIO if gzipped else 1):  # before memory is allocated for it
            raise DataError(
                f"declares {bounds.format_sizes(sizes)} values and has {on_disk:,} bytes",
                "a file that holds what its header declares",
                "download or copy it again",
            )
        return bounds.read_exactly(stream, nbytes).reshape(sizes)


def _wanted(dimensions: int) -> str:
    return f"an IDX {_MEANING[dimensions]} file of uint8 values (magic 0x0000080{dimensions})"


def _read_header(stream: BinaryIO, dimensions: int) -> tuple[int, ...]:
    wanted = _wanted(dimensions)
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError("is cut short in its header", wanted, "download or copy it again")
    if magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise DataError(f"is not an IDX file (magic 0x{magic.hex()})", wanted, "check what it is")
    if magic[2] != 0x08:
        raise DataError(
            f"holds {_TYPES[magic[2]]} values (magic 0x{magic.hex()})",
            wanted,
            "save the images as a .npy array, uint8 or float in 0..1",
        )
    if magic[3] != dimensions:
        meaning = _MEANING.get(magic[3], f"{magic[3]}-dimensional values")
        raise DataError(
            f"holds {meaning}, not {_MEANING[dimensions]} (magic 0x{magic.hex()})",
            wanted,
            f"give the file that MNIST would call train-{_NAMES[0][0 if dimensions == 3 else 1]}",
        )
    raw = stream.read(4 * dimensions)
    if len(raw) < 4 * dimensions:
        raise DataError("is cut short in its header", wanted, "download or copy it again")
    sizes = struct.unpack(f">{dimensions}I", raw)
    if 0 in sizes:
        raise DataError(
            f"holds no images: its sizes are {bounds.format_sizes(sizes)}", wanted, "give a file with images in it"
        )
    bounds.refuse_oversized(sizes[0], sizes[1:], 1)
    return sizes
