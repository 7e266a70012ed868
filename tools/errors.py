"""What the programs say of a user's mistake: one message, no traceback, an exit code that scripts can use."""

from pathlib import Path

AGREED = 0
DISAGREED = 1  # crosscheck: the backends differ
FAILED = 2  # could not run: a wrong spec, data, option, device or folder
STOPPED = 3  # training stopped itself: a value is not finite
INTERRUPTED = 130  # Ctrl-C, as shells count it


class UserError(Exception):
    """Something that the user can mend; the message says what is wrong, where, and how.

    Args:
        message: the whole message.
        code: the program's exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def cannot_write(path: Path, error: OSError) -> UserError:
    """Returns: the message for a file that the system does not let us write."""
    return UserError(f"{path}: cannot be written: {error.strerror}; free some space or choose another --out")
