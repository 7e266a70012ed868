"""The figures of a run: what is written is read, what a killed process or a stranger left is not trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ganspec.tools.errors import UserError
from ganspec.tools.quality.figures import LOWER_IS_BETTER, Figure, append_figures, drop_later_figures, read_figures

FIGURES = [Figure(0, "fid", 310.25, {"extractor": "digits", "images": 2000}), Figure(500, "fid", 12.0, {})]
SCALARS = (
    some.none() | some.booleans() | some.integers(-(10**6), 10**6) | some.floats(allow_nan=False, allow_infinity=False)
)
ANY = some.builds(
    Figure,
    some.integers(0, 10**15),
    some.sampled_from(sorted(LOWER_IS_BETTER)),
    some.floats(allow_nan=False, allow_infinity=False),
    some.dictionaries(some.text(max_size=20), SCALARS | some.text(max_size=50), max_size=5),
)


@settings(max_examples=20)
@given(some.lists(some.lists(ANY, max_size=3), max_size=3))
def test_figures_are_read_as_they_were_appended(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Figure]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    for part in parts:
        append_figures(path, part)
    assert read_figures(path) == [figure for part in parts for figure in part]


def test_absent_file_has_no_figures(tmp_path: Path) -> None:
    assert read_figures(tmp_path / "metrics.jsonl") == []


def test_torn_last_line_is_no_line_and_the_next_figure_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(FIGURES[0].line() + FIGURES[1].line()[:-9])
    assert read_figures(path) == FIGURES[:1]
    append_figures(path, FIGURES[1:])
    assert read_figures(path) == FIGURES


def test_figures_after_an_iteration_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_figures(path, FIGURES)
    drop_later_figures(path, 499)
    assert read_figures(path) == FIGURES[:1]
    drop_later_figures(path, 0)
    assert read_figures(path) == FIGURES[:1]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("iteration", -1, "iteration: expected a whole number"),
        ("iteration", True, "iteration: expected a whole number"),
        ("metric", "", "metric: expected the name"),
        ("value", float("nan"), "value: expected a finite number"),
        ("value", 10**400, "value: expected a finite number"),
        ("value", "3", "value: expected a finite number"),
        ("protocol", [], "protocol: expected at most"),
        ("protocol", {"a": []}, "protocol: expected at most"),
        ("protocol", {str(i): 0 for i in range(65)}, "protocol: expected at most"),
    ],
)
def test_line_of_a_stranger_is_refused_by_number(tmp_path: Path, key: str, value: object, expected: str) -> None:
    line = {"iteration": 1, "metric": "fid", "value": 1.0, "protocol": {}} | {key: value}
    path = tmp_path / "metrics.jsonl"
    path.write_text(FIGURES[0].line() + json.dumps(line) + "\n")
    with pytest.raises(UserError, match=f"line 2: {expected}"):
        read_figures(path)


@pytest.mark.parametrize("line", ["[]", "{", "[" * 100_000, '{"iteration": 1}'])
def test_line_that_is_no_object_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UserError, match="line 1: expected an object"):
        read_figures(path)


def test_link_and_pipe_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "else").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "else")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(UserError):
            append_figures(tmp_path / name, FIGURES)
    with pytest.raises(UserError, match="not a regular file"):
        read_figures(tmp_path / "pipe")
    assert (tmp_path / "else").read_text() == ""
