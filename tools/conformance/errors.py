"""What conformance says when somebody's code cannot be compared, and the line of that code which is to blame."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from pathlib import Path

from ganspec.tools.errors import UserError

_HOUSE = Path(__file__).resolve().parents[2]
_OURS = tuple(str(_HOUSE / name) for name in ("spec", "impl_torch", "impl_chainer", "tools"))
_PATHS = sysconfig.get_paths()
# Code of libraries, in which nobody looks for a mistake of one's own.
_LIBRARIES = tuple({str(Path(_PATHS[name]).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class ConformanceError(UserError):
    """Somebody's code cannot be compared with a system; the message says what is wrong, where, and how to mend it."""


@cache
def is_library(path: str) -> bool:
    """Returns: whether a file belongs to Python, to an installed package or to ganspec, not to the code that is checked."""
    if path.startswith("<") or "site-packages" in path or "dist-packages" in path:
        return True
    return str(Path(path).resolve()).startswith((*_LIBRARIES, *_OURS))


def calling_line() -> str:
    """Returns: the line of the checked code from which we were called, "train.py:31"; "" where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not is_library(path):
            return f"{_short(path)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def line_in(error: BaseException) -> str:
    """Returns: the innermost line of the checked code at which an exception arose; "" where there is none."""
    found, trace = "", error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if not is_library(path):
            found = f"{_short(path)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _short(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def in_library() -> bool:
    """Returns: whether the function that asks was called by a library's code, not by the code that is checked."""
    return is_library(sys._getframe(2).f_code.co_filename)
