"""Every key changes something: each value of a packaged system and of the files it mentions is changed in turn."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from ganspec.spec import SpecError, System, load_system, system_names
from ganspec.spec.network.architecture import Architecture
from support.spec.toml_text import Files, Place, at, changed, mentioned, own_files, places, top_places, write

SYSTEMS = [name for name in system_names() if "/" not in name]


def resolved(system: System) -> tuple[Any, ...]:
    """Returns: what a system is once its formulas are planned and its sizes settled: not the texts that led there."""

    def network(a: Architecture) -> tuple[Any, ...]:
        return a.title, a.source, dict(a.inputs), a.layers, dict(a.outputs)

    loss, schedule = system.loss, system.schedule
    return (
        (system.title, system.source, loss.title, loss.source, schedule.title, schedule.source),
        [({role: network(a) for role, a in stage.networks.items()}, stage.plan) for stage in system.stages],
        {name: (state.start, state.network) for name, state in loss.carried.items()},
        {name: formula.tree for name, formula in loss.telling.items()},
        {name: system.draws[name] for name in system.draws},
        (system.symbols, system.optimizers, system.learning_rate_schedules, system.averages, system.decay),
        (system.growth, system.manifold),
        (system.data, system.run, schedule.data, schedule.noise, schedule.steps),
    )


def inner_titles(files: Files) -> set[tuple[str, Place]]:
    """Returns: titles and sources of networks inside networks, which the outer network's stand for."""
    systems = [files["system.toml"], *files["system.toml"].get("variants", {}).values()]
    uses = [use for system in systems for use in system.get("networks", {}).values()]
    outer = {use if isinstance(use, str) else use.get("use") for use in uses}
    inner = {name for name, data in files.items() if "network" in data} - outer
    return {(name, (key,)) for name in inner for key in ("title", "source")}


def mentions(data: Any, file: str) -> list[dict[str, Any]]:
    """Returns: the tables that mention a file; an empty one for a mention by name alone."""
    if data == file:
        return [{}]
    if isinstance(data, dict) and data.get("use") == file:
        return [data]
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [found for value in inner for found in mentions(value, file)]


def is_overridden(files: Files, name: str, place: Place) -> bool:
    """Returns: whether each mention of a file gives this number of its own, so that the file's is only a default."""
    if name == "system.toml" or place[0] != "constants" or len(place) != 2:
        return False
    return all(place[1] in m for data in files.values() for m in mentions(data, name))


def others(value: Any) -> list[Any]:
    """Returns: other values for a key, near the right one."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, value * 2 + 3]
        case float():
            return [value * 1.25, value + 0.001]
        case str():
            return [f"{value}x", f"2 * ({value})"]
    return []


@functools.cache
def cases(system: str) -> list[tuple[str, Place]]:
    """Returns: the places that this system can tell something about, in its own file and in those that it mentions."""
    files = own_files(system)
    exempt, top = inner_titles(files), top_places(system)
    return [
        (name, place)
        for name, data in files.items()
        for place in places(data)
        if others(at(data, place)) and (name, place) not in exempt and not is_overridden(files, name, place)
        if name != "system.toml" or place in top  # the keys of its base are tried with that
    ]


def reached(files: Files, data: Any) -> set[str]:
    """Returns: the files that data names, and those that they name."""
    found: set[str] = set()
    waiting = mentioned(data)
    while waiting:
        found |= waiting
        waiting = {inner for name in waiting for inner in mentioned(files[name])} - found
    return found


def home(files: Files, name: str, place: Place) -> tuple[str, bool]:
    """Returns: the variant that a place belongs to, "" for none, and whether it is one of the reduced sizes."""
    system = files["system.toml"]
    if name == "system.toml":
        variant = str(place[1]) if place[0] == "variants" and len(place) > 1 else ""
        return variant, "reduced" in place[: 3 if variant else 1]
    without = {key: value for key, value in system.items() if key != "variants"}
    if name in reached(files, without):
        return "", False
    return next(v for v, data in system["variants"].items() if name in reached(files, data)), False


def outcome(path: str, variant: str, reduced: bool) -> tuple[Any, ...]:
    """Returns: the resolved system or why there is none."""
    try:
        return resolved(load_system(f"{path}/{variant}" if variant else path, reduced=reduced))
    except SpecError as error:
        return (str(error),)


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_key_changes_something(system: str, tmp_path: Path) -> None:
    files = own_files(system)
    path = write(files, tmp_path)
    right: dict[Any, Any] = {}
    idle, loaded = [], 0
    seen = {case for earlier in SYSTEMS[: SYSTEMS.index(system)] for case in cases(earlier) if case[0] != "system.toml"}
    for name, place in cases(system):
        if (name, place) in seen:
            continue
        where = home(files, name, place)
        if where not in right:
            right[where] = outcome(path, *where)
            assert len(right[where]) > 1, right[where]
        for other in others(at(files[name], place)):
            write({name: changed(files[name], place, other)}, tmp_path)
            found = outcome(path, *where)
            assert found != ("",), "a change is not refused without a reason"
            if found == right[where]:
                idle.append((name, place, other))
            if len(found) > 1:
                loaded += 1
                break  # another right value would say no more
        write({name: files[name]}, tmp_path)
    assert not idle
    assert loaded > 3, "some changes must lead to another right system, or this says little"


def test_own_files_are_the_packaged_system(tmp_path: Path) -> None:
    for system in SYSTEMS:
        assert resolved(load_system(write(own_files(system), tmp_path))) == resolved(load_system(system))
