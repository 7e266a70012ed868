"""The page docs/language.md against the code: every key that a reader accepts stands there, and no other.

The readers are watched while they read all packaged systems, the base of the wrong specs and the page's own examples.
A key table of the page is one whose headings are a place such as "system `[run]`", "type", "left out" and "meaning".
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ganspec import spec
from ganspec.spec.layers import KINDS
from ganspec.spec.parts import optimizers
from ganspec.spec.plan.builder import FUNCTIONS
from ganspec.spec.text import arithmetic, distributions
from ganspec.spec.text.tables import Table
from support.accepted_keys import (
    EVERY_LAYER,
    Accepted,
    keys_of_layer,
    keys_of_optimizer,
    may_be_left_out,
    read_everything,
)
from support.pages import ROOT, blocks, rows_under, tables, words_in_backticks

PAGE = ROOT / "docs" / "language.md"
# Tables whose keys are names that the writer of the file chooses.
FREE = {"system [carried]"}


@cache
def documented() -> Mapping[str, dict[str, list[str]]]:
    """Returns: for each place that the page has a key table of, its rows by key."""
    found: dict[str, dict[str, list[str]]] = {}
    for head, rows in tables(PAGE.read_text("utf-8")):
        for place in head[0].replace("`", "").split(" and ") if head[1:] == ["type", "left out", "meaning"] else ():
            found.setdefault(place, {}).update({key: row for row in rows for key in words_in_backticks(row[0])})
    return found


def examples(folder: Path) -> Path:
    """Returns: a folder, with the page's own files in it."""
    for block in blocks(PAGE, "toml"):
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
    return folder


def needed_keys(place: str) -> set[str] | None:
    """Returns: the keys that a layer or optimiser needs, and None for other places."""
    group, _, kind = place.partition(" ")
    if group == "layer" and kind in KINDS:
        return keys_of_layer(kind)[1]
    return keys_of_optimizer(kind)[1] if group == "optimiser" and kind in optimizers.KINDS else None


def in_backticks(place: str) -> str:
    """Returns: a place as a heading of the page has it: "system `[run]`"."""
    file, _, table = place.partition(" ")
    return f"{file} `{table}`" if table and place != EVERY_LAYER else place


def complaints(page: Mapping[str, Any], accepted: Mapping[str, set[str]]) -> list[str]:
    """Returns: what is to be added to the page or taken from it, one line each."""
    found = []
    for place in sorted({*page, *accepted} - FREE):
        shown = in_backticks(place)
        has, wanted = set(page.get(place, ())), accepted.get(place, set())
        if place not in page and wanted:
            listed = ", ".join(sorted(wanted))
            found.append(f"docs/language.md needs a table headed '| {shown} | type | left out | meaning |': {listed}")
            continue
        if place not in accepted:
            found.append(f"docs/language.md: nothing reads a table '{shown}': take it out, or read it in an example")
            continue
        found += [
            f"docs/language.md: the table '{shown}' lacks the key '{key}': add a row" for key in sorted(wanted - has)
        ]
        found += [
            f"docs/language.md: no reader takes '{key}' of '{shown}': take it out" for key in sorted(has - wanted)
        ]
    return found


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Accepted:
    return read_everything(examples(tmp_path_factory.mktemp("examples")))


def test_every_key_is_on_the_page_and_no_other(accepted: Accepted) -> None:
    found = complaints(documented(), accepted.keys)
    assert not found, "\n".join(found)


def test_every_table_that_may_be_left_out_is_read_in_some_file(accepted: Accepted) -> None:
    unread = {place for place in accepted.opened if place not in accepted.keys}
    assert not unread, f"no file has these tables: {unread}; put them into an example of docs/language.md"


def test_a_key_that_the_page_lacks_or_has_too_many_is_named(accepted: Accepted) -> None:
    page = {place: keys for place, keys in accepted.keys.items() if keys}  # a right page
    assert not complaints(page, accepted.keys)
    for place, keys in page.items():
        key = min(keys)
        without = complaints({**page, place: keys - {key}}, accepted.keys)
        assert without == [f"docs/language.md: the table '{in_backticks(place)}' lacks the key '{key}': add a row"]
        assert len(complaints({**page, place: keys | {"colour"}}, accepted.keys)) == 1
        assert len(complaints({other: page[other] for other in page if other != place}, accepted.keys)) == 1


def test_a_key_that_a_reader_begins_to_take_is_seen(
    accepted: Accepted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adam = optimizers.KINDS["adam"]

    def with_a_new_key(table: Table, *arguments: Any) -> Any:
        table.number("warmth", 1.0)
        return adam.read(table, *arguments)

    monkeypatch.setitem(optimizers.KINDS, "adam", adam._replace(read=with_a_new_key))
    (found,) = complaints(accepted.keys, read_everything(examples(tmp_path)).keys)
    assert found == "docs/language.md: the table 'optimiser `adam`' lacks the key 'warmth': add a row"


def test_the_page_says_which_keys_may_be_left_out(accepted: Accepted) -> None:
    wrong = []
    for place, rows in documented().items():
        needed = needed_keys(place)
        for key, row in rows.items():
            if needed is not None:
                optional = key not in needed
            elif (place, key) in accepted.where and place != EVERY_LAYER:
                optional = may_be_left_out(place, key, accepted.where[place, key])
            else:
                continue  # no file has it, so it may be left out; or every layer's, of which `kind` alone may not
            if row[2].partition(" ")[0].strip(",;:") != ("yes" if optional else "no"):
                wrong.append(f"docs/language.md: '{key}' of '{place}' may {'' if optional else 'not '}be left out")
    assert not wrong, "\n".join(wrong)


def test_the_page_has_every_word_that_a_key_may_be(accepted: Accepted) -> None:
    wrong = []
    for (place, key), options in accepted.options.items():
        row = documented().get(place, {}).get(key)
        said = " ".join(row) if row else ""
        wrong += [f"'{word}' of '{key}' in '{place}'" for word in options if row and f'"{word}"' not in said]
    assert not wrong, f"docs/language.md lacks: {', '.join(wrong)}"


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("layer", [*KINDS, "network"]),
        ("function", FUNCTIONS),
        ("arithmetic function", arithmetic.FUNCTIONS),
        ("distribution", distributions.KINDS),
        ("optimiser", optimizers.KINDS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_page_lists_every(heading: str, wanted: Any) -> None:
    found = {name.partition("(")[0] for name in rows_under(PAGE, heading)}
    assert found == set(wanted)


def test_the_page_has_every_bound_and_its_value() -> None:
    wanted = {}
    for module in pkgutil.walk_packages(spec.__path__, "ganspec.spec."):
        path = "spec/" + module.name.removeprefix("ganspec.spec.").replace(".", "/") + ".py"
        found = vars(importlib.import_module(module.name))
        own = re.findall(r"^(MAX_\w+) =", (ROOT / path).read_text("utf-8"), re.MULTILINE) if not module.ispkg else ()
        wanted |= {(path, name): found[name] for name in own}
    rows = [row for head, rows in tables(PAGE.read_text("utf-8")) if head[0] == "bound" for row in rows]
    page = {tuple(words_in_backticks(row[0])): row[1] for row in rows}
    code = {place: f"{value:,}" for place, value in wanted.items()}
    wrong = [
        f"{' '.join(place)}: {code.get(place)} in the code"
        for place in {*page, *code}
        if page.get(place) != code.get(place)
    ]
    assert not wrong, f"docs/language.md, Bounds: {', '.join(sorted(wrong))}"
