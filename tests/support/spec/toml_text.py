"""Writing TOML, which the standard library only reads; and a packaged system as the files of a user, to be changed."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganspec import spec
from ganspec.spec.merging import laid_over
from ganspec.spec.text.files import names

ROOT = Path(spec.__file__).parent
KINDS = ("architectures", "losses", "schedules")
Files = dict[str, dict[str, Any]]
Place = tuple[str | int, ...]


def dumps(data: dict[str, Any]) -> str:
    return "".join(f"{_text(key)} = {_value(value)}\n" for key, value in data.items())


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case dict():
            return "{" + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)  # numbers, nan and inf are written alike


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def own_files(system: str) -> Files:
    """Returns: a packaged system as "system.toml" and the files that it mentions, all by their own paths.

    A system that is like another is written out in full.
    """
    packaged = {name: ROOT / kind / f"{name}.toml" for kind in KINDS for name in names(kind)}
    own = re.compile(rf'(\b(?:use|loss|schedule|[A-Z]\w*) = )"({"|".join(packaged)})"')
    files = {"system.toml": _whole(system, own)}
    waiting = [files["system.toml"]]
    while waiting:
        for name in mentioned(waiting.pop()) - set(files):
            text = packaged[name.removesuffix(".toml")].read_text("utf-8")
            files[name] = tomllib.loads(own.sub(r'\1"\2.toml"', text))
            waiting.append(files[name])
    return files


def _whole(system: str, own: re.Pattern[str]) -> dict[str, Any]:
    """Returns: a system's data, laid over that of the one it is like."""
    data = tomllib.loads(own.sub(r'\1"\2.toml"', (ROOT / "systems" / f"{system}.toml").read_text("utf-8")))
    if "like" not in data:
        return data
    base = _whole(data.pop("like"), own)
    base.pop("variants", None)
    return laid_over(base, data, "")


def mentioned(data: Any) -> set[str]:
    """Returns: the files that data names."""
    if isinstance(data, str):
        return {data} if data.endswith(".toml") else set()
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return {name for value in inner for name in mentioned(value)}


def top_places(system: str) -> set[Place]:
    """Returns: the places that a packaged system's own file speaks of."""
    return set(places(tomllib.loads((ROOT / "systems" / f"{system}.toml").read_text("utf-8"))))


def write(files: Files, folder: Path) -> str:
    """Returns: the path of the system, as `load_system` takes it."""
    for name, data in files.items():
        (folder / name).write_text(dumps(data), "utf-8")
    return str(folder / "system.toml")


def places(data: Any, path: Place = ()) -> Iterator[Place]:
    """Returns: the place of every value inside, tables and lists among them."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def at(data: Any, place: Place) -> Any:
    for key in place:
        data = data[key]
    return data


def changed(data: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Returns: a copy with another value in one place."""
    data = copy.deepcopy(data)
    at(data, place[:-1])[place[-1]] = value
    return data
