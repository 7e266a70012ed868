"""Reports as JSON: what is read equals what was written; what strangers wrote is refused with its place."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspec.tools.agreement.report import Report
from ganspec.tools.errors import UserError
from ganspec.tools.reporting import json_reader, read_json, render_json
from support.drawn_reports import reports
from support.report_schema import SCHEMA, unknown_to_schema
from support.reports import comparison, mixed_report, report, samples

JSON_VALUES = (
    st.none() | st.booleans() | st.integers(-2, 10**400) | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
)


@given(reports)
def test_any_report_comes_back_equal(made: Report) -> None:
    text = render_json(made)
    assert text.isascii()
    assert repr(read_json(text)) == repr(made)  # a NaN is not equal to itself


def test_report_in_a_file_comes_back_equal_also_with_what_changed(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(render_json(mixed_report(), against=report(comparison())))
    assert repr(read_json(file)) == repr(mixed_report())  # its NaN is not equal to itself
    assert json.loads(file.read_text())["changes"]["regressed"] is True


def test_samples_are_left_out() -> None:
    assert read_json(render_json(report(comparison(samples=samples())))) == report(comparison())


@given(st.data())
def test_whatever_is_changed_in_a_file_is_read_as_it_stands_or_refused(data: st.DataObject) -> None:
    content = json.loads(render_json(mixed_report()))
    table, key = data.draw(st.sampled_from(places(content)), label="place")
    table[key] = data.draw(JSON_VALUES, label="value")
    try:
        text = json.dumps(content)
    except ValueError:  # a number with too many digits to write
        return
    try:
        read = read_json(text)
    except UserError as refusal:
        said = str(refusal)
        assert said.startswith("report: ") and said.isprintable(), said  # noqa: PT018
        return
    assert json.loads(render_json(read))["systems"] == json.loads(text)["systems"]


def places(content: object) -> list[tuple[object, object]]:
    """Returns: every place in JSON data, as a table or list and a key or number in it."""
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    return [place for key in keys for place in [(content, key), *places(content[key])]]


def edited(*path: object, value: object) -> str:
    """Returns: a report whose value at a path is another one; None in place of a value takes it away."""
    content = json.loads(render_json(mixed_report()))
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(content)


ROW = ("systems", 0, "rows", 0)
WRONG = {
    "": "is truncated or not JSON: line 1, column 1: Expecting value",
    render_json(mixed_report())[:300]: "is truncated or not JSON: line",
    "[]": "is JSON, but not a report: write one with ganspec crosscheck --json FILE",
    "[" * 100_000: "is not a report: it is nested too deeply, or a number has too many digits",
    "1" * 10_000: "is not a report: it is nested too deeply, or a number has too many digits",
    '{"format": "x", "format": "y"}': "is damaged: the key 'format' stands twice in one table",
    '{"format": NaN}': "is damaged: NaN is not a number of JSON",
    '{"format": "ganspec report 2"}': "was written by another version of ganspec ('ganspec report 2', expected "
    "'ganspec report 1'); read it with that version, or write it anew with --json FILE",
    edited("versions", value=[]): "is damaged: versions is [], expected an object",
    edited("systems", value=None): "is damaged: systems is missing",
    edited("systems", 0, "seed", value=-1): "systems[0].seed is -1, expected a whole number, 0 or larger",
    edited("systems", 0, "seed", value=True): "systems[0].seed is True, expected a whole number, 0 or larger",
    edited("systems", 0, "batch", value=2**63): f"systems[0].batch is {2**63}, expected a whole number, 0 or larger",
    edited("systems", 0, "seconds", value=1e300): "systems[0].seconds is 1e+300, expected a number from 0 to 1e9",
    edited("systems", 0, "system", value="x" * 10_001):
        f"systems[0].system is '{'x' * 59}..., expected text of at most 10,000 characters",
    edited("systems", 0, "seedling", value=1): "systems[0].seedling is an unknown key, did you mean 'seed'?",
    edited("systems", 0, "verdict", value="DISAGREE"):
        "systems[0].verdict is 'DISAGREE', but from the rest of the file follows 'agree'",
    edited("agrees", value=True): "agrees is True, but from the rest of the file follows False",
    edited(*ROW, "worst", "error", value=-1.0): "systems[0].rows[0].worst.error is -1.0, expected a number, 0 or larger, or null",
    edited(*ROW, "worst", "ratio", value=0.5): "systems[0].rows[0].worst.ratio is 0.5, but from the rest of the file follows",
    edited(*ROW, "wrong", value=10**9): "systems[0].rows[0].wrong is 1000000000, expected at most",
    edited(*ROW, "pair", value=["torch"]): "systems[0].rows[0].pair is ['torch'], expected two names",
    edited("systems", 2, "rows", 0, "worst", "not_finite", value=None):
        "systems[2].rows[0].worst.error is null, and systems[2].rows[0].worst.not_finite does not say why: "
        "expected one of infinity, not a number",
    edited("systems", 0, "curves", 0, "points", 1, "iteration", value="\x1b[2J"):
        "systems[0].curves[0].points[1].iteration is '\\x1b[2J', expected a whole number, 0 or larger",
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=[message[:60] for message in WRONG.values()])
def test_damage_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_json(text)
    assert str(caught.value).startswith("report: ")
    assert message in str(caught.value)


def test_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_text(render_json(mixed_report()))
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(json_reader, "MAX_BYTES", 1000)
    said = {
        "absent": "cannot be read: No such file or directory; write one with ganspec crosscheck --json FILE",
        "bytes": "cannot be read: it is not UTF-8 text; write one with ganspec crosscheck --json FILE",
        "pipe": "is not a regular file; write one with ganspec crosscheck --json FILE",
        ".": "cannot be read: Is a directory; write one with ganspec crosscheck --json FILE",
        "large": "is larger than 1,000 bytes; write one with ganspec crosscheck --json FILE",
    }
    for name, message in said.items():
        with pytest.raises(UserError) as caught:
            read_json(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message}"
    with pytest.raises(UserError, match="larger than 1,000 characters"):
        read_json((tmp_path / "large").read_text())


def test_schema_has_every_key_that_is_written() -> None:
    older = report(comparison(batch=9), comparison("removed"))
    content = json.loads(render_json(mixed_report(), against=older))
    assert not unknown_to_schema(content, SCHEMA)
    assert SCHEMA["properties"]["format"]["const"] == content["format"]
    content["systems"][0]["rows"][0]["worst"]["new"] = 1
    del content["systems"][1]["first"]["odd"]
    assert unknown_to_schema(content, SCHEMA) == [".systems[0].rows[0].worst.new", ".systems[1].first.odd"]
