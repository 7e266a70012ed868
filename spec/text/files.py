"""Spec files: where they are found, the packaged ones by name, a user's own by path; and how TOML is read.

A name such as "wgan_gp" means the packaged file of that kind. Text that ends in ".toml" is a path, relative to the
system file that mentions it, and must stay inside that file's folder: spec files come from strangers.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import Problem, SpecError, did_you_mean, expected_one_of

_ROOT = Path(__file__).resolve().parent.parent  # the folder `spec`
MAX_BYTES = 1_000_000  # of one spec file; ours are under 10 kB
MAX_NESTING = 16  # of tables and lists; ours are nested three deep
_NAME = re.compile(r"[A-Za-z0-9_]+")


def names(kind: str) -> list[str]:
    """Returns: the packaged names of a kind: "systems", "architectures", "losses" or "schedules"."""
    return sorted(path.stem for path in (_ROOT / kind).glob("*.toml"))


@dataclass(frozen=True)
class SpecFile:
    """A spec file that was read: how messages name it, its content, its short name."""

    file: str
    data: dict[str, Any]
    name: str


@dataclass(frozen=True)
class Library:
    """Finds the files that one system mentions.

    Args:
        folder: the folder of the user's system file; None for a packaged system, which mentions packaged files only.
    """

    folder: Path | None = None

    def find(self, kind: str, name: str, file: str, key: str) -> SpecFile:
        """Read the file that a key mentions.

        Args:
            kind: "architectures", "losses", "schedules" or "systems".
            name: a packaged name or a path.
            file, key: who mentions it, for messages.

        Raises:
            SpecError: there is no such file, or it may not be read from here.
        """
        if name.endswith(".toml"):
            return self._own(name, file, key)
        if _NAME.fullmatch(name) and (_ROOT / kind / f"{name}.toml").is_file():
            label = f"{kind}/{name}.toml"
            return SpecFile(label, read_file(_ROOT / kind / f"{name}.toml", label), name)
        valid = names(kind)
        hint = did_you_mean(name, valid) or "a file of your own is named by its path, ending in .toml"
        message = f"there is no '{name}' in {kind}: {expected_one_of(valid)}"
        raise SpecError([Problem(file, key, message, hint)])

    def _own(self, name: str, file: str, key: str) -> SpecFile:
        if self.folder is None:
            raise SpecError([Problem(file, key, f"a packaged system cannot mention the file '{name}'")])
        path = _path(self.folder / name, file, key).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise SpecError(
                [Problem(file, key, f"'{name}' leaves the folder of the system file", "put the file beside it")]
            )
        if not path.is_file():
            message = f"there is no file '{name}' in the folder of the system file"
            raise SpecError([Problem(file, key, message, did_you_mean(name, _files(self.folder)))])
        return SpecFile(name, read_file(path, name), path.stem)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.toml"))


def _path(path: Path, file: str, key: str) -> Path:
    if "\0" in str(path):
        raise SpecError([Problem(file, key, f"'{path}' is not a file name")])
    return path


def find_system(name: str) -> tuple[SpecFile, Library]:
    """Read a system file.

    Args:
        name: a packaged name, or the path of a TOML file.

    Returns: the file and the library for what it mentions.

    Raises:
        SpecError: there is no such system, or its file cannot be read.
    """
    if name.endswith(".toml"):
        path = _path(Path(name), "", "")
        return SpecFile(name, read_file(path, name), path.stem), Library(path.resolve().parent)
    if _NAME.fullmatch(name) and (_ROOT / "systems" / f"{name}.toml").is_file():
        label = f"systems/{name}.toml"
        return SpecFile(label, read_file(_ROOT / "systems" / f"{name}.toml", label), name), Library()
    valid = names("systems")
    message = f"there is no system '{name}': {expected_one_of(valid)}"
    hint = did_you_mean(name, valid) or "a system of your own is named by its path, ending in .toml"
    raise SpecError([Problem("", "", message, hint)])


def read_file(path: Path, label: str) -> dict[str, Any]:
    """Read a TOML file of at most `MAX_BYTES`.

    Args:
        path: where it is.
        label: the name that messages give it.

    Raises:
        SpecError: it cannot be read, is too large, or is not TOML; the message says where.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SpecError([Problem(label, "", f"the file is larger than {MAX_BYTES:,} bytes, too large for a spec")])
        return read_toml(content.decode("utf-8"), label)
    except OSError as error:
        raise SpecError([Problem(label, "", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SpecError([Problem(label, "", f"is not UTF-8 text: line {line}", "save it as UTF-8")]) from None


def read_toml(text: str, label: str) -> dict[str, Any]:
    """Read TOML text.

    Raises:
        SpecError: it is not TOML, or its tables are nested deeper than `MAX_NESTING`; the message says where.
    """
    too_deep = Problem(label, "", f"tables or lists are nested deeper than {MAX_NESTING} levels")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError([_not_toml(text, label, str(error))]) from None
    except RecursionError:
        raise SpecError([too_deep]) from None
    except ValueError:  # Python refuses whole numbers of thousands of digits
        raise SpecError([Problem(label, "", "a number has too many digits")]) from None
    level: list[Any] = [data]
    for _ in range(MAX_NESTING):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
    if level:
        raise SpecError([too_deep])
    return data


def _not_toml(text: str, label: str, reason: str) -> Problem:
    place = re.search(r" \(at line (\d+), column (\d+)\)$", reason)
    if place is None:
        return Problem(label, "", f"is not TOML: {reason}")
    line, column = int(place[1]), int(place[2]) - 1
    hint = 'text needs quotes: key = "text"' if reason.startswith("Invalid value") else ""
    message = f"is not TOML: {reason[: place.start()]}, line {line}"
    return Problem(label, "", message, hint, text.replace("\r\n", "\n").split("\n")[line - 1], (column, column + 1))
