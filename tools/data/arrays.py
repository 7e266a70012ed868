"""Arrays saved by NumPy: a bare `.npy` of images, or an `.npz` with `images` and perhaps `labels`.

The header is judged before any value is read, and the values are taken as plain numbers: nothing is unpickled, and
object and structured types are refused. Source: numpy.lib.format, "Format Version 1.0" and "2.0".

**Layout.** (n, height, width) is grey. In four dimensions the channels are the axis whose size is 1, 3 or the number
of channels wanted: the second, (n, c, height, width), or the last, (n, height, width, c). Where both qualify, as in
pictures one or three pixels wide, the layout that gives exactly the wanted shape is meant; if both or neither do, the
array is refused.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from ganspec.tools.data import archives, bounds
from ganspec.tools.data.errors import DataError, damage_reported, quoted

_SAVE = "save it as uint8, or as float32 between 0 and 1, with numpy.save or numpy.savez"


def read_npy(handle: BinaryIO, shape: tuple[int, int, int], *, mapped: bool = False) -> tuple[np.ndarray, None, str]:
    """Read images from an open `.npy` file.

    Args:
        handle: open file, at its start.
        shape: wanted (channels, height, width), which decides between two possible layouts.
        mapped: whether an array of more than CACHE_ABOVE_BYTES is mapped into memory and not read.

    Returns:
        images uint8 or float (n, c, height, width), perhaps not in C order (`as_plain` mends both), None for the labels, and a
        line that says what was read.

    Raises:
        DataError: it is damaged, too large, or does not hold images.
    """
    array = _read_array(handle, os.fstat(handle.fileno()).st_size, handle if mapped else None)
    return _as_images(array, shape), None, f"a .npy array {array.dtype} {array.shape}"


def read_npz(handle: BinaryIO, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Read `images` or the only array, and `labels` if present, from an open `.npz` file; otherwise as `read_npy`."""
    with damage_reported("an .npz file"), zipfile.ZipFile(handle) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archives.checked_zip(archive)}
        others = [name for name in members if name != "labels"]
        key = "images" if "images" in members else others[0] if len(others) == 1 else None
        if key is None:
            listed = ", ".join(quoted(name) for name in sorted(members)[:10])
            raise DataError(
                f"holds several arrays and none is called images ({listed})" if others else "holds labels alone",
                "an array called images, or a single one; labels may lie beside it",
                "save it again as numpy.savez(path, images=..., labels=...)",
            )
        array = _read_member(archive, members[key])
        images = _located(members[key].filename, _as_images, array, shape)
        labels = None
        if "labels" in members and key != "labels":
            found = _read_member(archive, members["labels"])
            labels = _located(members["labels"].filename, _as_labels, found, len(images))
    described = f"the array {quoted(key)} {array.dtype} {array.shape} of an .npz"
    return images, labels, described if labels is None else f"{described} with its labels"


def _located(member: str, function: Callable[..., np.ndarray], *arguments: object) -> np.ndarray:
    """Call a function; a `DataError` that it raises names the member."""
    try:
        return function(*arguments)
    except DataError as error:
        error.member = member
        raise


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with damage_reported("a .npy array", member=info.filename), archive.open(info) as stream:
        return _located(info.filename, _read_array, stream, info.file_size)


def as_plain(images: np.ndarray) -> np.ndarray:
    """Returns: images in C order, uint8 or float32; themselves where they are so."""
    return np.ascontiguousarray(images, np.uint8 if images.dtype == np.uint8 else np.float32)


def _read_array(stream: BinaryIO, size: int, file: BinaryIO | None = None) -> np.ndarray:
    """Read the numeric array of a `.npy` stream of `size` bytes, after its header is judged; map a large one that is a file."""
    with damage_reported("a .npy array"):
        # Read a bounded amount ahead: NumPy would first read the whole header, which may declare 4 GiB.
        head = stream.read(bounds.MAX_NPY_HEADER_BYTES)
        buffer = io.BytesIO(head)
        version = npy.read_magic(buffer)
        if version not in ((1, 0), (2, 0)):  # (3, 0) is for field names beyond Latin-1: never plain numbers
            raise DataError(f"has .npy version {version}", "version (1, 0) or (2, 0), plain numbers", _SAVE)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "created on Python 2": true and harmless
            sizes, fortran_order, dtype = read_header(buffer)
        _refuse_header(sizes, dtype, cached=file is not None)
        nbytes = math.prod(sizes) * dtype.itemsize
        declared = size - buffer.tell()
        if nbytes != declared:
            raise DataError(
                f"declares {nbytes:,} bytes of values and holds {declared:,}",
                "a file that holds what its header declares",
                "download, copy or save it again",
            )
        order = "F" if fortran_order else "C"
        if file is not None and nbytes > bounds.CACHE_ABOVE_BYTES:
            return np.memmap(file, dtype, "r", buffer.tell(), sizes, order).view(np.ndarray)
        flat = bounds.read_exactly(stream, nbytes, head[buffer.tell() :]).view(dtype)
    return flat.reshape(sizes, order=order)


def _refuse_header(sizes: tuple[int, ...], dtype: np.dtype, *, cached: bool) -> None:
    if dtype.hasobject:
        raise DataError("holds pickled objects, which are never opened: they can run code", "plain numbers", _SAVE)
    if dtype.kind not in "uif" or dtype.shape or not sizes or any(type(size) is not int or size < 0 for size in sizes):
        raise DataError(f"holds values of type {dtype} and shape {sizes}", "an array of plain numbers", _SAVE)
    if 0 in sizes:
        raise DataError(f"holds nothing: its shape is {sizes}", "at least one image", "give a file with images in it")
    bounds.refuse_oversized(sizes[0], sizes[1:], dtype.itemsize, cached=cached)


def _as_images(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns: a view of an array as (n, c, height, width), whose values are bytes or numbers in 0..1."""
    return _in_range(_channels_first(array, shape))


def _channels_first(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    expected = "(n, height, width), (n, channels, height, width) or (n, height, width, channels)"
    if array.ndim == 3:
        return array[:, np.newaxis]
    if array.ndim != 4:
        raise DataError(
            f"has shape {array.shape}", expected, "reshape it, for example flat images to (n, height, width)"
        )
    channels = {1, 3, shape[0]}
    readings = [view for view, axis in ((array, 1), (array.transpose(0, 3, 1, 2), 3)) if array.shape[axis] in channels]
    if len(readings) == 2:
        readings = [view for view in readings if view.shape[1:] == tuple(shape)]
    if len(readings) != 1:
        counts = " or ".join(str(count) for count in sorted(channels))
        raise DataError(
            f"has shape {array.shape}: it is unclear which axis holds the channels",
            f"{expected}, with {counts} channels on one of the two axes",
            "transpose it to (n, channels, height, width); if it stays unclear, ask for the shape of its images",
        )
    return readings[0]


def _in_range(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    expected = "uint8, or float between 0 and 1"
    low, high = array.min(), array.max()  # if there is a NaN, both are NaN
    where = f"holds {array.dtype} values from {low:g} to {high:g}"
    if array.dtype.kind != "f":
        remedy = "save images.astype(numpy.uint8)" if low >= 0 and high <= 255 else _SAVE
        raise DataError(where, expected, remedy)
    if low >= 0 and high <= 1:
        return array
    if not np.isfinite([low, high]).all():
        raise DataError(where, expected, "find out where the NaN or infinity comes from, and save again")
    if low >= -1 and high <= 1:
        raise DataError(where, expected, "save (images + 1) / 2")
    if low >= 0 and high <= 255:
        raise DataError(where, expected, "save images / 255, or images.astype(numpy.uint8)")
    raise DataError(where, expected, _SAVE)


def _as_labels(array: np.ndarray, count: int) -> np.ndarray:
    if array.shape != (count,) or array.dtype.kind not in "ui":
        raise DataError(
            f"holds labels of type {array.dtype} and shape {array.shape}",
            f"integers of shape ({count},), one per image",
            "save one class index per image as int64 (numpy.argmax(labels, axis=1) for one-hot rows)",
        )
    if array.min() < 0 or array.max() > np.iinfo(np.int64).max:
        raise DataError(
            f"holds labels from {array.min()} to {array.max()}",
            "class indices from 0",
            "leave out the images without a class, or leave out the labels",
        )
    return array.astype(np.int64)
