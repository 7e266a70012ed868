"""What a path holds, recognised by its first bytes and not by its name.

`idx`, `cifar`, `arrays` and `pictures` read it. A new format is one more line in `_recognised`.
"""

from __future__ import annotations

import difflib
import gzip
import os
import re
import stat
import tarfile
from pathlib import Path
from typing import BinaryIO

from ganspec.spec.text.errors import printable
from ganspec.tools.data.errors import DataError, damage_reported

_HEAD = 512  # bytes looked at: one tar header
BATCH_IMAGES, RECORD_BYTES, CLASSES = 10_000, 3073, 10  # of CIFAR-10, see `cifar`
_SPECIAL = {
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}  # fmt: skip
_IDX_TYPES = (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)

ACCEPTED = (
    "an IDX images file (gzipped or not), CIFAR-10 as published (archive, folder or batch), "
    "a folder or a tar, tar.gz or zip of pictures, or a .npz or .npy array"
)

_PICTURE = "a single picture", "put the pictures into one folder and give the folder"
_UNPACK = "{}, which is not read", "unpack it and give the folder or file inside"
_NOT_DATA: tuple[tuple[bytes, tuple[str, str]], ...] = (
    (b"\x89PNG\r\n", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"RIFF", _PICTURE),
    (b"BM", _PICTURE),
    (b"BZh", (_UNPACK[0].format("compressed with bzip2"), _UNPACK[1])),
    (b"\xfd7zXZ\x00", (_UNPACK[0].format("compressed with xz"), _UNPACK[1])),
    (b"\x28\xb5\x2f\xfd", (_UNPACK[0].format("compressed with zstd"), _UNPACK[1])),
    (b"7z\xbc\xaf", (_UNPACK[0].format("a 7z archive"), _UNPACK[1])),
    (b"version https://git-lfs", ("a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`")),
)


def open_file(path: Path, expected: str = ACCEPTED) -> BinaryIO:
    """Open a regular, non-empty file for reading.

    Args:
        path: path of the file.
        expected: text for the messages that says what should be there.

    Returns:
        the open file.

    Raises:
        DataError: the file is missing (the nearest name is suggested), not a regular file, empty or unreadable.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise DataError("does not exist", expected, _nearest(path), path=path) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    refuse_special(path, status, expected, "copy the data into a file")
    if status.st_size == 0:
        raise DataError("is empty", expected, "download or copy it again", path=path)
    try:
        return open(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def refuse_special(path: Path, status: os.stat_result, expected: str, remedy: str) -> None:
    """Raise `DataError` unless a path is a regular file.

    To be called before opening: a named pipe is opened only when somebody writes to it, and /dev/zero has no end.
    """
    if not stat.S_ISREG(status.st_mode):
        kind = _SPECIAL.get(stat.S_IFMT(status.st_mode), "something else")
        raise DataError(f"is {kind}, not a regular file", expected, remedy, path=path)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot be read ({error.strerror or error})",
        "a file that you may read",
        "check its permissions and the disk it is on",
        path=path,
    )


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError):
        names = []
    close = difflib.get_close_matches(path.name, names, 1)
    return f"did you mean {printable(str(path.parent / close[0]))}?" if close else "check the path"


def kind_of(handle: BinaryIO, expected: str = ACCEPTED) -> tuple[str, bool]:
    """Recognise what an open file holds, and rewind it.

    Args:
        handle: open file, at its start.
        expected: text for the messages that says what should be there.

    Returns:
        one of "idx", "tar", "zip", "npy", "pickle" or "records" (a binary batch of CIFAR-10), and whether it is
        compressed with gzip.

    Raises:
        DataError: it is none of these. The message names what it is, where that is known.
    """
    head = handle.read(_HEAD)
    handle.seek(0)
    gzipped = head.startswith(b"\x1f\x8b")
    if gzipped:
        with damage_reported("a gzip file"):
            head = gzip.GzipFile(fileobj=handle).read(_HEAD)
        handle.seek(0)
    kind = _recognised(head)
    if kind is None and not gzipped and _is_records(head, handle):
        kind = "records"
    if kind is None or (gzipped and kind in ("zip", "npy", "pickle")):
        raise _unknown(head, gzipped, kind, expected)
    return kind, gzipped


def _recognised(head: bytes) -> str | None:
    if len(head) >= 4 and head[:2] == b"\0\0" and head[2] in _IDX_TYPES and 1 <= head[3] <= 8:
        return "idx"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "tar" if len(head) == _HEAD and _is_tar_header(head) else None


def _is_records(head: bytes, handle: BinaryIO) -> bool:
    """Whether a file of no other format holds records: it begins with a label, and has the size or the name of a batch."""
    if head[0] >= CLASSES:
        return False
    as_many = os.fstat(handle.fileno()).st_size == BATCH_IMAGES * RECORD_BYTES
    return as_many or re.fullmatch(r"(data_batch_[1-5]|test_batch)\.bin", os.path.basename(handle.name)) is not None


def _is_tar_header(block: bytes) -> bool:
    try:  # old tars lack the word "ustar", but all have a checksum
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError):
        return block[257:262] == b"ustar"  # then the tar reader says how it is damaged
    return True


def _unknown(head: bytes, gzipped: bool, kind: str | None, expected: str) -> DataError:
    inside = "is gzipped, and inside it " if gzipped else ""
    if kind is not None:
        return DataError(f"is a gzipped {kind} file", expected, "unpack it with gunzip")
    if not head:
        return DataError(f"{inside}is empty", expected, "download or copy it again")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return DataError(
            f"{inside}is a web page or other markup, not data",
            expected,
            "the server answered the download with a page: read it to see why, then download again",
        )
    for magic, (what, remedy) in _NOT_DATA:
        if head.startswith(magic):
            return DataError(f"{inside}is {what}", expected, remedy)
    start = " ".join(f"{byte:02x}" for byte in head[:8])
    return DataError(f"{inside}is not a known data format (it begins with {start})", expected, "check what it is")
