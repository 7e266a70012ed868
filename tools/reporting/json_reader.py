"""Reads the JSON that `json_writer` writes.

Such files come from strangers: size, types, ranges and every derived value are checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ganspec.spec.text.errors import did_you_mean, expected_one_of, printable
from ganspec.spec.training.record import read_regular_file
from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Point, Report, Row
from ganspec.tools.errors import UserError, reason
from ganspec.tools.reporting.json_writer import FORMAT, NOT_FINITE, report_as_data

MAX_BYTES = 64_000_000  # of a report; those of all packaged systems are under 5 MB
_MAX_TEXT = 10_000  # characters of one text
_MAX_COUNT = 2**63 - 1
_MAX_SECONDS = 1e9
_VISIBLE = 60  # characters of a wrong value that a message repeats


class _DamagedError(Exception):
    """Something in a report is wrong; the message begins with its path."""


def read_json(source: str | Path) -> Report:
    """Read a report.

    Args:
        source: a path, or the text itself.

    Returns: the report, without sample images.

    Raises:
        UserError: it cannot be read, is too large, not JSON, of another version, or damaged; the message says what and where.
    """
    label = printable(str(source)) if isinstance(source, Path) else "report"
    data = _parsed(_content(source, label) if isinstance(source, Path) else source, label)
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        if isinstance(found, str) and found.startswith("ganspec report "):
            message = f"was written by another version of ganspec ({_visible(found)}, expected '{FORMAT}')"
            raise UserError(f"{label}: {message}; read it with that version, or write it anew with --json FILE")
        raise UserError(f"{label}: is JSON, but not a report: write one with ganspec crosscheck --json FILE")
    try:
        report = _report(_Table(data, ""))
        _compare(data, report_as_data(report), "")
    except _DamagedError as error:
        raise UserError(f"{label}: is damaged: {error}; write it anew with --json FILE") from None
    return report


def _content(path: Path, label: str) -> str:
    try:
        return read_regular_file(path, MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"{label}: cannot be read: {said}; write one with ganspec crosscheck --json FILE") from None
    except ValueError as error:
        raise UserError(f"{label}: {error}; write one with ganspec crosscheck --json FILE") from None


def _parsed(text: str, label: str) -> Any:
    if len(text) > MAX_BYTES:
        raise UserError(f"{label}: is larger than {MAX_BYTES:,} characters, too large for a report")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{label}: is truncated or not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except _DamagedError as error:
        raise UserError(f"{label}: is damaged: {error}") from None
    except (RecursionError, ValueError):  # Python refuses whole numbers of thousands of digits
        raise UserError(f"{label}: is not a report: it is nested too deeply, or a number has too many digits") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise _DamagedError(f"the key {_visible(key)} stands twice in one table")
        table[key] = value
    return table


def _no_constant(name: str) -> NoReturn:
    raise _DamagedError(f"{name} is not a number of JSON")


class _Table:
    """A JSON object at a path, whose values are taken out by key and type."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise _DamagedError(f"{path or 'it'} is {_visible(value)}, expected an object")
        self.value, self.path = value, path

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str, check: Callable[[Any], bool], expected: str) -> Any:
        if key not in self.value:
            raise _DamagedError(f"{self.at(key)} is missing")
        if not check(self.value[key]):
            raise _DamagedError(f"{self.at(key)} is {_visible(self.value[key])}, expected {expected}")
        return self.value[key]

    def text(self, key: str) -> str:
        return self.take(key, _is_text, f"text of at most {_MAX_TEXT:,} characters")

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.take(key, lambda v: isinstance(v, list) and all(map(_is_text, v)), "a list of texts"))

    def pair(self, key: str) -> tuple[str, str]:
        found = self.take(key, lambda v: isinstance(v, list) and len(v) == 2 and all(map(_is_text, v)), "two names")
        return found[0], found[1]

    def flag(self, key: str) -> bool:
        return self.take(key, lambda v: isinstance(v, bool), "true or false")

    def count(self, key: str) -> int:
        return self.take(key, _is_count, "a whole number, 0 or larger")

    def optional_count(self, key: str) -> int | None:
        return self.take(key, lambda v: v is None or _is_count(v), "a whole number, 0 or larger, or null")

    def real(self, key: str) -> float:
        """Returns: a number; one that is not finite is null, and its kind stands in `not_finite`."""
        value = self.take(key, lambda v: v is None or _is_norm(v), "a number, 0 or larger, or null")
        if value is not None:
            return float(value)
        kinds = self.value.get("not_finite")
        kind = kinds.get(key) if isinstance(kinds, dict) else None
        if not isinstance(kind, str) or kind not in NOT_FINITE:
            what = f"{self.at('not_finite')} does not say why: {expected_one_of(NOT_FINITE)}"
            raise _DamagedError(f"{self.at(key)} is null, and {what}")
        return NOT_FINITE[kind]

    def tables(self, key: str) -> list[_Table]:
        values = self.take(key, lambda v: isinstance(v, list), "a list")
        return [_Table(value, f"{self.at(key)}[{i}]") for i, value in enumerate(values)]


def _report(table: _Table) -> Report:
    table.text("ganspec")
    versions = _Table(table.take("versions", lambda v: isinstance(v, dict), "an object"), "versions")
    return Report(
        comparisons=tuple(_comparison(system) for system in table.tables("systems")),
        versions={name: versions.text(name) for name in versions.value},
    )


def _comparison(t: _Table) -> Comparison:
    span = t.take("image_range", lambda v: isinstance(v, list) and len(v) == 2 and all(map(_is_real, v)), "two numbers")
    first = t.take("first", lambda v: v is None or isinstance(v, dict), "an object or null")
    curves = t.tables("curves")
    return Comparison(
        system=t.text("system"),
        witnesses=t.texts("witnesses"),
        dtype=t.text("dtype"),
        device=t.text("device"),
        seed=t.count("seed"),
        iterations=t.count("iterations"),
        batch=t.count("batch"),
        reduced=t.flag("reduced"),
        rows=tuple(_row(row) for row in t.tables("rows")),
        first=None if first is None else _divergence(_Table(first, t.at("first"))),
        curves={(c.text("number"), c.pair("pair")): tuple(map(_point, c.tables("points"))) for c in curves},
        image_range=(float(span[0]), float(span[1])),
        bundle=t.text("bundle"),
        seconds=float(t.take("seconds", lambda v: _is_norm(v) and v <= _MAX_SECONDS, "a number from 0 to 1e9")),
    )


def _row(t: _Table) -> Row:
    compared, wrong = t.count("compared"), t.count("wrong")
    if wrong > compared:
        raise _DamagedError(f"{t.at('wrong')} is {wrong}, expected at most {compared}, the number compared")
    return Row(
        t.text("kind"), t.pair("pair"), compared, wrong, _difference(_Table(t.value.get("worst"), t.at("worst")))
    )


def _difference(t: _Table) -> Difference:
    place = _Table(t.value.get("place"), t.at("place"))
    return Difference(
        kind=t.text("kind"),
        name=t.text("name"),
        place=Place(place.count("iteration"), place.optional_count("step"), place.optional_count("repeat")),
        source=t.text("source"),
        network=t.text("network"),
        layer=t.text("layer"),
        node=t.optional_count("node"),
        pair=t.pair("pair"),
        error=t.real("error"),
        size=t.real("size"),
        allowance=t.real("allowance"),
        diverged=t.flag("diverged"),
        reason=t.text("reason"),
    )


def _divergence(t: _Table) -> Divergence:
    difference = _difference(_Table(t.value.get("difference"), t.at("difference")))
    return Divergence(difference, t.text("odd"), t.texts("values"), t.text("guess"))


def _point(t: _Table) -> Point:
    return Point(t.count("iteration"), t.real("error"), t.real("allowance"))


def _compare(found: Any, expected: Any, path: str) -> None:
    """Hold what stands in the file against what a report of that content says, the derived values too.

    Raises:
        _DamagedError: a key is unknown, or a value is not the one that follows from the others.
    """
    if isinstance(found, dict) and isinstance(expected, dict):
        allowed = {*expected, "changes"} if not path else set(expected)
        for key in found:
            if key not in allowed:
                hint = did_you_mean(key, allowed)
                at = f"{path}.{key}" if path else key
                raise _DamagedError(f"{printable(at[: 2 * _VISIBLE])} is an unknown key{', ' if hint else ''}{hint}")
        for key, value in expected.items():
            at = f"{path}.{key}" if path else key
            if key not in found:
                raise _DamagedError(f"{at} is missing")
            if at != "ganspec":  # the version that wrote it may be another
                _compare(found[key], value, at)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            _compare(a, b, f"{path}[{i}]")
    elif found != expected:
        raise _DamagedError(f"{path} is {_visible(found)}, but from the rest of the file follows {_visible(expected)}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _is_real(value: Any) -> bool:
    return _is_count(abs(value)) if isinstance(value, int) else isinstance(value, float) and math.isfinite(value)


def _is_norm(value: Any) -> bool:
    return _is_real(value) and value >= 0


def _visible(value: Any) -> str:
    text = repr(value)
    return printable(text if len(text) <= _VISIBLE else text[:_VISIBLE] + "...")
