"""Fetch a published data set: resumable, no larger than it should be, and kept only if its checksums are right.

`catalogue` lists the data sets and their addresses, `transfer` does one transfer. A file is written as NAME.part, which
survives whatever happens (Ctrl-C, a dead network, a full disk) and is continued the next time. It gets its own name only
when size and checksums are right, so a file of that name is always whole.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ganspec.tools.data.catalogue import CATALOGUE, Published
from ganspec.tools.data.detect import refuse_special
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.transfer import Unavailable, complete, note_path, unwritable

_CHUNK = 2**20


def download(name: str, folder: str | Path | None = None, *, progress: bool = False) -> Path:
    """Fetch a data set, unless it has been fetched before.

    Args:
        name: key of `catalogue.CATALOGUE`: mnist, cifar10, cifar10-binary or lfw.
        folder: folder that keeps data sets, made if necessary; `cache_folder()` by default. The files go into its
            sub-folder `name`.
        progress: whether a bar is shown for each file on stderr, if stderr is a terminal.

    Returns:
        the path for `load`: a file, or the folder of MNIST's four files. Existing files are compared with their
        checksums and need no network.

    Raises:
        DataError: the name is unknown, no address gives the file, its checksum is wrong (then the file is deleted), or
            it cannot be written. A part of a file is kept, and the next call continues it.
    """
    if name not in CATALOGUE:
        close = difflib.get_close_matches(name, CATALOGUE, 1)
        raise DataError(
            f"{name!r} is not a data set that can be downloaded",
            f"one of {', '.join(CATALOGUE)}",
            f"did you mean {close[0]!r}?" if close else "choose one of them, or download it yourself and give its path",
        )
    known = CATALOGUE[name]
    target = (cache_folder() if folder is None else Path(folder)) / name
    for file in known.files:
        download_file(file, target, progress=progress)
    return target / known.read if known.read else target


def download_file(file: Published, folder: Path, *, progress: bool = False) -> Path:
    """Fetch one published file, unless it has been fetched before, as `download` does.

    Args:
        file: file to fetch.
        folder: folder into which it goes, made if necessary.
        progress: whether a bar is shown.

    Returns: the path of the file.

    Raises:
        DataError: as `download` raises it.
    """
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file.name
        with _bar(file, progress) as report:
            _fetch(file, path, report)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def cache_folder() -> Path:
    """The folder of data sets by default: ganspec in $XDG_CACHE_HOME, or in ~/.cache where that is not set.

    Source: XDG Base Directory Specification 0.8, by which relative paths are ignored.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "ganspec"
    except RuntimeError as error:  # no home
        raise DataError("the home folder is unknown", "HOME or XDG_CACHE_HOME to be set", "give a folder") from error


def _fetch(file: Published, path: Path, report: Callable[[int], None]) -> None:
    """Make `path` the published file; the first address that gives it is used."""
    part_path = path.with_name(f"{path.name}.part")
    for given in (path, part_path, note_path(part_path)):
        with suppress(FileNotFoundError):
            refuse_special(given, os.stat(given), _described(file), "move it away, then download again")
    if os.path.lexists(path):
        _refuse_other(file, path)
        return
    with _opened(part_path) as part:
        reasons = _fetch_part(file, part, part_path, report)
        kept = part.seek(0, 2)
    if reasons is not None:
        if not kept:
            _forget(part_path, part_path)
        again = f" (it continues after the {kept:,} bytes that have arrived)" if kept else ""
        raise DataError(
            f"cannot be downloaded: {'; '.join(reasons)}",
            _described(file),
            f"check the connection, then download again{again}, or put the file there yourself",
            path=path,
        )
    try:
        os.replace(part_path, path)
    except FileNotFoundError:
        if not os.path.exists(path):  # otherwise another process has finished first
            raise
    _forget(part_path)


def _fetch_part(file: Published, part: BinaryIO, path: Path, report: Callable[[int], None]) -> list[str] | None:
    """Make the open `part` the published file. Returns None, or the reasons why no address gave it."""
    reasons = []
    for url in file.urls:
        for _ in range(2):  # a wrong file that an earlier run began is begun again, once
            begun = part.seek(0, 2)
            if begun > file.size:
                begun = part.truncate(0)
            _refuse_small_disk(path, file.size - begun)
            try:
                complete(part, path, url, file.size, report)
            except Unavailable as error:
                reasons.append(f"{url} {error}")
                break
            wrong = _wrong(file, part)
            if wrong is None:
                os.fsync(part.fileno())
                return None
            part.truncate(0)
            if not begun:
                reasons.append(f"{url} gave another file ({wrong}), which was deleted")
                break
    return reasons


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open the partial file, and keep other processes from it until it is closed."""
    with open(path, "a+b", buffering=0) as part:
        try:
            import fcntl
        except ImportError:  # Windows: two downloads at once spoil each other, which the checksum shows
            yield part
            return
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have finished it and given it its name meanwhile.
            free = os.path.samestat(os.fstat(part.fileno()), os.stat(path))
        except OSError:
            free = False
        if not free:
            raise DataError(
                "is being downloaded by another process",
                "one download of it at a time",
                "wait until it is finished",
                path=path,
            )
        yield part


def _refuse_other(file: Published, path: Path) -> None:
    """Raise `DataError` unless an existing file is the published one."""
    try:
        with open(path, "rb") as handle:
            wrong = _wrong(file, handle)
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror or error})",
            _described(file),
            "move it away, or check its permissions",
            path=path,
        ) from error
    if wrong is not None:
        raise DataError(
            f"exists, and is not the published file ({wrong})",
            _described(file),
            "move it away, then download again",
            path=path,
        )


def _refuse_small_disk(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise DataError(
            f"does not fit on its disk, which has {free:,} bytes free",
            f"{needed:,} bytes",
            "make room or choose another folder, then download again: what has arrived is kept",
            path=path,
        )


def _wrong(file: Published, handle: BinaryIO) -> str | None:
    """Say how an open file differs from the published one; None if it does not."""
    size = handle.seek(0, 2)
    if size != file.size:
        return f"{size:,} bytes"
    handle.seek(0)
    digests = {}
    if file.md5 is not None:
        digests["MD5"] = (hashlib.md5(usedforsecurity=False), file.md5)
    if file.sha256 is not None:
        digests["SHA-256"] = (hashlib.sha256(), file.sha256)
    while piece := handle.read(_CHUNK):
        for digest, _ in digests.values():
            digest.update(piece)
    for name, (digest, expected) in digests.items():
        if digest.hexdigest() != expected:
            return f"{name} {digest.hexdigest()}"
    return None


def _described(file: Published) -> str:
    checksum = f"MD5 {file.md5}" if file.md5 is not None else f"SHA-256 {file.sha256}"
    return f"{file.size:,} bytes with {checksum}"


def _forget(path: Path, *others: Path) -> None:
    for gone in (note_path(path), *others):
        gone.unlink(missing_ok=True)


@contextmanager
def _bar(file: Published, progress: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar. The function that it gives is called with the number of bytes that have arrived."""
    try:
        from tqdm import tqdm
    except ImportError:  # the bar is optional
        progress = False
    if not progress or not sys.stderr.isatty():
        yield lambda have: None
        return
    with tqdm(total=file.size, desc=file.name, unit="B", unit_scale=True, delay=1, leave=False) as bar:
        yield lambda have: bar.update(have - bar.n)  # it moves backwards where a download begins again
