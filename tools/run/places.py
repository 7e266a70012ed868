"""Paths as a page shows them that may be sent to somebody: without the name of who made it."""

from __future__ import annotations

import re
from pathlib import Path

_HOMES = re.compile(
    r"(?<![\w.~-])(?:/home/|/Users/|[A-Za-z]:(?:/|\\{1,2})Users(?:/|\\{1,2}))[^/\\\s:;,'\"]+|(?<![\w/.~-])/root(?=/)"
)


def without_home(text: str) -> str:
    """Shorten home folders, of this machine and of others, to "~".

    Args:
        text: any text, in which paths may stand.

    Returns: the text: "/home/somebody/data" and "C:\\Users\\somebody\\data" begin with "~".
    """
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"(?<![\w/.~-]){re.escape(home)}(?![\w.-])", "~", text)
    return _HOMES.sub("~", text)
