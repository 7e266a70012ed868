"""A lock on a run's folder, so that only one process trains in it.

The system holds the lock (`flock`) while its file is open and lets go of it when the process ends, however that ends: a killed
process leaves no stale lock behind. The text in the file only says whom to ask.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from ganspec.tools.errors import UserError, cannot_write, say

NAME = ".lock"
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class Lock:
    """A folder that no other process may train in until `release`.

    Args:
        folder: folder to lock; it exists.

    Raises:
        UserError: another process has the lock, or the lock's file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self._file: int | None = None
        try:
            # Not following links, not waiting for the other end of a pipe: folders of runs come from strangers, too.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
            self._acquire(folder)
            with contextlib.suppress(OSError):  # on a full disk the lock holds without a name, too
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except OSError as error:
            self.release()
            raise cannot_write(path, error) from None
        except UserError:
            self.release()
            raise

    def _acquire(self, folder: Path) -> None:
        assert self._file is not None
        try:
            import fcntl
        except ImportError:  # Windows: two processes in one folder spoil each other's log
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 200, 0).decode("utf-8", "replace").strip() or "another process"
            raise UserError(
                f"{folder}: {holder} is training in this folder; wait until it ends, stop it, or choose another --out DIR"
            ) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            say(f"{folder}: its disk knows no locks; see to it that no other process trains in this folder")

    def release(self) -> None:
        """Let other processes train in the folder."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
