"""Every number of every packaged data file: change it, and the golden vectors change, or the file is refused."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ganspec.spec import SpecError, load_system, system_names
from ganspec.spec.text import files
from ganspec.tools.vectors import descriptions
from ganspec.tools.vectors.files import DESCRIPTIONS, PACKAGED, read_json

ALL = [f"{kind}/{name}.toml" for kind in descriptions.KINDS for name in files.names(kind)]
NO_NUMBERS = ("title", "source")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
EVERY = 11  # of so many numbers of a file, one is tried each time; the test marked slow tries all
# Numbers that may be changed without any change of what is computed or shown, each with its reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}

Path = tuple[Any, ...]


def numbers(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields: where each number stands, and the value with another number in its place."""
    if isinstance(data, dict):
        for key, inner in data.items():
            yield from numbers(inner, (*path, key)) if key not in NO_NUMBERS else ()
    elif isinstance(data, list):
        for key, inner in enumerate(data):
            yield from numbers(inner, (*path, key))
    elif isinstance(data, (int, float)) and not isinstance(data, bool):
        yield path, changed(data)
    elif isinstance(data, str):
        for match in NUMBER.finditer(data):
            value = float(match[0]) if set(".eE") & set(match[0]) else int(match[0])
            yield (*path, match.start()), f"{data[: match.start()]}{changed(value)!r}{data[match.end() :]}"


def changed(value: float) -> float:
    """Returns: a number near by; a whole one stays whole."""
    return value + 1 if isinstance(value, int) else value * 1.25 or 0.125


def with_number(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Returns: a copy of a file's content in which one value is another."""
    mutant = copy.deepcopy(data)
    place: Any = mutant
    *parents, last = path[:-1] if isinstance(value, str) else path
    for key in parents:
        place = place[key]
    place[last] = value
    return mutant


@pytest.fixture(scope="module")
def users() -> dict[str, list[tuple[str, bool]]]:
    """The systems, each at full and at reduced size, that read each file."""
    found: dict[str, list[tuple[str, bool]]] = {name: [] for name in ALL}
    read, patch = files.read_toml, pytest.MonkeyPatch()
    for system in [(name, reduced) for name in system_names() for reduced in (False, True)]:
        seen: set[str] = set()
        patch.setattr(files, "read_toml", lambda text, label, seen=seen: (seen.add(label), read(text, label))[1])
        load_system(system[0], reduced=system[1])
        patch.undo()
        for label in seen:
            found[label].append(system)
    return found


def described(kept: dict[str, Any], name: str, reduced: bool) -> dict[str, Any]:
    """Returns: a system as the kept descriptions say it is, by path."""
    entry = kept["systems"][name]
    if "like" in entry:
        found = described(kept, entry["like"], False) | entry["changes"]
    else:
        found = dict(descriptions._leaves(entry["full"]))
    found = found | (entry["reduced"] if reduced else {})
    return {path: value for path, value in found.items() if value != descriptions._ABSENT}


@pytest.fixture(scope="module")
def kept() -> dict[Any, Any]:
    """What the kept descriptions say of each system at each size, and of each file's constants."""
    content = read_json(PACKAGED, DESCRIPTIONS)
    systems = {(n, reduced): described(content, n, reduced) for n in content["systems"] for reduced in (False, True)}
    return systems | {f"{name}.toml": constants for name, constants in content["constants"].items()}


def unseen(label: str, kept: dict[Any, Any], users: dict[str, list[tuple[str, bool]]], every: int) -> list[Path]:
    """Returns: the places of those of a file's numbers whose change no kept description sees."""
    read, data = files.read_toml, files.read_file(files._ROOT / label, label)
    tried = list(numbers(data))[::every]
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for path, value in tried:
            mutant = with_number(data, path, value)
            patch.setattr(files, "read_toml", lambda text, name, m=mutant: m if name == label else read(text, name))
            if label in kept and mutant.get("constants", {}) != kept[label]:
                continue
            if (label, ".".join(map(str, path))) not in EXCEPTIONS and not is_seen(users[label], kept):
                found.append(path)
    return found


def is_seen(systems: list[tuple[str, bool]], kept: dict[Any, Any]) -> bool:
    for name, reduced in systems:
        try:
            now = descriptions.whole(load_system(name, reduced=reduced))
        except SpecError:
            return True
        if dict(descriptions._leaves(now)) != kept[name, reduced]:
            return True
    return False


@pytest.mark.parametrize("label", ALL)
def test_a_changed_number_changes_the_vectors(label, kept, users):
    assert unseen(label, kept, users, EVERY) == []


@pytest.mark.slow
@pytest.mark.parametrize("label", ALL)
def test_every_changed_number_changes_the_vectors(label, kept, users):
    assert unseen(label, kept, users, 1) == []


def test_unchanged_files_are_as_described(kept, users):
    assert not any(is_seen([system], kept) for systems in users.values() for system in systems[:1])
    assert all(users.values()), "each packaged file is part of a system"


def test_exceptions_are_numbers_that_are_there():
    for label, place in EXCEPTIONS:
        assert place in {".".join(map(str, path)) for path, _ in numbers(files.read_file(files._ROOT / label, label))}
