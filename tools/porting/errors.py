"""What stops a port: a mistake of the user's, or something that cannot be ported."""

from __future__ import annotations

from dataclasses import dataclass


class PortError(Exception):
    """The port cannot begin or go on; the message says what is wrong, where, and how to mend it."""


@dataclass(frozen=True, order=True)
class Refusal:
    """Something in his source that cannot be ported.

    Args:
        file: name of his file.
        line: line there.
        what: what it is, as he wrote it.
        why: why it cannot be ported.
        remedy: what usually helps; empty where nothing does.
    """

    file: str
    line: int
    what: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"\n    {self.remedy}" if self.remedy else ""
        return f"{self.file}:{self.line}: {self.what}: {self.why}{remedy}"
