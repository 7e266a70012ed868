"""Strict JSON from strangers: size, nesting, types and ranges are checked, and a message names the place of what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ganspec.spec.text.errors import expected_one_of, printable
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.errors import UserError, reason
from ganspec.tools.reporting.json_writer import NOT_FINITE

MAX_TEXT = 10_000  # characters of one text
MAX_COUNT = 2**63 - 1
VISIBLE = 60  # characters of a wrong value that a message repeats


class DamagedError(Exception):
    """Something in a file is wrong; the message begins with its path."""


def content(path: Path, most: int, label: str, remedy: str) -> str:
    """Read a file's text.

    Args:
        path: path of the file.
        most: bytes that it may have.
        label: name of the file in messages.
        remedy: how another one is made, such as "write one with ganspec crosscheck --json FILE".

    Raises:
        UserError: it cannot be read, is too large, or is no text.
    """
    try:
        return read_regular_file(path, most).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"{label}: cannot be read: {said}; {remedy}") from None
    except ValueError as error:
        raise UserError(f"{label}: {error}; {remedy}") from None


def parsed(text: str, most: int, label: str, what: str) -> Any:
    """Parse JSON whose tables have each key once, and whose numbers are all finite.

    Args:
        text: text of a file.
        most: characters that it may have.
        label: name of the file in messages.
        what: what the file should be, such as "report".

    Raises:
        UserError: it is too large, not such JSON, or nested too deeply.
    """
    if len(text) > most:
        raise UserError(f"{label}: is larger than {most:,} characters, too large for a {what}")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{label}: is truncated or not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except DamagedError as error:
        raise UserError(f"{label}: is damaged: {error}") from None
    except (RecursionError, ValueError):  # Python refuses whole numbers of thousands of digits
        raise UserError(f"{label}: is not a {what}: it is nested too deeply, or a number has too many digits") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise DamagedError(f"the key {visible(key)} stands twice in one table")
        table[key] = value
    return table


def _no_constant(name: str) -> NoReturn:
    raise DamagedError(f"{name} is not a number of JSON")


class JsonTable:
    """A JSON object at a path, whose values are taken out by key and type."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise DamagedError(f"{path or 'it'} is {visible(value)}, expected an object")
        self.value, self.path = value, path

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str, check: Callable[[Any], bool], expected: str) -> Any:
        if key not in self.value:
            raise DamagedError(f"{self.at(key)} is missing")
        if not check(self.value[key]):
            raise DamagedError(f"{self.at(key)} is {visible(self.value[key])}, expected {expected}")
        return self.value[key]

    def text(self, key: str) -> str:
        return self.take(key, is_text, f"text of at most {MAX_TEXT:,} characters")

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.take(key, lambda v: isinstance(v, list) and all(map(is_text, v)), "a list of texts"))

    def pair(self, key: str) -> tuple[str, str]:
        found = self.take(key, lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_text, v)), "two names")
        return found[0], found[1]

    def flag(self, key: str) -> bool:
        return self.take(key, lambda v: isinstance(v, bool), "true or false")

    def count(self, key: str) -> int:
        return self.take(key, is_count, "a whole number, 0 or larger")

    def optional_count(self, key: str) -> int | None:
        return self.take(key, lambda v: v is None or is_count(v), "a whole number, 0 or larger, or null")

    def real(self, key: str) -> float:
        """Returns: a number; one that is not finite is null, and its kind stands in `not_finite`."""
        value = self.take(key, lambda v: v is None or is_norm(v), "a number, 0 or larger, or null")
        if value is not None:
            return float(value)
        kinds = self.value.get("not_finite")
        kind = kinds.get(key) if isinstance(kinds, dict) else None
        if not isinstance(kind, str) or kind not in NOT_FINITE:
            what = f"{self.at('not_finite')} does not say why: {expected_one_of(NOT_FINITE)}"
            raise DamagedError(f"{self.at(key)} is null, and {what}")
        return NOT_FINITE[kind]

    def tables(self, key: str) -> list[JsonTable]:
        values = self.take(key, lambda v: isinstance(v, list), "a list")
        return [JsonTable(value, f"{self.at(key)}[{i}]") for i, value in enumerate(values)]


def is_text(value: Any) -> bool:
    """Returns: whether it is a text of bounded length."""
    return isinstance(value, str) and len(value) <= MAX_TEXT


def is_count(value: Any) -> bool:
    """Returns: whether it is a whole number from 0 that fits into 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT


def is_real(value: Any) -> bool:
    """Returns: whether it is a finite number."""
    return is_count(abs(value)) if isinstance(value, int) else isinstance(value, float) and math.isfinite(value)


def is_norm(value: Any) -> bool:
    """Returns: whether it is a finite number of at least 0."""
    return is_real(value) and value >= 0


def visible(value: Any) -> str:
    """Returns: the beginning of a wrong value, as a message repeats it."""
    text = repr(value)
    return printable(text if len(text) <= VISIBLE else text[:VISIBLE] + "...")
