"""Whether a source of data is still what it was, by what the file system says of its files, without reading them.

Of each file count its name, its size, its two times of change, and its number in the file system (inode). The time of the
content (mtime) can be set back; the other one (ctime) is set by the system whenever the content or mtime changes, and cannot be.
A new file, even with the content's old time and size, has a number and a ctime of its own.

Not seen: a change in the same tick of the system's clock (some milliseconds) as the look before it; one made while that clock
was set back, or past the file system; and, where a file system keeps no ctime (Windows: it is the time of creation), one in place
whose mtime was set back. Seen, though the data stay the same: a change of permissions, owner, name or number of links, which sets
ctime.
"""

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

    Returns: a digest in hexadecimal of all names, sizes, times of change and numbers.
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
    return f"{name}\0{size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\0{status.st_ino}\n"
