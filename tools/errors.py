"""What the programs say of a user's mistake: one message, no traceback, an exit code that scripts can use."""

from __future__ import annotations

import contextlib
import errno
import shlex
import sys
from pathlib import Path

from ganspec.spec.text.errors import printable

AGREED = 0
DISAGREED = 1  # crosscheck: the backends differ, or training diverged in both
FAILED = 2  # could not run: a wrong spec, data, option, device or folder
STOPPED = 3  # training stopped itself: a value is not finite
INTERRUPTED = 130  # Ctrl-C, as shells count it

# How a failed write is mended, by its error number; "{choose}" is "choose another --out DIR" or the like.
_FREE_SPACE = "free some space there, or {choose}"
_PERMISSION = "get the permission to write there, or {choose}"
_NOT_A_FOLDER = "a part of that path is a file, or a link that leads nowhere: {choose}"
_WRITE_REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: "files there may not become so large: {choose}",
    errno.EROFS: "{choose}, on a disk that is not read-only",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.ENAMETOOLONG: "{choose}, with a shorter name",
    errno.ENOTDIR: _NOT_A_FOLDER,
    errno.EEXIST: _NOT_A_FOLDER,
    errno.ENOENT: "make its folder first, or {choose}",
    errno.ELOOP: "that path is a circle of links: {choose}",
    errno.EISDIR: "that path is a folder: {choose}",
    errno.EIO: "check the disk, or {choose}",
    errno.EMFILE: "close some programs, or raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close some programs",
}


class UserError(Exception):
    """Something that the user can mend; the message says what is wrong, where, and how.

    Args:
        message: the whole message.
        code: the program's exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def cannot_write(path: Path, error: OSError, *, option: str = "--out DIR", then: str = "") -> UserError:
    """Say that the system does not let us write a file, and what helps against this error.

    Args:
        path: path of the file or folder.
        error: what the system said.
        option: the option with which another place is chosen, as it is typed.
        then: what to do afterwards, such as "go on with: ganspec train --resume DIR"; with it, another place is no remedy.

    Returns: the error to raise.
    """
    remedy = _WRITE_REMEDIES.get(error.errno or 0, "{choose}")
    if then:  # a run goes on in its own folder
        remedy = remedy.replace(", or {choose}", "").replace("{choose}", "mend that")
        remedy = f"{remedy}, then {then}"
    remedy = remedy.format(choose=f"choose another place with {option}")
    return UserError(f"{printable(str(path))}: cannot be written: {reason(error)}; {remedy}")


def reason(error: OSError) -> str:
    """Returns: what the system said, without path and number."""
    return error.strerror or str(error) or type(error).__name__


def say(message: str) -> None:
    """Print a message on the standard error, characters that a terminal might obey as escapes.

    A standard error that cannot be written is no reason to fail, least of all in the middle of training.
    """
    with contextlib.suppress(OSError, ValueError):
        print("\n".join(printable(line) for line in message.split("\n")), file=sys.stderr, flush=True)


def command(*words: str | Path) -> str:
    """Returns: a command as it is typed into a shell, quoted where need be."""
    return shlex.join(str(word) for word in words)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns: whether an exception of Python, NumPy, PyTorch or CuPy says that there is no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's own, and CuPy's
        return True
    # PyTorch on the CPU has no exception of its own: "DefaultCPUAllocator: can't allocate memory", "not enough memory".
    text = str(error)
    return isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in text or "CUDA out of memory" in text)
