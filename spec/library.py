"""Where spec files are found: the packaged ones by name, a user's own by path.

A name such as "wgan_gp" means the packaged file of that kind. Text that ends in ".toml" is a path, relative to the
system file that mentions it, and must stay inside that file's folder: spec files come from strangers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.errors import Problem, SpecError, did_you_mean, expected_one_of
from spec.tables import read_file

_ROOT = Path(__file__).resolve().parent
_NAME = re.compile(r"[A-Za-z0-9_]+")


def names(kind: str) -> list[str]:
    """Returns: the packaged names of a kind: "systems", "architectures", "losses" or "schedules"."""
    return sorted(path.stem for path in (_ROOT / kind).glob("*.toml"))


@dataclass(frozen=True)
class Found:
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

    def find(self, kind: str, name: str, file: str, key: str) -> Found:
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
            shown = f"{kind}/{name}.toml"
            return Found(shown, read_file(_ROOT / kind / f"{name}.toml", shown), name)
        valid = names(kind)
        hint = did_you_mean(name, valid) or "a file of your own is named by its path, ending in .toml"
        message = f"there is no '{name}' in {kind}: {expected_one_of(valid)}"
        raise SpecError([Problem(file, key, message, hint)])

    def _own(self, name: str, file: str, key: str) -> Found:
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
        return Found(name, read_file(path, name), path.stem)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.toml"))


def _path(path: Path, file: str, key: str) -> Path:
    if "\0" in str(path):
        raise SpecError([Problem(file, key, f"'{path}' is not a file name")])
    return path


def find_system(name: str) -> tuple[Found, Library]:
    """Read a system file.

    Args:
        name: a packaged name, or the path of a TOML file.

    Returns: the file and the library for what it mentions.

    Raises:
        SpecError: there is no such system, or its file cannot be read.
    """
    if name.endswith(".toml"):
        path = _path(Path(name), "", "")
        return Found(name, read_file(path, name), path.stem), Library(path.resolve().parent)
    if _NAME.fullmatch(name) and (_ROOT / "systems" / f"{name}.toml").is_file():
        shown = f"systems/{name}.toml"
        return Found(shown, read_file(_ROOT / "systems" / f"{name}.toml", shown), name), Library()
    valid = names("systems")
    message = f"there is no system '{name}': {expected_one_of(valid)}"
    hint = did_you_mean(name, valid) or "a system of your own is named by its path, ending in .toml"
    raise SpecError([Problem("", "", message, hint)])
