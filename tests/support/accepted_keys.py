"""What the readers of specs accept: they are watched while they read every system, and every key that they ask for is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ganspec import spec
from ganspec.spec import SpecError, load_system, system_names
from ganspec.spec.layers import KINDS, ShapeError
from ganspec.spec.parts import optimizers
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.files import read_file
from ganspec.spec.text.tables import Table

BASE = Path(__file__).resolve().parents[1] / "spec" / "base" / "system.toml"
EVERY_LAYER = "every layer"
# Keys that are taken out of a system file before a table of it is read.
TAKEN_BEFORE = {"system": ("like", "variants", "reduced")}
CONTENTS = {"networks": "system", "network": "architecture", "losses": "loss", "steps": "schedule", "like": "system"}
SHAPES = (
    [(3, 8, 8)],
    [(6,)],
    [(1,)],
    [(3, 8, 8), (3, 8, 8)],
    [(3, 8, 8), (4,)],
)  # inputs that some kind of layer takes


@dataclass
class Accepted:
    """What the readers were seen to accept.

    Args:
        keys: keys of each place.
        options: values of each key that takes one of a few words.
        opened: places whose tables may be left out and were asked for.
        where: a system, and whether it is reduced, that has the key.
    """

    keys: dict[str, set[str]] = field(default_factory=dict)
    options: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    where: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)


class Places:
    """Names the place of a table: the kind of its file and its path, with names and numbers taken out."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}

    def note(self, table: Table) -> None:
        if table.key == "" and (found := [kind for key, kind in CONTENTS.items() if key in table.data]):
            self.kinds[table.file] = found[0]

    def of(self, table: Table, name: str = "") -> str:
        path = f"{table.key}.{name}".strip(".") if name else table.key
        kind = self.kinds.get(table.file, "")
        if layer := re.fullmatch(r"network\.layers\[\d+\](?: \(.*?\))?(?:\.(\w+))?", path):
            return f"layer [{layer[1]}]" if layer[1] else f"layer {table.data.get('kind')}"
        inner = r"(clip|learning_rate_schedule(?:\.warmup)?)"
        if optimizer := re.fullmatch(rf"optimizers(?:\.(?!clip|learning_rate_schedule)\w+)?(?:\.{inner})?", path):
            return f"optimiser [{optimizer[1]}]" if optimizer[1] else f"optimiser {table.data.get('kind')}"
        path = re.sub(r"\[\d+\](?: \([^)]*\))?", "", path)
        path = re.sub(r"^(networks)\.\w+", r"\1.ROLE", path)
        path = re.sub(r"^(draws|carried|report|inputs)\.\w+", r"\1.NAME", path)
        return f"{kind} [{path}]" if path else kind


@contextmanager
def watching(found: Accepted, system: tuple[str, bool]) -> Iterator[None]:
    """Note what readers accept of every table while a system is loaded."""
    places, patch = Places(), pytest.MonkeyPatch()
    made, closed, chosen, optional = Table.__init__, Table.close, Table.choice, Table.optional

    def make(table: Table, *arguments: Any, **named: Any) -> None:
        made(table, *arguments, **named)
        places.note(table)

    def close(table: Table, keys: Any = None) -> None:
        place = places.of(table)
        found.keys.setdefault(place, set()).update(table.read)
        for key in table.data:
            found.where.setdefault((place, key), system)
        closed(table, keys)

    def choice(table: Table, name: str, options: Any, *default: Any) -> str:
        found.options.setdefault((places.of(table), name), set()).update(options)
        return chosen(table, name, options, *default)

    def optional_table(table: Table, name: str, **how: Any) -> Table | None:
        found.opened.add(places.of(table, name))
        return optional(table, name, **how)

    for name, watcher in (("__init__", make), ("close", close), ("choice", choice), ("optional", optional_table)):
        patch.setattr(Table, name, watcher)
    try:
        yield
    finally:
        patch.undo()


def read_everything(folder: Path) -> Accepted:
    """Read every packaged system, the base of the wrong specs and the systems in a folder, at both sizes."""
    own = [str(path) for path in folder.glob("*.toml") if {"networks", "like"} & set(read_file(path, path.name))]
    assert own, "the folder has a system of its own"
    found = Accepted()
    for system in [(name, reduced) for name in (*system_names(), str(BASE), *own) for reduced in (False, True)]:
        with watching(found, system):
            load_system(system[0], reduced=system[1])
    layers = {kind: keys for kind in KINDS if (keys := found.keys.get(f"layer {kind}"))}
    common = set.intersection(*layers.values())
    for kind in KINDS:
        found.keys[f"layer {kind}"] = (keys_of_layer(kind)[0] | layers.get(kind, set())) - common
    found.keys["layer network"] -= common
    for kind in optimizers.KINDS:
        found.keys[f"optimiser {kind}"] = keys_of_optimizer(kind)[0]
    found.keys[EVERY_LAYER] = common
    for place, keys in TAKEN_BEFORE.items():
        found.keys[place].update(keys)
    chosen_by_files = constants_of(folder)
    for place in ("system [loss]", "system [schedule]", "system [networks.ROLE]", "layer network"):
        found.keys[place] -= chosen_by_files
    return found


def constants_of(folder: Path) -> set[str]:
    """Returns: the names of the constants in all packaged files, in those of the tests' base and in those of a folder."""
    packaged = [Path(spec.__file__).parent / kind for kind in ("architectures", "losses", "schedules")]
    files = [read_file(path, path.name) for place in (*packaged, BASE.parent, folder) for path in place.glob("*.toml")]
    return {name for data in files for name in data.get("constants", {})}


def keys_of_layer(kind: str) -> tuple[set[str], set[str]]:
    """Returns: the keys that a kind of layer takes, and those of them that it needs."""
    taken: set[str] = set()
    needed: set[str] = set()
    for shapes in (shapes for shapes in SHAPES if KINDS[kind].least <= len(shapes) <= KINDS[kind].most):
        problems = Problems()
        table = Table({}, "", "", problems)
        with suppress(ShapeError, ValueError):  # inputs that this kind does not take
            KINDS[kind].make(table, list(shapes))
        taken |= table.read
        found = [re.fullmatch("the key '(.*)' is missing", problem.message) for problem in problems.found]
        needed |= {match[1] for match in found if match}
    return taken, needed


def keys_of_optimizer(kind: str) -> tuple[set[str], set[str]]:
    """Returns: the keys that a kind of optimiser takes, and those of them that it needs."""
    data = {"kind": kind, "learning_rate": 0.1, **optimizers.KINDS[kind].numbers}
    table = Table(data, "", "", Problems())
    optimizers.read_optimizer(table, "kind")
    needed = set()
    for key in data:
        problems = Problems()
        optimizers.read_optimizer(Table({k: v for k, v in data.items() if k != key}, "", "", problems), "kind")
        needed |= {key} if problems.found else set()
    return table.read, needed


def may_be_left_out(place: str, key: str, system: tuple[str, bool]) -> bool:
    """Returns: whether a system loads, as far as that table goes, when a key is taken out of all tables of that place."""
    places, patch, made = Places(), pytest.MonkeyPatch(), Table.__init__
    dropped: set[tuple[str, str]] = set()

    def make(table: Table, *arguments: Any, **named: Any) -> None:
        made(table, *arguments, **named)
        places.note(table)
        if places.of(table) == place and key in table.data:
            table.data = {name: value for name, value in table.data.items() if name != key}
            dropped.add((table.file, table.key))

    patch.setattr(Table, "__init__", make)
    try:
        load_system(system[0], reduced=system[1])
    except SpecError as error:
        return dropped.isdisjoint((problem.file, problem.key) for problem in error.problems)
    finally:
        patch.undo()
    return True
