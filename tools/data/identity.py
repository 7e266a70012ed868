"""Whether a source of data is still what it was: sizes and times of change, without reading it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganspec.tools.data import bounds


def identity(paths: Iterable[Path]) -> str:
    """Describe files and folders.

    Args:
        paths: paths of files, and of folders, of which every file at whatever depth counts.

    Returns: a digest in hexadecimal of all names, sizes and times of change.
    """
    digest = hashlib.sha256()
    for path in paths:
        for line in _lines(path):
            digest.update(os.fsencode(line))
    return digest.hexdigest()


def _lines(path: Path) -> Iterator[str]:
    if not os.path.isdir(path):
        yield _line("", path)
        return
    count = 0
    for root, folders, files in os.walk(path):
        folders.sort()
        for name in sorted([*files, *folders]):
            full = os.path.join(root, name)
            yield _line(os.path.relpath(full, path), full)
            count += 1
        if count > 2 * bounds.MAX_MEMBERS:  # the reader refuses it
            return


def _line(name: str, path: str | Path) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # the reader says so
        return f"{name}\0gone\n"
    size = 0 if os.path.isdir(path) else status.st_size
    return f"{name}\0{size}\0{status.st_mtime_ns}\n"
