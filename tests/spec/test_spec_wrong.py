"""A wrong spec is answered by a message that helps, and by nothing else."""

from __future__ import annotations

import copy
import math
import os
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganspec.spec import SpecError, load_system, system_names
from ganspec.spec.text.files import MAX_BYTES
from support.spec.toml_text import at, changed, dumps, own_files, places, write
from support.spec.wrong_specs import BASE, CASES, message_of, read_case, write_spec

SYSTEMS = [name for name in system_names() if "/" not in name]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_wrong_spec_is_answered(path: Path, tmp_path: Path) -> None:
    case = read_case(path)
    write_spec(case, tmp_path)
    begun = time.perf_counter()
    assert message_of(case, tmp_path) == path.with_suffix(".txt").read_text("utf-8")
    assert time.perf_counter() - begun < 5, "a wrong spec must not take long; they come from strangers"


def test_wrong_spec_has_its_message_and_a_message_its_spec() -> None:
    folder = CASES[0].parent
    assert {path.stem for path in folder.glob("*.txt")} == {path.stem for path in CASES}
    assert len(CASES) > 130


def test_base_of_the_wrong_specs_is_right() -> None:
    assert load_system(f"{BASE}/system.toml").title == "A small WGAN-GP"
    assert load_system(f"{BASE}/system.toml/wide").title == "A wide WGAN-GP"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'title = "ok"\nsource = "\xe9t\xe9"\n', "x.toml: is not UTF-8 text: line 2\n    save it as UTF-8"),
        (b"#" * (MAX_BYTES + 1), "x.toml: the file is larger than 1,000,000 bytes, too large for a spec"),
        (b"batch = " + b"9" * 5000, "x.toml: a number has too many digits"),
        (b"a = " + b"[" * 100_000, "x.toml: tables or lists are nested deeper than 16 levels"),
        (b".".join([b"a"] * 5_000) + b" = 1", "x.toml: tables or lists are nested deeper than 16 levels"),
    ],
    ids=["not_utf8", "too_large", "long_number", "deep_lists", "deep_keys"],
)
def test_wrong_file_is_answered(content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_bytes(content)
    with pytest.raises(SpecError) as raised:
        load_system("x.toml")
    assert str(raised.value) == message


def test_wrong_file_is_answered_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.toml").mkdir()
    for name, message in {
        "none.toml": "none.toml: cannot be read: No such file or directory",
        "folder.toml": "folder.toml: is a folder, not a TOML file",
        "a\0.toml": r"'a\x00.toml' is not a file name",
    }.items():
        with pytest.raises(SpecError) as raised:
            load_system(name)
        assert str(raised.value) == message


def test_file_that_a_link_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_bytes((BASE / "loss.toml").read_bytes())
    folder = tmp_path / "own"
    write_spec({}, folder)
    (folder / "loss.toml").unlink()
    (folder / "loss.toml").symlink_to(tmp_path / "secret.toml")
    with pytest.raises(SpecError, match="leaves the folder"):
        load_system(f"{folder}/system.toml")


def test_packaged_system_mentions_no_file() -> None:
    with pytest.raises(SpecError) as raised:
        load_system("began_mnist", ["loss.use=own.toml"])
    assert str(raised.value) == "--set loss.use=own.toml: a packaged system cannot mention the file 'own.toml'"


def test_definitions_doubled_sixty_times_are_read_at_once(tmp_path: Path) -> None:
    doubled = "".join(f'd{i} = "d{i - 1} + d{i - 1}"\n' for i in range(1, 61))
    old = 'G = "-mean(D(G(z)))"'
    edits = [
        {"file": "loss.toml", "old": "[define]", "new": f'[define]\nd0 = "k"\n{doubled}'},
        {"file": "loss.toml", "old": old, "new": 'G = "d60 - mean(D(G(z)))"'},
    ]
    write_spec({"edits": edits}, tmp_path)
    begun = time.perf_counter()
    assert sum(node.op == "add" for node in load_system(f"{tmp_path}/system.toml").plan.steps[1].nodes) == 60
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    "setting", ["", "=", "a=", "=1", "a", "a..b=1", "[a]=1", '"=1', "run.batch=\n[x]", "a=" + "[" * 5000]
)
def test_setting_of_any_text_is_answered(setting: str) -> None:
    with pytest.raises(SpecError) as raised:
        load_system("began_mnist", [setting])
    assert str(raised.value)


# Values that a key may wrongly have: each kind of TOML value, and numbers that arithmetic trips over.
VALUES = st.one_of(
    st.sampled_from(
        [True, -1, 0, 1, 0.5, 1e300, 10**400, math.nan, math.inf, "", "x", "1 / 0", "n", "0 ^ -1", "G.z", "D"]
    ),
    st.sampled_from(
        ["z", "(-8) ^ 0.5", "uniform(0, 1)", "uniform(1e300, 1e301)", "a.toml", "../a.toml", "critic_repeats"]
    ),
    st.sampled_from([[], [1], [[]], {}, {"use": 1}, {"labels": 10}, [{}], [1, 1, 1], [0, math.inf], ["D"], ["D", "G"]]),
    st.text(max_size=6),
)
TOKENS = st.sampled_from(
    [*"+-*/^(),.", "x", "z", "D(", "G(", "grad(", "mean(", "norm(", "detach(", "clip(", " 0", "k", "é", "1e999"]
)


@st.composite
def mutants(draw: st.DrawFn, system: str) -> dict[str, dict[str, Any]]:
    """A packaged system with one to three mistakes: a key gone, renamed or of another value, a text changed inside."""
    files = copy.deepcopy(own_files(system))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        place = draw(st.sampled_from(list(places(files[name])) or [("title",)]))
        old = at(files[name], place) if files[name] else ""
        mistake = draw(st.sampled_from(["delete", "rename", "replace", "insert", "cut"]))
        if mistake == "insert" and isinstance(old, str):
            i = draw(st.integers(0, len(old)))
            files[name] = changed(files[name], place, old[:i] + draw(TOKENS) + old[i:])
        elif mistake == "cut" and isinstance(old, str):
            i = draw(st.integers(0, len(old)))
            files[name] = changed(files[name], place, old[:i] + old[i + draw(st.integers(1, 3)) :])
        elif mistake in ("delete", "rename") and files[name]:
            holder = at(files[name], place[:-1])
            value = holder.pop(place[-1])
            if mistake == "rename" and isinstance(holder, dict):
                holder[str(place[-1]) + draw(st.sampled_from(["s", "_", "(v)", "."]))] = value
        else:
            files[name] = changed(files[name], place, copy.deepcopy(draw(VALUES)))
    return files


@pytest.mark.parametrize("system", SYSTEMS)
def test_mutant_is_loaded_or_answered(system: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rejected = []

        @settings(
            max_examples=int(os.environ.get("FUZZ", "0")) or max(15, 150 // len(SYSTEMS)),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(mutants(system))
        def check(files: dict[str, dict[str, Any]]) -> None:
            path = write(files, Path(folder))
            try:
                load_system(path)
            except SpecError as error:
                rejected.append(error)

        check()
        assert all(e.problems and all(problem.message for problem in e.problems) for e in rejected)
        assert rejected, "some mutants are wrong, or the mutations do nothing"


def test_dumps_writes_what_toml_reads() -> None:
    data = {"a b": [1, 2.5, True, {"c": 'quo"te\n\x7fé'}], "d": {"e": {}}, "f": 1e-8, "g": math.inf}
    assert tomllib.loads(dumps(data)) == data
