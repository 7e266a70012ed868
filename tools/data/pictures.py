"""Pictures: folders and archives of JPEG, PNG, BMP, PPM and WebP files.

A picture is a file with one of the endings below whose name is not hidden; everything else is passed over and counted.
A picture that cannot be used is never skipped, for a data set that silently shrinks is another data set: all are read, and
the first of the bad ones are listed. `decoders` decodes them, in several processes where that is worth it, and brings them to the
wanted shape; they are kept in memory or in a `cache`.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganspec.spec.text.errors import counted
from ganspec.tools.data import archives, bounds
from ganspec.tools.data.array_files import ArrayFile
from ganspec.tools.data.cache import Entry
from ganspec.tools.data.cache_request import Preview
from ganspec.tools.data.decoders import FittedPicture, Source, fit_all, fit_one
from ganspec.tools.data.errors import BadMembers, DataError
from ganspec.tools.data.fitting import FittedImages, Wanted, pillow
from ganspec.tools.data.labelled import classes_of

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp")
_PREVIEWED = 25  # pictures decoded before it is said how long all will take
_SHOW_AFTER = 2  # seconds before a progress bar appears


def read_folder(folder: Path, wanted: Wanted, entry: Entry | None) -> FittedImages:
    """Read all pictures below a folder, sorted by their paths.

    Args:
        folder: folder, searched to every depth; links to files are followed, links to folders refused (they can loop).
        wanted: shape and kind of the images.
        entry: place in a cache that may hold them; None without a cache.

    Returns:
        images uint8 (n, *shape), labels where folders are classes (else None), a line that says what was read, and the classes.

    Raises:
        DataError: pictures do not decode or fit, there is none, or folders are not the classes wanted. Up to ten are listed.
    """
    names, passed_over = [], 0
    folders: set[str] = set()
    for name in _files_below(folder, folders):
        if _is_picture(name):
            names.append(name)
        else:
            passed_over += 1
        if len(names) + passed_over > bounds.MAX_MEMBERS:
            raise DataError(
                f"holds more than {bounds.MAX_MEMBERS:,} files",
                "a folder within MAX_MEMBERS of tools/data/bounds.py",
                "give the folder that holds the pictures alone",
            )

    def walk(step: int) -> Iterator[tuple[str, Source]]:
        return ((name, folder / name) for name in sorted(names)[::step])

    return _collected(names, passed_over, folders, walk, "a folder", wanted, entry)


def read_archive(
    handle: BinaryIO,
    kind: str,
    gzipped: bool,
    all_names: list[str],
    folders: set[str],
    wanted: Wanted,
    entry: Entry | None,
) -> FittedImages:
    """Read all pictures of an open archive, sorted by their paths; otherwise as `read_folder`.

    `all_names` and `folders` are the names of all its files and folders, from a walk that judged every one before the first is
    decoded.
    """
    names = [name for name in all_names if _is_picture(name)]
    described = f"a {kind}{'.gz' if gzipped else ''} archive"

    def walk(_step: int) -> Iterator[tuple[str, Source]]:
        return archives.members(handle, kind, gzipped)

    return _collected(names, len(all_names) - len(names), folders, walk, described, wanted, entry)


def is_hidden(name: str) -> bool:
    """Returns: whether a path has a part that begins with a dot, or is the "__MACOSX" that macOS adds to archives."""
    parts = name.split("/")
    return any(part.startswith(".") and part != "." for part in parts) or "__MACOSX" in parts


def _is_picture(name: str) -> bool:
    return not is_hidden(name) and name.lower().endswith(_ENDINGS)


def _files_below(folder: Path, seen: set[str]) -> Iterator[str]:
    """Yields: the path of each file; adds those of the folders to `seen`."""

    def refuse(error: OSError) -> None:
        raise DataError(
            f"cannot be searched ({error.strerror or error})",
            "a folder that you may read",
            "check its permissions",
            member=None if error.filename is None else os.path.relpath(error.filename, folder),
        ) from error

    for root, folders, files in os.walk(folder, onerror=refuse):  # without onerror, an unreadable folder looks empty
        for name in folders:
            if os.path.islink(os.path.join(root, name)):
                raise DataError(
                    "is a link to a folder",
                    "folders and files",
                    "give the folder it points to, or copy it here",
                    member=Path(root, name).relative_to(folder).as_posix(),
                )
            seen.add(Path(root, name).relative_to(folder).as_posix())
        for name in files:
            yield Path(root, name).relative_to(folder).as_posix()


def _collected(
    names: list[str],
    passed_over: int,
    folders: set[str],
    walk: Callable[[int], Iterable[tuple[str, Source]]],
    described: str,
    wanted: Wanted,
    entry: Entry | None,
) -> FittedImages:
    """Decode the pictures that `names` lists, each into its place in one array sorted by name.

    `walk(step)` goes over files of the folder or archive, in any order, from the beginning whenever it is called; over every
    step-th only, where it can leave out others without reading them.
    """
    others = f" and {counted(passed_over, 'other file')}" if passed_over else ""
    if not names:
        raise DataError(
            f"holds no pictures{others.replace(' and', ', but')}",
            f"files ending in {', '.join(_ENDINGS)}",
            "give the folder or archive that holds the pictures",
        )
    described = f"{described} of {counted(len(names), 'picture')}{others}"
    labels, classes = None, None
    if wanted.labels:
        labels, classes = classes_of(sorted(names), (name for name in folders if not is_hidden(name)), wanted.labels)
        described += f", {len(classes):,} {'class' if len(classes) == 1 else 'classes'} by folder"
    pillow()  # if it is missing, say so once and not for each picture
    place = {name: index for index, name in enumerate(sorted(names))}

    def listed(step: int) -> Iterator[tuple[str, Source]]:
        return ((name, source) for name, source in walk(step) if name in place)

    # Images go into memory, or into the cache.
    target: np.ndarray | ArrayFile
    if entry is not None and entry.holds(len(names) * math.prod(wanted.shape)):
        outline = FittedImages(np.empty(0), labels, described, classes)
        target = entry.begin(
            outline, len(names), np.dtype(np.uint8), lambda: _preview(listed(max(1, len(names) // _PREVIEWED)), wanted)
        )
        put = target.put
    else:
        bounds.refuse_oversized(len(names), wanted.shape, 1)
        target = np.empty((len(names), *wanted.shape), np.uint8)
        put = target.__setitem__
    kept = np.ones(len(names), bool)
    bad = BadMembers()
    done = fit_all(listed(1), len(names), wanted)
    for name, image, problem in _with_bar(done, len(names)) if wanted.progress else done:
        index = place.pop(name)
        if problem is not None:
            bad.add(name, DataError(*problem))
        elif image is None:
            kept[index] = False
        else:
            put(index, image)
    bad.refuse(f"of {counted(len(names), 'picture')}")
    if place:  # their places hold whatever was in memory
        raise DataError(
            "changed while it was read: a picture is gone",
            "data that does not change",
            "wait until nothing writes to it",
            member=min(place),
        )
    if wanted.skip_grey:
        labels, described = without_grey(kept, labels, described)
    if isinstance(target, ArrayFile):
        target.keep(kept)
        images = target.finish()
    else:
        images = target if kept.all() else target[kept]
    return FittedImages(images, labels, described, classes)


def without_grey(kept: np.ndarray, labels: np.ndarray | None, described: str) -> tuple[np.ndarray | None, str]:
    """Leave out what belongs to grey images.

    Args:
        kept: bool (n,), false where an image is grey.
        labels: labels (n,), or None.
        described: line that says what was read.

    Returns: the labels of the others, and a line that also says how many are left out.

    Raises:
        DataError: none is left.
    """
    if not kept.any():
        raise DataError("holds grey images only", "images in colour", "leave skip_grey out, or use other images")
    described += f", {counted(int(len(kept) - kept.sum()), 'grey one')} skipped"
    return None if labels is None else labels[kept], described


def _preview(pictures: Iterable[tuple[str, Source]], wanted: Wanted) -> Preview:
    """Decode some pictures. The first one is not timed where there are others: it brings imports."""
    image, measured = np.zeros(wanted.shape, np.uint8), 0
    begun = start = time.perf_counter()
    for measured, (name, source) in enumerate(itertools.islice(pictures, _PREVIEWED), 1):
        found = fit_one(name, source, wanted).image
        image = image if found is None else found
        start = time.perf_counter() if measured == 1 else start
    timed = max(1, measured - 1)
    return Preview(image, (time.perf_counter() - (start if measured > 1 else begun)) / timed, timed)


def _with_bar(items: Iterable[FittedPicture], total: int) -> Iterable[FittedPicture]:
    if not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:  # the bar is optional
        return items
    return tqdm(items, total=total, desc="reading pictures", unit="", delay=_SHOW_AFTER, leave=False)
