"""What the programs say of a user's mistake: one message, no traceback, an exit code that scripts can use."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import stat
import sys
from pathlib import Path

from ganspec.spec.text.errors import printable

AGREED = 0
DISAGREED = 1  # crosscheck: the backends differ, or training diverged in both
FAILED = 2  # could not run: a wrong spec, data, option, device or folder
STOPPED = 3  # training stopped itself: a value is not finite
INTERRUPTED = 130  # Ctrl-C, as shells count it

# How a failed write is mended where it failed, by its error number; choosing another place helps against all of them.
_FREE_SPACE = "free some space there"
_PERMISSION = "get the permission to write there"
_CLEAR_PATH = "move away the file, or the link, that stands in that path"
_WRITE_REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: "make that disk writable",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.ENAMETOOLONG: "shorten that path",
    errno.ENOTDIR: _CLEAR_PATH,
    errno.EEXIST: _CLEAR_PATH,
    errno.ELOOP: _CLEAR_PATH,
    errno.EISDIR: "move that folder away",
    errno.ENOENT: "make its folder first",
    errno.EIO: "check that disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
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
    remedy = _WRITE_REMEDIES.get(error.errno or 0, "mend that")
    remedy += f", then {then}" if then else f", or choose another place with {option}"
    return UserError(f"{printable(str(path))}: cannot be written: {reason(error)}; {remedy}")


def require_place(path: Path, *, option: str) -> None:
    """Refuse a file that could not be written, before the work that fills it.

    Args:
        path: path of the file.
        option: the option with which another place is chosen, as it is typed.

    Raises:
        UserError: its folder is not there or may not be written, or what stands there is no regular file and would be replaced.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):  # a device, a pipe, a link
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except OSError as error:
        raise cannot_write(path, error, option=option) from None


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
    """Returns: a command as it is typed into a shell, quoted where need be; ganspec's path where its name is not known there."""
    first = _program() if words[0] == "ganspec" else str(words[0])
    return shlex.join([first, *map(str, words[1:])])


def _program() -> str:
    started, here = Path(sys.argv[0]), Path.cwd()
    if started.name != "ganspec" or shutil.which("ganspec") or not started.is_file():
        return "ganspec"
    return str(started.relative_to(here) if started.is_relative_to(here) else started)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns: whether an exception of Python, NumPy, PyTorch or CuPy says that there is no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's own, and CuPy's
        return True
    # PyTorch on the CPU has no exception of its own: "DefaultCPUAllocator: can't allocate memory", "not enough memory".
    text = str(error)
    return isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in text or "CUDA out of memory" in text)
