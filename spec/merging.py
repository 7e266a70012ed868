"""How one system's keys come together: those of what it is like, its own, a variant's, and settings."""

from __future__ import annotations

import contextlib
import copy
from typing import Any, cast

from ganspec.spec.network.reader import constant_names
from ganspec.spec.text.errors import Problem, SpecError
from ganspec.spec.text.files import Library, read_toml
from ganspec.spec.text.tables import kind_of

MAX_BASES = 8  # that systems are like, one behind the other


def with_base(data: dict[str, Any], file: str, library: Library, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Returns: a system's keys laid over those of the system that it is `like`, if any, and so on."""
    if "like" not in data:
        return data
    like = data.pop("like")
    if not isinstance(like, str):
        raise SpecError([Problem(file, "like", f"expected the name of a system, found {kind_of(like)}")])
    if "/" in like or "\\" in like:
        raise SpecError([Problem(file, "like", "a base of one's own stands in the same folder", "move it there")])
    if like in above or len(above) >= MAX_BASES:
        circle = " is like ".join([*above, like])
        raise SpecError([Problem(file, "like", f"at most {MAX_BASES} bases, each once, are allowed: {circle}")])
    found = library.find("systems", like, file, "like")
    base = with_base(copy.deepcopy(found.data), found.file, library, (*above, like))
    base.pop("variants", None)
    _drop_strange_sizes(base, data, file, library)
    return cast(dict[str, Any], merged(base, data, file))


def _drop_strange_sizes(base: dict[str, Any], data: dict[str, Any], file: str, library: Library) -> None:
    """Take from a base's reduced sizes those that the networks put in the place of its own do not have."""
    reduced, networks = base.get("reduced"), data.get("networks")
    reduced = reduced.get("networks") if isinstance(reduced, dict) else None
    if not isinstance(reduced, dict) or not isinstance(networks, dict):
        return
    for role, given in networks.items():
        use = given.get("use") if isinstance(given, dict) else given
        if isinstance(use, str) and use != "none" and isinstance(reduced.get(role), dict):
            valid = constant_names(library.find("architectures", use, file, f"networks.{role}"))
            reduced[role] = {key: value for key, value in reduced[role].items() if key in valid}


def parse_setting(setting: str) -> dict[str, Any]:
    key, equals, value = setting.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key or not value:
        raise SpecError([Problem("--set", setting, "expected KEY=VALUE, such as loss.penalty_weight=5")])
    for text in (f"{key} = {value}", f"{key} = {_quoted(value)}"):
        with contextlib.suppress(SpecError):
            return read_toml(text, "--set")
    raise SpecError([Problem("--set", setting, "the key is not a dotted name", "such as loss.penalty_weight=5")])


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def merged(data: Any, changes: Any, where: str) -> Any:
    """Returns: `data` with `changes` laid over it, table by table."""
    if not isinstance(changes, dict):
        return changes
    if data == "none":
        if not {"use", "sample"} & set(changes):
            return data  # left out, with all that is in it
        data = {}
    if isinstance(data, str):
        data = {"use": data}  # loss = "hinge" is short for loss = { use = "hinge" }
    for key in ("use", "kind"):
        if isinstance(changes.get(key), str) and isinstance(data, dict) and changes[key] != data.get(key):
            data = {}  # another file, or another kind of optimiser, has other numbers
    if not isinstance(data, dict):
        raise SpecError([Problem(where, "", f"cannot set {', '.join(changes)} inside a value that is not a table")])
    rivals = {"epochs": "iterations", "iterations": "epochs"}  # the one takes the other's place
    laid = {key: value for key, value in data.items() if rivals.get(key) not in changes}
    for key, value in changes.items():
        laid[key] = merged(data[key], value, where) if key in data else value
    return laid
