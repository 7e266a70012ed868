"""Spec files: how they are found and how TOML is read.

A name such as "wgan_gp" means the packaged file of that kind. A text that ends in ".toml" is the path of a user's own file,
relative to the system file that mentions it; it must stay inside that file's folder, because spec files come from strangers.
"""

from __future__ import annotations

import copy
import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ganspec.spec.text.errors import Problem, SpecError, did_you_mean, expected_one_of
from ganspec.spec.text.lines import KeyPath, lines_of

_ROOT = Path(__file__).resolve().parent.parent  # the folder `spec`
MAX_BYTES = 1_000_000  # of one spec file; ours are under 10 kB
MAX_NESTING = 16  # of tables and lists; ours are nested three deep
_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")
# What a path can lead to besides a file. Opening a pipe would wait for a writer, and some devices never end.
_NOT_FILES: dict[str, Callable[[int], bool]] = {
    "a folder": stat.S_ISDIR,
    "a named pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: not stat.S_ISREG(mode),
}


def names(kind: str) -> list[str]:
    """Returns: the packaged names of a kind: "systems", "architectures", "losses" or "schedules"."""
    return sorted(path.stem for path in (_ROOT / kind).glob("*.toml"))


def system_names() -> list[str]:
    """Returns: every packaged system and variant, "NAME" and "NAME/VARIANT"."""
    listed = []
    for name in names("systems"):
        variants = read_file(_ROOT / "systems" / f"{name}.toml", f"systems/{name}.toml").get("variants", {})
        listed += [name, *(f"{name}/{variant}" for variant in variants)]
    return listed


def split_variant(name: str) -> tuple[str, str]:
    """Returns: a system's name or path, and the variant that follows the last slash, "" for none."""
    if name.endswith(".toml"):
        return name, ""
    base, _, variant = name.rpartition("/")
    return (base, variant) if base and variant and (base.endswith(".toml") or "/" not in base) else (name, "")


@dataclass(frozen=True)
class SpecFile:
    """A spec file that was read.

    Args:
        file: name of the file in messages.
        data: content of the file.
        name: short name of what the file describes.
        text: TOML of which `data` was read; empty where it is not known.
        places: of a system with a base or variant, files and tables in which its keys are written, the lowest first.
    """

    file: str
    data: dict[str, Any]
    name: str
    text: str = field(default="", repr=False, compare=False)
    places: tuple[tuple[SpecFile, KeyPath], ...] = field(default=(), repr=False, compare=False)

    @cached_property
    def lines(self) -> Mapping[KeyPath, int]:
        """The line of each key of the file, see `lines_of`; empty where `data` was changed after it was read."""
        return lines_of(self.text, self.data)

    def source(self, *path: str | int) -> str:
        """Returns: file and line of a key or list element, "losses/wgan_gp.toml:21"; the file alone if the line is unknown."""
        line = self.lines.get(path)
        return self.file if line is None else f"{self.file}:{line}"

    def source_of_optimizer(self, network: str) -> str:
        """Returns: file and line of the table that says the kind of a network's optimiser; the file alone if it is unknown."""
        for table in (("optimizers", network), ("optimizers",)):
            for file, place in reversed(self.places):
                if (*place, *table, "kind") in file.lines:
                    return file.source(*place, *table)
        return self.file

    @property
    def constant_names(self) -> list[str]:
        """The names of the numbers that a system may set in this file."""
        constants = self.data.get("constants")
        return list(constants) if isinstance(constants, dict) else []


@dataclass(frozen=True)
class Library:
    """Finds the files that one system mentions.

    Args:
        folder: folder of the user's system file; None for a packaged system, which mentions packaged files only.
    """

    folder: Path | None = None

    def find(self, kind: str, name: str, file: str, key: str) -> SpecFile:
        """Read the file that a key mentions.

        Args:
            kind: "architectures", "losses", "schedules" or "systems".
            name: packaged name or path.
            file: name of the file that mentions it, for messages.
            key: key that mentions it, for messages.

        Returns: the file.

        Raises:
            SpecError: there is no such file, or it may not be read from here.
        """
        if name.endswith(".toml"):
            return self._own(name, file, key)
        if (packaged := _packaged(kind, name)) is not None:
            return packaged
        valid = system_names() if kind == "systems" else names(kind)
        hint = did_you_mean(name, valid) or "a file of your own is named by its path, ending in .toml"
        message = f"there is no '{name}' in {kind}: {expected_one_of(valid)}"
        raise SpecError([Problem(file, key, message, hint)])

    def _own(self, name: str, file: str, key: str) -> SpecFile:
        if self.folder is None:
            raise SpecError([Problem(file, key, f"a packaged system cannot mention the file '{name}'")])
        try:
            path = _path(self.folder / name, file, key).resolve()
            is_file = path.is_file()
        except (OSError, RuntimeError):  # a name that is too long, a circle of links
            raise SpecError([Problem(file, key, f"'{name[:100]}' cannot be read")]) from None
        if not path.is_relative_to(self.folder.resolve()):
            raise SpecError(
                [Problem(file, key, f"'{name}' leaves the folder of the system file", "put the file beside it")]
            )
        if not is_file:
            message = f"there is no file '{name}' in the folder of the system file"
            raise SpecError([Problem(file, key, message, did_you_mean(name, _files(self.folder)))])
        return _spec_file(path, name, path.stem)


def _packaged(kind: str, name: str) -> SpecFile | None:
    path = _ROOT / kind / f"{name}.toml"
    if not _NAME.fullmatch(name) or not path.is_file():
        return None
    label = f"{kind}/{name}.toml"
    return _spec_file(path, label, name)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.toml"))


def _path(path: Path, file: str, key: str) -> Path:
    if "\0" in str(path):
        raise SpecError([Problem(file, key, f"'{path}' is not a file name")])
    return path


def find_system(name: str) -> tuple[SpecFile, str, Library]:
    """Read a system file.

    Args:
        name: packaged name, or path of a TOML file, or either followed by "/VARIANT".

    Returns: the file, the variant ("" for none), and the library that finds what the file mentions.

    Raises:
        SpecError: there is no such system, or its file cannot be read.
    """
    base, variant = split_variant(name)
    if base.endswith(".toml"):
        path = _path(Path(base), "", "")
        return _spec_file(path, base, path.stem), variant, Library(path.resolve().parent)
    if (packaged := _packaged("systems", base)) is not None:
        return packaged, variant, Library()
    valid = system_names()
    message = f"there is no system '{name}': {expected_one_of(valid)}"
    hint = did_you_mean(name, valid) or "a system of your own is named by its path, ending in .toml"
    raise SpecError([Problem("", "", message, hint)])


def _spec_file(path: Path, label: str, name: str) -> SpecFile:
    text = _read_text(path, label)
    return SpecFile(label, read_toml(text, label), name, text)


def read_file(path: Path, label: str) -> dict[str, Any]:
    """Read a TOML file of at most `MAX_BYTES`.

    Args:
        path: path of the file.
        label: name that messages give it.

    Returns: its content.

    Raises:
        SpecError: it cannot be read, is not a file, is too large, or is not TOML; the message says where.
    """
    return read_toml(_read_text(path, label), label)


def _read_text(path: Path, label: str) -> str:
    try:
        mode = os.stat(path).st_mode
        for what, is_that in _NOT_FILES.items():
            if is_that(mode):
                raise SpecError([Problem(label, "", f"is {what}, not a TOML file")])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SpecError([Problem(label, "", f"the file is larger than {MAX_BYTES:,} bytes, too large for a spec")])
        return content.decode("utf-8")
    except OSError as error:
        raise SpecError([Problem(label, "", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SpecError([Problem(label, "", f"is not UTF-8 text: line {line}", "save it as UTF-8")]) from None


def read_toml(text: str, label: str) -> dict[str, Any]:
    """Read TOML text.

    Args:
        text: text to read.
        label: name that messages give it.

    Returns: its content.

    Raises:
        SpecError: it is not TOML, or its tables are nested deeper than `MAX_NESTING`; the message says where.
    """
    too_deep = Problem(label, "", f"tables or lists are nested deeper than {MAX_NESTING} levels")
    try:
        data = copy.deepcopy(_parsed(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError([_not_toml(text, label, str(error))]) from None
    except RecursionError:
        raise SpecError([too_deep]) from None
    except ValueError:  # Python refuses whole numbers of thousands of digits
        raise SpecError([Problem(label, "", "a number has too many digits")]) from None
    # Descend level by level, without recursion.
    level: list[Any] = [data]
    for _ in range(MAX_NESTING):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
    if level:
        raise SpecError([too_deep])
    return data


@lru_cache(maxsize=256)  # a network of blocks reads the same file for each block, many systems the same networks
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _not_toml(text: str, label: str, reason: str) -> Problem:
    place = re.search(r" \(at line (\d+), column (\d+)\)$", reason)
    if place is None:
        return Problem(label, "", f"is not TOML: {reason}")
    line, column = int(place[1]), int(place[2]) - 1
    hint = 'text needs quotes: key = "text"' if reason.startswith("Invalid value") else ""
    message = f"is not TOML: {reason[: place.start()]}, line {line}"
    return Problem(label, "", message, hint, text.replace("\r\n", "\n").split("\n")[line - 1], (column, column + 1))
