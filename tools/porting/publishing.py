"""The folder of a port: made beside its place, and moved there whole."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.porting.report import FORMAT

REPORT = "report.json"
_BEGINNING = 4096  # bytes of a report, in which its format stands


def make_beside(out: Path) -> Path:
    """Returns: a new folder beside a place."""
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        folder.mkdir()
    except OSError as error:
        raise cannot_write(folder, error, option="--out FOLDER") from None
    return folder


def publish(folder: Path, out: Path, *, force: bool = False) -> None:
    """Move a finished folder to its place, whole.

    Args:
        folder: the folder, beside its place.
        out: the place.
        force: whether an older port there is replaced.

    Raises:
        UserError: something stands there, or the system refuses.
    """
    check_place(out, force=force)
    old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
    try:
        if os.path.lexists(out):
            os.rename(out, old)
        try:
            os.rename(folder, out)
        except OSError:
            if os.path.lexists(old):
                os.rename(old, out)
            raise
    except OSError as error:
        raise cannot_write(out, error, option="--out FOLDER") from None
    shutil.rmtree(old, ignore_errors=True)


def check_place(out: Path, *, force: bool) -> None:
    """Raises: UserError: a port cannot be written there."""
    where = printable(str(out))
    if not out.parent.is_dir():
        raise UserError(f"--out {where}: there is no folder {printable(str(out.parent))}; make it first")
    if not os.path.lexists(out):
        return
    if not force:
        raise UserError(
            f"--out {where}: it is there already; choose another folder, or replace an older port with --force"
        )
    if out.is_symlink() or not out.is_dir() or not _is_port(out):
        raise UserError(
            f"--out {where}: it is not the folder of a port, so --force does not replace it; choose another folder"
        )


def _is_port(folder: Path) -> bool:
    """Returns: whether a folder is empty, or has the report of a port."""
    path = folder / REPORT
    try:
        if not any(folder.iterdir()):
            return True
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return FORMAT.encode() in file.read(_BEGINNING)
    except OSError:
        return False
