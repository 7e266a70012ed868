"""Files that programs leave beside runs: one that is there already is never overwritten unasked, none is left half-written."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.pictures import missing_packages

_MOST_NUMBERED = 100_000  # files of one name that are looked for


def free_path(stem: str, suffix: str) -> Path:
    """Returns: the path STEM-001.SUFFIX in the current folder, or that of the next number that is free."""
    for number in range(1, _MOST_NUMBERED):
        path = Path(f"{stem}-{number:03}{suffix}")
        if not os.path.lexists(path):
            return path
    raise UserError(f"{printable(stem)}-...{suffix}: there are {_MOST_NUMBERED:,} of them; delete some")


def refuse_existing(path: Path, option: str, *, overwrite: bool) -> None:
    """Look whether a file may be written, before any work is done for it.

    Args:
        path: path of the file.
        option: option with which another place is chosen, as it is typed.
        overwrite: whether a file that is there may be replaced.

    Raises:
        UserError: something is there that may not be replaced.
    """
    if path.is_dir():
        raise UserError(f"{printable(str(path))}: is a folder; name a file in it with {option}")
    if os.path.lexists(path) and not overwrite:
        raise UserError(
            f"{printable(str(path))}: exists already; choose another {option}, or replace it with --overwrite"
        )


def refuse_full(folder: Path, option: str, *, overwrite: bool = False) -> None:
    """Look whether a folder may be made, before any work is done for it.

    Args:
        folder: path of the folder.
        option: option with which another place is chosen, as it is typed.
        overwrite: whether --overwrite was given, which is of files.

    Raises:
        UserError: there is a file by its name, something is in it, or a folder is to be replaced.
    """
    if overwrite:
        raise UserError(
            f"--overwrite replaces a file; {option} takes a folder that is empty or new; leave out --overwrite"
        )
    try:
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir() or any(folder.iterdir())):
            raise UserError(
                f"{printable(str(folder))}: exists already, and is no empty folder; choose another {option}"
            )
    except OSError as error:
        raise cannot_write(folder, error, option=option) from None


def require_pillow() -> None:
    """Raises: UserError: Pillow, which writes pictures, is not installed."""
    if "Pillow" in missing_packages():
        raise UserError("pictures need Pillow: pip install 'ganspec[pictures]'; --npz FILE needs nothing more")


def save(path: Path, content: bytes, option: str) -> None:
    """Write a file, whole or not at all; its folder is made if need be.

    Args:
        path: path of the file.
        content: all of it.
        option: option with which another place is chosen, as it is typed.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise cannot_write(path, error, option=option) from None


def save_folder(folder: Path, files: Iterable[tuple[str, bytes]], option: str) -> int:
    """Write a folder of files, all of them or none; it must not exist, or be empty.

    The files are written beside it, under another name, and are moved when all are there.

    Args:
        folder: path of the folder.
        files: name and content of each file, made one after the other.
        option: option with which another place is chosen, as it is typed.

    Returns: the number of files.

    Raises:
        UserError: it cannot be written.
    """
    refuse_full(folder, option)
    temporary = folder.absolute().with_name(f".{folder.absolute().name}.{os.getpid()}.part")
    count = 0
    try:
        temporary.mkdir(parents=True)
        for name, content in files:
            (temporary / name).write_bytes(content)
            count += 1
        os.rename(temporary, folder)  # onto an empty folder, or none
    except OSError as error:
        raise cannot_write(folder, error, option=option) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(temporary)
    return count
