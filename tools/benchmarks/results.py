"""What was measured, as JSON; and what was timed, read back, for `--against`.

Such files come from strangers: size, keys, types, ranges and derived values are checked, and that nothing stands there twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import expected_one_of, printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.benchmarks.timing import Measurement
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.reporting.json_tables import (
    DamagedError,
    JsonTable,
    content,
    is_count,
    is_norm,
    is_real,
    is_text,
    parsed,
    visible,
)

# The number changes with what is measured, or how: then earlier figures say nothing of later ones.
FORMAT = "ganspec bench 1"
MAX_BYTES = 4_000_000  # a measurement takes a few thousand
MAX_ROUNDS = 100_000
_MAX_SECONDS = 1e9
_REMEDY = "write one with ganspec bench --json FILE"


def write(path: Path, mode: str, content: dict[str, Any]) -> None:
    """Write a file, whole or not at all.

    Args:
        path: path of the file.
        mode: what was measured, "speed", "roofline", "data", "start-up" or "sweep".
        content: figures, as JSON has them.

    Raises:
        UserError: the file cannot be written.
    """
    text = json.dumps({"format": FORMAT, "mode": mode, **content}, indent=2) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise cannot_write(path, error, option="--json FILE") from None


def speed_as_data(measured: Sequence[Measurement]) -> dict[str, Any]:
    """Returns: what was timed, as JSON has it; ratios are there for readers."""
    return {"measurements": [_measurement_as_data(each) for each in measured]}


def _measurement_as_data(each: Measurement) -> dict[str, Any]:
    data = asdict(each)
    request = data.pop("request") | {"settings": list(each.request.settings)}
    return {**request, **data, "ours": list(each.ours), "theirs": list(each.theirs), "ratio": _ratio_as_data(each)}


def _ratio_as_data(each: Measurement) -> dict[str, float] | None:
    return dict(zip(("low", "median", "high"), each.ratio(), strict=True)) if each.theirs else None


def read_speed(path: Path) -> list[Measurement]:
    """Read what `write` wrote of the mode "speed".

    Raises:
        UserError: it cannot be read, is too large, not JSON, of another version or mode, or damaged; the message says what.
    """
    label = printable(str(path))
    data = parsed(content(path, MAX_BYTES, label, _REMEDY), MAX_BYTES, label, "file of ganspec bench")
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        if isinstance(found, str) and found.startswith("ganspec bench "):
            message = f"was measured by another version of ganspec ({visible(found)}, expected '{FORMAT}')"
            raise UserError(f"{label}: {message}, whose figures cannot be compared; measure anew with --json FILE")
        raise UserError(f"{label}: is JSON, but not of ganspec bench: {_REMEDY}")
    if data.get("mode") != "speed":
        mode = visible(data.get("mode"))
        raise UserError(f"{label}: holds figures of another kind ({mode}), expected 'speed': {_REMEDY}")
    try:
        return _measurements(JsonTable(data, ""))
    except DamagedError as error:
        raise UserError(f"{label}: is damaged: {error}; measure anew with --json FILE") from None


def _measurements(whole: JsonTable) -> list[Measurement]:
    _check_keys(whole, ("format", "mode", "measurements"))
    found: list[Measurement] = []
    places: dict[tuple[Request, int], str] = {}
    for table in whole.tables("measurements"):
        found.append(_measurement(table))
        _check_keys(table, _measurement_as_data(found[-1]))
        _check_ratio(table, found[-1])
        if (key := (found[-1].request, found[-1].batch)) in places:
            raise DamagedError(f"{table.path} is of the same request as {places[key]}, expected each once")
        places[key] = table.path
    return found


def _check_keys(table: JsonTable, known: Iterable[str]) -> None:
    for key in table.value:
        if key not in known:
            raise DamagedError(f"{table.path or 'it'} has the key {visible(key)}: {expected_one_of(list(known))}")


def _check_ratio(table: JsonTable, measured: Measurement) -> None:
    """Refuse quartiles that are not those of the rounds, but for what NumPy rounds otherwise elsewhere."""
    written, wanted = table.value.get("ratio"), _ratio_as_data(measured)
    if wanted is None or not isinstance(written, dict):
        right = "ratio" in table.value and written is None and wanted is None
    else:
        right = written.keys() == wanted.keys() and all(
            is_norm(written[key]) and math.isclose(written[key], wanted[key], rel_tol=1e-9) for key in wanted
        )
    if not right:
        expected = f"what its rounds give, {json.dumps(wanted)}"
        raise DamagedError(f"{table.at('ratio')} is {visible(written)}, expected {expected}")


def _measurement(table: JsonTable) -> Measurement:
    request = Request(
        table.text("system"),
        table.text("backend"),
        table.text("device"),
        table.text("draws"),
        table.texts("settings"),
        table.flag("reduced"),
        table.count("threads"),
        table.flag("sharing"),
    )
    ours, theirs = _rounds(table, "ours"), _rounds(table, "theirs")
    if not ours:
        raise DamagedError(f"{table.at('ours')} is empty, expected at least one round")
    if theirs and len(theirs) != len(ours):
        raise DamagedError(
            f"{table.at('theirs')} has {len(theirs)} rounds, expected {len(ours)}, those of ours, or none"
        )
    machine = JsonTable(table.value.get("machine"), table.at("machine"))
    for key in machine.value:
        machine.take(key, _is_plain, "a text, a whole number or null")
    memory = JsonTable(table.value.get("memory"), table.at("memory"))
    _check_keys(memory, ("loaded", "ours", "theirs"))
    held = {key: memory.count(key) for key in memory.value}
    return Measurement(
        request, table.count("batch"), table.count("iterations"), ours, theirs, dict(machine.value), held
    )


def _rounds(table: JsonTable, key: str) -> tuple[float, ...]:
    def right(value: Any) -> bool:
        return isinstance(value, list) and len(value) <= MAX_ROUNDS and all(map(_is_time, value))

    return tuple(map(float, table.take(key, right, f"at most {MAX_ROUNDS:,} times, seconds above 0 and up to 1e9")))


def _is_time(value: Any) -> bool:
    return is_real(value) and not isinstance(value, bool) and 1e-12 < value <= _MAX_SECONDS


def _is_plain(value: Any) -> bool:
    return value is None or is_text(value) or is_count(value)
