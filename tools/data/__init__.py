"""Data sets, read into NumPy arrays: MNIST's IDX files, CIFAR-10, folders and archives of pictures, saved arrays.

    >>> from ganspec.tools import data
    >>> digits = data.load(data.embedded_digits(), shape=(1, 32, 32), fit="pad")
    >>> digits.images.shape, digits.labels.shape
    ((10000, 1, 32, 32), (10000,))

`detect` recognises what a path holds by its content. `idx`, `cifar` (with `pickles`), `arrays` or `pictures` (with
`decoders`, `archives`, `decoding` and `labelled`) read it within the limits of `bounds`, and `fitting` brings it to the wanted
shape. What does not fit into memory is kept in a `cache`. Scaling to a range, shuffling, mirroring and batches are left to the
caller. Pictures and fit="resize" need Pillow, everything else needs only NumPy. `download` fetches published data sets.
"""

from __future__ import annotations

import difflib
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganspec.spec.text.errors import counted, printable
from ganspec.tools.data import archives, arrays, bounds, cifar, detect, fitting, idx, pictures
from ganspec.tools.data.cache import Entry
from ganspec.tools.data.cache_request import Cache, MadeMeanwhile, Preview, Undecoded
from ganspec.tools.data.decoders import is_grey
from ganspec.tools.data.download import download
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.fingerprint import fingerprint as fingerprint_of

__all__ = ["Cache", "DataError", "Dataset", "NotCached", "download", "embedded_digits", "load"]

_BLOCK = 64  # images of an array that are fitted at a time, on their way into a cache


@dataclass(frozen=True, eq=False)  # == of arrays is an array: compare fingerprints
class Dataset:
    """Images in memory, ready to be drawn from.

    Args:
        images: uint8 0..255, or float32 0..1 where the source array was float; (n, channels, height, width), C order.
        labels: int64 (n,), class indices from 0, or None.
        source: line for the run's record that says what was read and how it was fitted.
        fingerprint: SHA-256 in hex over dtype, shape and bytes of images and labels. Two data sets with the same
            fingerprint are the same, wherever they are stored; a resumed run compares it.
        classes: names of the classes where folders were read as classes, else None; a label is the index of one.
    """

    images: np.ndarray
    labels: np.ndarray | None
    source: str
    fingerprint: str
    classes: tuple[str, ...] | None = None


class NotCached(Exception):
    """A cache that is looked at only does not hold the data; the message says what decoding them would take.

    Args:
        message: what would be written, where, and how long it would take.
        outline: the data set without a fingerprint, with one of its images in every place, and with its own labels and classes.
    """

    def __init__(self, message: str, outline: Dataset) -> None:
        super().__init__(message)
        self.outline = outline


def load(
    path: str | Path,
    *,
    shape: tuple[int, int, int],
    fit: str,
    skip_grey: bool = False,
    crop: str = "none",
    labels: int = 0,
    progress: bool = False,
    cache: Cache | None = None,
    jobs: int = 1,
) -> Dataset:
    """Read a data set and bring its images to one shape.

    Args:
        path: an IDX images file, gzipped or not (labels are found beside it by their conventional name); a folder of
            such files (train before t10k); CIFAR-10, either archive as downloaded, the folder it unpacks to (the
            training batches before the test batch), or one batch, named in a folder or archive (`cifar` says how);
            a folder of pictures at any depth; a tar, tar.gz or zip of pictures, such as `lfw-deepfunneled.tgz` as
            downloaded; a `.npz` or `.npy` array. The format is recognised by content, not by name.
        shape: wanted (channels, height, width). Grey is converted to colour, and colour to grey.
        fit: "exact", "pad" or "resize"; `tools.data.fitting` says how.
        skip_grey: whether images without colour (one channel, or three equal ones) are left out, as keras_BEGAN did
            with LFW. Only where three channels are wanted.
        crop: what is cut off before that: nothing, "none", or all but the centre, "centre"; `tools.data.fitting` says how.
        labels: number of classes that a folder or archive of pictures shall have, one folder for each; `tools.data.labelled`
            says how. With 0 folders mean nothing, and pictures have no labels. Other formats bring their labels in any case.
        progress: whether a bar is shown on stderr while pictures are decoded, if stderr is a terminal and it takes long.
        cache: where decoded images are kept on the disk if they are too large for memory, or in any case; None to read all
            into memory. The images of an entry are mapped into memory: what is not looked at is not read.
        jobs: number of processes that decode pictures, where that takes long. With more than one, the program that calls this
            must be importable (`if __name__ == "__main__":`), as `multiprocessing` demands.

    Returns:
        the data set. Pictures are sorted by their paths, everything else stays as stored (CIFAR-10 batch by batch).

    Raises:
        NotCached: the images would be put into the cache, which is to be looked at only.
        UserError: a process that decodes was ended from outside.
        DataError: the path cannot be read as requested; the message says what is wrong, where, and how to mend it. No
            other exception is raised because of what a file holds.
    """
    path = Path(path)
    file = path
    try:
        _refuse_request(shape, fit, crop, skip_grey)
        inside = None
        if os.path.isdir(path):
            file = idx.find_idx(path) or path
        elif not os.path.lexists(path):
            file, inside = _split(path)
        wanted = fitting.Wanted(tuple(shape), fit, skip_grey, progress, crop, labels, jobs)
        found, fingerprint = _read_or_map(file, inside, wanted, cache)
    except Undecoded as missing:
        raise NotCached(str(missing), _dataset(file, missing.outline, wanted, "")) from None
    except DataError as error:
        error.path = error.path or file
        raise
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror or error})", "a readable file", "check the disk it is on", path=file
        ) from error
    except MemoryError as error:
        raise DataError(
            "does not fit into memory", "a data set that fits", "ask for smaller images, or take a part", path=file
        ) from error
    return _dataset(file, found, wanted, fingerprint)


def embedded_digits() -> Path:
    """The folder of the packaged MNIST test digits: 10,000 images 1x28x28 with labels, to try things with."""
    return Path(__file__).parent / "digits"


def _dataset(file: Path, found: fitting.FittedImages, wanted: fitting.Wanted, fingerprint: str) -> Dataset:
    images, labels, described, classes = found
    result = f"{counted(len(images), 'image')} {bounds.format_sizes(images.shape[1:])} {images.dtype}, fit {wanted.fit}"
    if wanted.crop != "none":
        result += f", crop {wanted.crop}"
    return Dataset(images, labels, f"{printable(str(file))}: {described}; {result}", fingerprint, classes)


def _read_or_map(
    file: Path, inside: str | None, wanted: fitting.Wanted, cache: Cache | None
) -> tuple[fitting.FittedImages, str]:
    """Read images as wanted, or map those that a cache holds; return them and their fingerprint."""
    if cache is None:
        found = _read(file, inside, wanted, None)
        return found, fingerprint_of(found.images, found.labels)
    beside = idx.labels_beside(file)
    with Entry(cache, file, inside, [beside] if beside else [], wanted) as entry:
        if (kept := entry.read()) is not None:
            return kept
        try:
            found = _read(file, inside, wanted, entry)
        except MadeMeanwhile as made:
            return made.found, made.fingerprint
        return found, entry.publish(found)


def _split(path: Path) -> tuple[Path, str | None]:
    """Split a path that leads into an archive into the archive and the member; other paths have no member, None."""
    parent = next((parent for parent in path.parents if os.path.lexists(parent)), path)
    if os.path.isfile(parent):
        try:
            with detect.open_file(parent) as handle:
                kind, _ = detect.kind_of(handle)
                if kind == "tar" or (kind == "zip" and not archives.is_npz(handle)):
                    return parent, path.relative_to(parent).as_posix()
        except DataError:  # it is not an archive, so nothing lies inside it
            pass
    return path, None


def _read(path: Path, inside: str | None, wanted: fitting.Wanted, entry: Entry | None) -> fitting.FittedImages:
    if os.path.isdir(path):
        batches = cifar.find_in_folder(path)
        if batches is None:
            return pictures.read_folder(path, wanted, entry)
        return _fitted(*cifar.read_folder(path, batches), wanted, entry)
    with detect.open_file(path) as handle:
        kind, gzipped = detect.kind_of(handle)
        if kind in ("pickle", "records"):
            images, labels, described = cifar.read_batch(handle, kind)
        elif kind == "idx":
            images, labels, described = idx.read_idx(path, handle, gzipped)
        elif kind == "npy":
            images, labels, described = arrays.read_npy(handle, wanted.shape, mapped=entry is not None)
        elif kind == "zip" and archives.is_npz(handle):
            images, labels, described = arrays.read_npz(handle, wanted.shape)
        else:
            folders: set[str] = set()
            names = [name for name, _ in archives.members(handle, kind, gzipped, folders=folders)]
            batches = cifar.find(names, inside)
            if batches is None:  # pictures differ in size, so each is fitted as it is read
                return pictures.read_archive(handle, kind, gzipped, names, folders, wanted, entry)
            images, labels, described = cifar.read_archive(handle, kind, gzipped, batches)
    return _fitted(images, labels, described, wanted, entry)


def _fitted(
    images: np.ndarray, labels: np.ndarray | None, described: str, wanted: fitting.Wanted, entry: Entry | None
) -> fitting.FittedImages:
    kept = ~is_grey(images) if wanted.skip_grey else np.ones(len(images), bool)
    if wanted.skip_grey:
        labels, described = pictures.without_grey(kept, labels, described)
    outline = fitting.FittedImages(images, labels, described)
    dtype = np.dtype(np.uint8 if images.dtype == np.uint8 else np.float32)
    if entry is not None and entry.holds(int(kept.sum()) * math.prod(wanted.shape) * dtype.itemsize):
        return outline._replace(images=_into_cache(outline, np.flatnonzero(kept), dtype, wanted, entry))
    images = arrays.as_plain(images if kept.all() else images[kept])
    return outline._replace(images=fitting.fitted(images, wanted.shape, wanted.fit, wanted.crop))


def _into_cache(
    found: fitting.FittedImages, kept: np.ndarray, dtype: np.dtype, wanted: fitting.Wanted, entry: Entry
) -> np.ndarray:
    """Fit the images at the places `kept`, some at a time, into a cache's file."""

    def some(start: int) -> np.ndarray:
        block = arrays.as_plain(found.images[kept[start : start + _BLOCK]])
        return fitting.fitted(block, wanted.shape, wanted.fit, wanted.crop)

    def preview() -> Preview:
        start = time.perf_counter()
        block = some(0)
        return Preview(block[0], (time.perf_counter() - start) / len(block), len(block))

    fitting.refuse_misfit(found.images.shape[1:], wanted.shape, wanted.fit, wanted.crop)
    target = entry.begin(found, len(kept), dtype, preview)
    for start in range(0, len(kept), _BLOCK):
        target.put(start, some(start))
    return target.finish()


def _refuse_request(shape: tuple[int, int, int], fit: str, crop: str, skip_grey: bool) -> None:
    if len(shape) != 3 or any(not isinstance(size, int) or size < 1 for size in shape):
        raise DataError(
            f"cannot be read as {shape!r}", "shape: (channels, height, width), integers from 1", "correct the shape"
        )
    for name, given, valid in (("fit", fit, fitting.FITS), ("crop", crop, fitting.CROPS)):
        if given not in valid:
            close = difflib.get_close_matches(str(given), valid, 1)
            remedy = f"did you mean {close[0]!r}?" if close else "choose one of them"
            verb = "fitted" if name == "fit" else "cropped"
            raise DataError(f"cannot be {verb} by {given!r}", f"{name}: one of {', '.join(valid)}", remedy)
    if skip_grey and shape[0] != 3:
        raise DataError(
            f"cannot be read as {bounds.format_sizes(shape)} without its grey images",
            "skip_grey where three channels are wanted",
            "leave skip_grey out",
        )
