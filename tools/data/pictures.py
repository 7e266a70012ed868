"""Pictures: folders and archives of JPEG, PNG, BMP, PPM and WebP files.

A picture is a file with one of the endings below whose name is not hidden; everything else is passed over and counted.
A picture that cannot be used is never skipped, for a data set that silently shrinks is another data set: all are read, and
the first of the bad ones are listed. `decoding` decodes one picture, `fitting` brings it to the wanted shape.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganspec.spec.text.errors import counted
from ganspec.tools.data import archives, bounds
from ganspec.tools.data.decoding import decoded
from ganspec.tools.data.detect import open_file
from ganspec.tools.data.errors import BadMembers, DataError
from ganspec.tools.data.fitting import FittedImages, Wanted, fitted, pillow
from ganspec.tools.data.labelled import classes_of

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp")
_SHOW_AFTER = 2  # seconds before a progress bar appears


def read_folder(folder: Path, wanted: Wanted) -> FittedImages:
    """Read all pictures below a folder, sorted by their paths.

    Args:
        folder: folder, searched to every depth; links to files are followed, links to folders refused (they can loop).
        wanted: shape and kind of the images.

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
    members = ((name, lambda name=name: _read_file(folder / name)) for name in sorted(names))
    return _collected(names, passed_over, folders, members, "a folder", wanted)


def read_archive(
    handle: BinaryIO, kind: str, gzipped: bool, all_names: list[str], folders: set[str], wanted: Wanted
) -> FittedImages:
    """Read all pictures of an open archive, sorted by their paths; otherwise as `read_folder`.

    `all_names` and `folders` are the names of all its files and folders, from a walk that judged every one before the first is
    decoded.
    """
    names = [name for name in all_names if _is_picture(name)]
    described = f"a {kind}{'.gz' if gzipped else ''} archive"
    members = archives.members(handle, kind, gzipped)
    return _collected(names, len(all_names) - len(names), folders, members, described, wanted)


def is_grey(images: np.ndarray) -> np.ndarray:
    """Which images (n, c, height, width) have no colour: one channel, or three equal ones. Returns bool (n,)."""
    if images.shape[1] != 3:
        return np.full(len(images), images.shape[1] == 1)
    return np.array([np.array_equal(red, green) and np.array_equal(green, blue) for red, green, blue in images], bool)


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


def _read_file(path: Path) -> bytes:
    try:
        with open_file(path, "a picture") as handle:
            size = os.fstat(handle.fileno()).st_size
            archives.refuse_large(path.name, size)
            return handle.read(size)
    except OSError as error:
        raise DataError(f"cannot be read ({error})", "a readable file", "check the disk it is on") from error


def _collected(
    names: list[str],
    passed_over: int,
    folders: set[str],
    members: Iterable[archives.Member],
    described: str,
    wanted: Wanted,
) -> FittedImages:
    """Decode the members that `names` lists, each into its place in one array sorted by name."""
    others = f" and {counted(passed_over, 'other file')}" if passed_over else ""
    if not names:
        raise DataError(
            f"holds no pictures{others.replace(' and', ', but')}",
            f"files ending in {', '.join(_ENDINGS)}",
            "give the folder or archive that holds the pictures",
        )
    labels, classes = None, None
    if wanted.labels:
        labels, classes = classes_of(sorted(names), (name for name in folders if not is_hidden(name)), wanted.labels)
    pillow()  # if it is missing, say so once and not for each picture
    bounds.refuse_oversized(len(names), wanted.shape, 1)
    place = {name: index for index, name in enumerate(sorted(names))}
    images = np.empty((len(names), *wanted.shape), np.uint8)
    kept = np.ones(len(names), bool)
    bad = BadMembers()
    listed = ((name, read) for name, read in members if name in place)
    for name, read in _with_bar(listed, len(names)) if wanted.progress else listed:
        index = place.pop(name)
        try:
            picture = decoded(read(), wanted)[np.newaxis]
            if wanted.skip_grey and is_grey(picture)[0]:
                kept[index] = False
            else:
                images[index] = fitted(picture, wanted.shape, wanted.fit, wanted.crop)[0]
        except DataError as error:
            bad.add(name, error)
    bad.refuse(f"of {counted(len(names), 'picture')}")
    if place:  # their places hold whatever was in memory
        raise DataError(
            "changed while it was read: a picture is gone",
            "data that does not change",
            "wait until nothing writes to it",
            member=min(place),
        )
    described = f"{described} of {counted(len(names), 'picture')}{others}"
    if classes is not None:
        described += f", {len(classes):,} {'class' if len(classes) == 1 else 'classes'} by folder"
    if wanted.skip_grey:
        images, labels, described = select(kept, images, labels, described)
    return FittedImages(images, labels, described, classes)


def select(
    kept: np.ndarray, images: np.ndarray, labels: np.ndarray | None, described: str
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Skip the grey images of a data set: keep those where `kept` (bool (n,)) is true, and say so in `described`."""
    if not kept.any():
        raise DataError("holds grey images only", "images in colour", "leave skip_grey out, or use other images")
    described += f", {counted(int(len(kept) - kept.sum()), 'grey one')} skipped"
    if kept.all():
        return images, labels, described
    return images[kept], None if labels is None else labels[kept], described


def _with_bar(items: Iterable[archives.Member], total: int) -> Iterable[archives.Member]:
    if not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:  # the bar is optional
        return items
    return tqdm(items, total=total, desc="reading pictures", unit="", delay=_SHOW_AFTER, leave=False)
