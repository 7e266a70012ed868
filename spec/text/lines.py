"""The lines of a TOML file on which its keys stand; the standard library's reader does not tell them.

The text is one that `tomllib` has read, so it is known to be valid, and only its skeleton is followed: headers, keys, brackets,
strings and comments. What is found is compared with what `tomllib` read. Where the two differ no line is given: a message without
a line is better than one with a wrong line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

KeyPath = tuple[str | int, ...]  # keys, and positions in lists from 0: ("network", "layers", 3)

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes may stand before the closing three
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|\#[^\n]*"
    r"|[\[\]{},=\n]"
    r"|[^\s\[\]{},=\#\"']+",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_END = ("", 0)


def lines_of(text: str, data: Mapping[str, Any]) -> Mapping[KeyPath, int]:
    """Find the line of each table, list element and value.

    Args:
        text: valid TOML.
        data: what `tomllib` made of it.

    Returns: for each path the number of its line, from 1: of a key's value the line of the key, of a table the line of its header
        or, if it is only implied, of the first header or key that implies it, of a list's element the line on which it begins.
        Empty where the text is not of this data.
    """
    found = _scanned(text)
    return found if found.keys() == set(_paths(data)) else {}


@lru_cache(maxsize=256)  # a network of blocks reads the same file for each block, many systems the same networks
def _scanned(text: str) -> Mapping[KeyPath, int]:
    scanner = _Scanner(text)
    try:
        scanner.read()
    except (IndexError, RecursionError, tomllib.TOMLDecodeError):  # not the skeleton of valid TOML
        return {}
    return scanner.lines


def _paths(data: Any, at: KeyPath = ()) -> Iterator[KeyPath]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from _paths(value, (*at, key))


class _Scanner:
    """Follows the skeleton of a TOML text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}  # of the tables in each array of tables
        self.tokens = list(_tokens(text))
        self.next = 0

    def read(self) -> None:
        at: KeyPath = ()
        while self.next < len(self.tokens):
            token, line = self._peek()
            if token == "\n":
                self.next += 1
            elif token == "[":
                at = self._header(line)
            else:
                self._pair(at, line)

    def _header(self, line: int) -> KeyPath:
        """Follow [table] or [[array of tables]]. Returns: the path of the table that begins here."""
        self.next += 1
        many = self._peek()[0] == "["
        self.next += many
        *outer, last = self._key("]")
        self.next += many
        at: KeyPath = ()
        for part in outer:
            at = self._newest((*at, part))
            self.lines.setdefault(at, line)
        at = (*at, last)
        if not many:
            self.lines[at] = line
            return at
        self.lines.setdefault(at, line)
        self.counts[at] = self.counts.get(at, 0) + 1
        at = self._newest(at)
        self.lines[at] = line
        return at

    def _newest(self, at: KeyPath) -> KeyPath:
        return (*at, self.counts[at] - 1) if at in self.counts else at

    def _pair(self, at: KeyPath, line: int) -> None:
        """Follow KEY = VALUE."""
        *outer, last = self._key("=")
        for part in outer:
            at = (*at, part)
            self.lines.setdefault(at, line)
        self.lines[(*at, last)] = line
        self._value((*at, last))

    def _value(self, at: KeyPath) -> None:
        token, _ = self._take()
        if token == "[":
            for count, line in enumerate(self._entries("]")):
                self.lines[(*at, count)] = line
                self._value((*at, count))
        elif token == "{":
            for line in self._entries("}"):
                self._pair(at, line)
        else:
            while self._peek()[0] not in ("\n", ",", "]", "}", ""):  # a date and a time have a space between them
                self.next += 1

    def _entries(self, end: str) -> Iterator[int]:
        """Yields: the line of each entry of a list or inline table; the caller reads the entry."""
        while True:
            while self._peek()[0] in ("\n", ","):
                self.next += 1
            token, line = self._peek()
            if token == end:
                self.next += 1
                return
            yield line

    def _key(self, end: str) -> list[str]:
        """Read a key, dotted perhaps. Returns: its parts."""
        text = ""
        while (token := self._take()[0]) != end:
            text += token
        if _BARE_KEY.fullmatch(text):
            return text.split(".")
        parts, inner = [], tomllib.loads(f"{text} = 0")
        while isinstance(inner, dict):
            ((part, inner),) = inner.items()
            parts.append(part)
        return parts

    def _peek(self) -> tuple[str, int]:
        return self.tokens[self.next] if self.next < len(self.tokens) else _END

    def _take(self) -> tuple[str, int]:
        self.next += 1
        return self.tokens[self.next - 1]


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Yields: each token but comments, with its line."""
    line = 1
    for token in (match[0] for match in _TOKEN.finditer(text)):
        if not token.startswith("#"):
            yield token, line
        line += token.count("\n")
