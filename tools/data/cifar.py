"""CIFAR-10 as it is published: five training batches and a test batch, each of 10,000 colour images 32x32 with labels.

    cifar-10-python.tar.gz    cifar-10-batches-py/data_batch_1 ... data_batch_5, test_batch: pickled dictionaries of
                              `data`, uint8 (10000, 3072), and `labels`, a list (`pickles` reads them)
    cifar-10-binary.tar.gz    cifar-10-batches-bin/data_batch_1.bin ... test_batch.bin: 10,000 records of 3,073 bytes,
                              a label 0..9 and the image

An image is 1024 red, 1024 green and 1024 blue values, row by row. Both archives, the folders that they unpack to and an
archive of such a folder hold the same images in the same order, and give the same data set.

**Which part.** As in MNIST's folder, the training set is preferred. The test set is read where it lies alone or is named:
`cifar-10-batches-py/test_batch`, and in an archive likewise `cifar-10-python.tar.gz/test_batch`. In the same way, a
single training batch is read by its name.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images";
https://www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout" and "Binary version".
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganspec.tools.data import archives, bounds, detect
from ganspec.tools.data.errors import DataError, quoted
from ganspec.tools.data.pickles import AGAIN, WANTED, Array, read_pickle

_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_ENDINGS = ("", ".bin")
_FOLDERS = ("", "cifar-10-batches-py/", "cifar-10-batches-bin/")
_SHAPE = (3, 32, 32)
_KEYS = {"data", "labels", "batch_label", "filenames"}

Batches = tuple[np.ndarray, np.ndarray, str]


def find_in_folder(folder: Path) -> list[str] | None:
    """Find the batches with the published names in a folder, or in the folder inside it that an archive unpacks to.

    Returns and Raises: as `find`.
    """
    published = (f"{inside}{stem}{ending}" for inside in _FOLDERS for stem in _TRAINING + _TEST for ending in _ENDINGS)
    return find(name for name in published if os.path.isfile(folder / name))


def find(names: Iterable[str], wanted: str | None = None) -> list[str] | None:
    """Choose the batches to read among the files of a folder or archive.

    Args:
        names: paths of the files in it.
        wanted: path in it, or file name, of the only batch to read; None for the training set, or for the test set
            where it lies alone.

    Returns:
        paths in the order of the data set; None if there is no batch of CIFAR-10.

    Raises:
        DataError: some training batches are missing, there are several sets, or the wanted batch is absent.
    """
    sets: dict[tuple[str, str], dict[str, str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        stem, dot, ending = file.partition(".")
        if stem in _TRAINING + _TEST and dot + ending in _ENDINGS:
            sets.setdefault((folder, ending), {})[stem] = name
    if wanted is not None:
        return [_named(wanted, [name for found in sets.values() for name in found.values()])]
    if not sets:
        return None
    if len(sets) > 1:
        some = sorted(min(found.values()) for found in sets.values())
        raise DataError(
            f"holds CIFAR-10 {len(sets)} times ({', '.join(quoted(name) for name in some[:4])})",
            "the batches of one version in one folder",
            "give the folder or archive of one of them",
        )
    (found,) = sets.values()
    missing = [stem for stem in _TRAINING if stem not in found]
    if len(missing) == len(_TRAINING):
        return [found[_TEST[0]]]
    if missing:
        raise DataError(
            f"lacks {', '.join(missing)} of CIFAR-10",
            f"{_TRAINING[0]} to {_TRAINING[-1]} side by side",
            "download or unpack it again; one batch alone is read by giving its path",
        )
    return [found[stem] for stem in _TRAINING]


def _named(wanted: str, names: list[str]) -> str:
    fitting = [name for name in names if name == wanted or name.rpartition("/")[2] == wanted]
    if len(fitting) == 1:
        return fitting[0]
    close = difflib.get_close_matches(wanted, [*names, *(name.rpartition("/")[2] for name in names)], 1)
    if fitting:
        remedy = f"give the whole path of one, such as {quoted(fitting[0])}"
    else:
        remedy = f"did you mean {quoted(close[0])}?" if close else "give the archive, or the path of a batch in it"
    raise DataError(
        f"is in the archive {len(fitting)} times" if fitting else "is not a batch of CIFAR-10 in the archive",
        "the name of a batch, such as cifar-10-python.tar.gz/test_batch",
        remedy,
        member=wanted,
    )


def read_folder(folder: Path, names: list[str]) -> Batches:
    """Read batches that lie in a folder.

    Args:
        folder: folder that holds the batches.
        names: paths in it, as `find_in_folder` gives them.

    Returns:
        images uint8 (n, 3, 32, 32), labels int64 (n,), and a line that says what was read.

    Raises:
        DataError: a batch is damaged or not what it should be.
    """

    def read(name: str) -> bytes:
        with detect.open_file(folder / name, _wanted(name)) as handle:
            return read_whole(handle, name)

    return _collected(names, ((name, lambda name=name: read(name)) for name in names), "a folder")


def read_archive(handle: BinaryIO, kind: str, gzipped: bool, names: list[str]) -> Batches:
    """Read batches from an open archive, `names` of its members; otherwise as `read_folder`."""
    described = f"a {kind}{'.gz' if gzipped else ''} archive"
    return _collected(names, archives.members(handle, kind, gzipped, "batch"), described)


def read_batch(handle: BinaryIO, kind: str) -> Batches:
    """Read one open batch, a "pickle" or "records" as `detect.kind_of` says; otherwise as `read_folder`."""
    images, labels = _labelled(read_whole(handle, None), kind)
    return np.array(images, order="C"), labels.astype(np.int64), "a batch of CIFAR-10"


def read_whole(handle: BinaryIO, name: str | None) -> bytes:
    """Read an open batch, which may not be larger than MAX_BATCH_BYTES."""
    size = os.fstat(handle.fileno()).st_size
    archives.refuse_large(name, size, "batch")
    return handle.read(size)


def _collected(names: list[str], members: Iterable[tuple[str, Callable[[], bytes]]], described: str) -> Batches:
    """Read the members that `names` lists, each into its place in one array."""
    count = detect.BATCH_IMAGES
    place = {name: index for index, name in enumerate(names)}
    bounds.refuse_oversized(len(names) * count, _SHAPE, 1)
    images = np.empty((len(names) * count, *_SHAPE), np.uint8)
    labels = np.empty(len(images), np.int64)
    for name, read in members:
        if name not in place:
            continue
        start = place.pop(name) * count
        here = slice(start, start + count)
        try:  # no variable holds the batch, so that only one is in memory
            images[here], labels[here] = _labelled(read(), "records" if name.endswith(".bin") else "pickle")
        except DataError as error:
            error.member, error.path = name, None  # relative to what the user asked for
            raise
    if place:  # their places hold whatever was in memory
        raise DataError(
            "changed while it was read: a batch is gone",
            "data that does not change",
            "wait until nothing writes to it",
            member=min(place),
        )
    part = "training set" if len(names) == len(_TRAINING) else names[0].rpartition("/")[2]
    return images, labels, f"the {part} of CIFAR-10 from {described}"


def _wanted(name: str) -> str:
    return _records_wanted() if name.endswith(".bin") else WANTED


def _records_wanted() -> str:
    size = detect.BATCH_IMAGES * detect.RECORD_BYTES
    return f"{size:,} bytes, {detect.BATCH_IMAGES:,} records of {detect.RECORD_BYTES:,}, as a binary batch of CIFAR-10"


def _labelled(data: bytes, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the images, uint8 (BATCH_IMAGES, 3, 32, 32), and labels (BATCH_IMAGES,), of one batch."""
    pixels, labels = _of_records(data) if kind == "records" else _of_pickle(data)
    wrong = (labels < 0) | (labels >= detect.CLASSES)
    if wrong.any():
        where = int(wrong.argmax())
        raise DataError(f"labels its image {where:,} with {labels[where]}", f"labels 0 to {detect.CLASSES - 1}", AGAIN)
    return pixels.reshape(-1, *_SHAPE), labels


def _of_records(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    if len(data) != detect.BATCH_IMAGES * detect.RECORD_BYTES:
        raise DataError(f"holds {len(data):,} bytes", _records_wanted(), AGAIN)
    records = np.frombuffer(data, np.uint8).reshape(-1, detect.RECORD_BYTES)
    return records[:, 1:], records[:, 0]


def _of_pickle(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    found = read_pickle(data)
    if not {"data", "labels"} <= set(found) <= _KEYS:
        listed = ", ".join(quoted(name) for name in sorted(found)[:8]) or "nothing"
        raise DataError(
            f"is a pickled dictionary of {listed}",
            "a batch of CIFAR-10: 'data' and 'labels', and perhaps 'batch_label' and 'filenames'",
            "save another data set with numpy.savez(path, images=..., labels=...)",
        )
    pixels, labels = found["data"], found["labels"]
    shape, count = (detect.BATCH_IMAGES, detect.RECORD_BYTES - 1), detect.BATCH_IMAGES
    if not isinstance(pixels, Array) or pixels.shape != shape:
        held = f"of shape {pixels.shape}" if isinstance(pixels, Array) else "that is not an array"
        raise DataError(f"has 'data' {held}", f"a batch of CIFAR-10: uint8 {shape}", AGAIN)
    numbers = isinstance(labels, list) and all(type(label) is int for label in labels)
    if not numbers or len(labels) != count:
        held = f"of {len(labels):,} images" if numbers else "that are not a list of integers"
        raise DataError(f"has 'labels' {held}", f"a list of {count:,} integers", AGAIN)
    return pixels.values(), np.array(labels, np.int64)  # `pickles` refuses numbers of more than 64 bits
