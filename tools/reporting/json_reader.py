"""Reads the JSON that `json_writer` writes.

Such files come from strangers: size, types, ranges and every derived value are checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import did_you_mean, printable
from ganspec.tools.agreement.report import Comparison, Difference, Divergence, Place, Point, Report, Row
from ganspec.tools.errors import UserError
from ganspec.tools.reporting.json_tables import (
    VISIBLE,
    DamagedError,
    JsonTable,
    content,
    is_norm,
    is_real,
    parsed,
    visible,
)
from ganspec.tools.reporting.json_writer import FORMAT, report_as_data

MAX_BYTES = 64_000_000  # of a report; those of all packaged systems are under 5 MB
_MAX_SECONDS = 1e9
_REMEDY = "write one with ganspec crosscheck --json FILE"


def read_json(source: str | Path) -> Report:
    """Read a report.

    Args:
        source: a path, or the text itself.

    Returns: the report, without sample images.

    Raises:
        UserError: it cannot be read, is too large, not JSON, of another version, or damaged; the message says what and where.
    """
    label = printable(str(source)) if isinstance(source, Path) else "report"
    text = content(source, MAX_BYTES, label, _REMEDY) if isinstance(source, Path) else source
    data = parsed(text, MAX_BYTES, label, "report")
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        if isinstance(found, str) and found.startswith("ganspec report "):
            message = f"was written by another version of ganspec ({visible(found)}, expected '{FORMAT}')"
            raise UserError(f"{label}: {message}; read it with that version, or write it anew with --json FILE")
        raise UserError(f"{label}: is JSON, but not a report: {_REMEDY}")
    try:
        report = _report(JsonTable(data, ""))
        _compare(data, report_as_data(report), "")
    except DamagedError as error:
        raise UserError(f"{label}: is damaged: {error}; write it anew with --json FILE") from None
    return report


def _report(table: JsonTable) -> Report:
    table.text("ganspec")
    versions = JsonTable(table.take("versions", lambda v: isinstance(v, dict), "an object"), "versions")
    return Report(
        comparisons=tuple(_comparison(system) for system in table.tables("systems")),
        versions={name: versions.text(name) for name in versions.value},
    )


def _comparison(t: JsonTable) -> Comparison:
    span = t.take("image_range", lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_real, v)), "two numbers")
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
        first=None if first is None else _divergence(JsonTable(first, t.at("first"))),
        curves={(c.text("number"), c.pair("pair")): tuple(map(_point, c.tables("points"))) for c in curves},
        image_range=(float(span[0]), float(span[1])),
        bundle=t.text("bundle"),
        seconds=float(t.take("seconds", lambda v: is_norm(v) and v <= _MAX_SECONDS, "a number from 0 to 1e9")),
    )


def _row(t: JsonTable) -> Row:
    compared, wrong = t.count("compared"), t.count("wrong")
    if wrong > compared:
        raise DamagedError(f"{t.at('wrong')} is {wrong}, expected at most {compared}, the number compared")
    return Row(
        t.text("kind"), t.pair("pair"), compared, wrong, _difference(JsonTable(t.value.get("worst"), t.at("worst")))
    )


def _difference(t: JsonTable) -> Difference:
    place = JsonTable(t.value.get("place"), t.at("place"))
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


def _divergence(t: JsonTable) -> Divergence:
    difference = _difference(JsonTable(t.value.get("difference"), t.at("difference")))
    return Divergence(difference, t.text("odd"), t.texts("values"), t.text("guess"))


def _point(t: JsonTable) -> Point:
    return Point(t.count("iteration"), t.real("error"), t.real("allowance"))


def _compare(found: Any, expected: Any, path: str) -> None:
    """Hold what stands in the file against what a report of that content says, the derived values too.

    Raises:
        DamagedError: a key is unknown, or a value is not the one that follows from the others.
    """
    if isinstance(found, dict) and isinstance(expected, dict):
        allowed = {*expected, "changes"} if not path else set(expected)
        for key in found:
            if key not in allowed:
                hint = did_you_mean(key, allowed)
                at = f"{path}.{key}" if path else key
                raise DamagedError(f"{printable(at[: 2 * VISIBLE])} is an unknown key{', ' if hint else ''}{hint}")
        for key, value in expected.items():
            at = f"{path}.{key}" if path else key
            if key not in found:
                raise DamagedError(f"{at} is missing")
            if at != "ganspec":  # the version that wrote it may be another
                _compare(found[key], value, at)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            _compare(a, b, f"{path}[{i}]")
    elif found != expected:
        raise DamagedError(f"{path} is {visible(found)}, but from the rest of the file follows {visible(expected)}")
