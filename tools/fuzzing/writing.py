"""A drawn system as files: TOML that a person can read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAIN = "system.toml"


@dataclass(frozen=True)
class Drawn:
    """A system that was drawn.

    Args:
        files: text of each file by its name; `MAIN` is the system's own.
        seed: seed of its parameters, draws and images.
        iterations: number of iterations that are compared.
    """

    files: Mapping[str, str]
    seed: int = 0
    iterations: int = 2

    def write(self, folder: Path) -> Path:
        """Write the files into a folder that is there. Returns: the system's own file."""
        for name, text in self.files.items():
            (folder / name).write_text(text, "utf-8")
        return folder / MAIN

    def __repr__(self) -> str:
        """The files one below the other, as hypothesis shows them where an example fails."""
        text = "\n".join(f"# {name}\n{text}" for name, text in sorted(self.files.items()))
        return f"a system, seed {self.seed}, {self.iterations} iterations:\n{text}"


def toml(data: Mapping[str, Any]) -> str:
    """Write a file: plain keys first, then each table under its heading; layers and steps stand on lines of their own.

    Args:
        data: keys and values: texts, numbers, lists, tables.

    Returns: the TOML.
    """
    plain = {key: value for key, value in data.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in data.items() if isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_value(value, True)}" for key, value in plain.items()]
    for name, table in tables.items():
        lines += ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(value, True)}" for key, value in table.items())]
    return "\n".join([*lines, ""])


def _value(value: Any, lines: bool = False) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Mapping():
            return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}" if value else "{}"
        case list() | tuple() if lines and any(isinstance(item, Mapping) for item in value):
            return "\n".join(["[", *(f"  {_value(item)}," for item in value), "]"])
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case float() if value == int(value) and abs(value) < 1e6:
            return str(int(value))
    return json.dumps(value)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key)


def sections(text: str) -> Iterator[str]:
    """Yields: each line of a file that is neither empty nor a heading."""
    yield from (line for line in text.splitlines() if line and not line.startswith("["))
