"""What is said when numbers cannot be carried between Chainer and PyTorch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError


class CarryError(UserError):
    """Numbers cannot be carried.

    Args:
        what: what is wrong.
        where: the file, option or class where it is wrong.
        remedy: how the user mends it.
    """

    def __init__(self, what: str, where: str | Path, remedy: str) -> None:
        super().__init__(f"{printable(str(where))}: {what}; {remedy}")
        self.what, self.where, self.remedy = what, str(where), remedy


def listed(names: Iterable[str], most: int = 5) -> str:
    """Returns: names as text, the first few of them and how many more there are."""
    names = list(names)
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(printable(name) for name in names[:most]) + rest


def meant(name: str, names: Iterable[str]) -> str:
    """Returns: " (did you mean ...?)" with the name that is nearest to the given one, or "" where none is near."""
    near = difflib.get_close_matches(name, list(names), 1)
    return f" (did you mean {printable(near[0])}?)" if near else ""


def counted(count: int) -> str:
    """Returns: a number of arrays in words."""
    return f"{count:,} array{'' if count == 1 else 's'}"
