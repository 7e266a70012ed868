"""Whether what is written into a run's folder stays there: the folder may be a stranger's, with links that lead out of it.

Training deletes pictures and checkpoints, and rewrites events, in folders of the run's folder: none of these may be a link to
somewhere else. A file that is replaced whole may be a link, for the link is replaced, not what it leads to.
"""

from __future__ import annotations

import os
from pathlib import Path

from ganspec.spec.text.errors import printable
from ganspec.tools.errors import UserError, command, reason
from ganspec.tools.quality.figures import NAME as FIGURES

_FOLDERS = ("samples", "manifold", "checkpoints", "tensorboard")
_FILES = ("warnings.txt", "real.png", "interpolation.png", "losses.png")  # the log and the record are read in any case


def check_own(folder: Path) -> None:
    """See to it that training in a run's folder writes and deletes nothing outside of it. Nothing is written.

    Args:
        folder: the run's folder; it may itself be reached by a link, which is its owner's.

    Raises:
        UserError: something that training writes to is a link out of the folder, or is not what a run has there.
    """
    try:
        own = folder.resolve()
        for place in (folder / name for name in _FOLDERS):
            _check_folder(place, own)
            for path, inner, _ in os.walk(place):  # which enters no links
                for name in inner:
                    _check_folder(Path(path, name), own)
        for path in (folder / name for name in _FILES):
            if path.exists() and not path.is_file():
                raise UserError(_text(f"{path}: is not a file, as a run has one there; move it away"))
        check_appended(folder / FIGURES)
    except (OSError, RuntimeError) as error:  # a link to itself
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(_text(f"{folder}: cannot be looked through: {why}")) from None


def check_appended(path: Path) -> None:
    """Raises: UserError: a file that lines are appended to is a link, to whatever file."""
    if path.is_symlink():
        raise UserError(
            _text(
                f"{path}: is a link to {os.readlink(path)}; lines would be written there, and they belong to the run alone; "
                f"put a copy of the file in its place, or delete the link: {command('rm', path)}"
            )
        )


def _check_folder(path: Path, own: Path) -> None:
    """Raises: UserError: a folder that training writes to is a link out of the run's folder, or is not a folder."""
    if (path.is_symlink() or path.exists()) and not path.resolve().is_relative_to(own):
        raise UserError(
            _text(
                f"{path}: is a link to {path.resolve()}, which is outside of the run's folder, and training would write and "
                "delete files there; if those files are the run's own, put them in the place of the link, else delete the link: "
                f"{command('rm', path)}"
            )
        )
    if path.is_symlink() and not path.exists():
        raise UserError(_text(f"{path}: is a link to nothing; delete it: {command('rm', path)}"))
    if path.exists() and not path.is_dir():
        raise UserError(_text(f"{path}: is not a folder, as a run has one there; move it away"))


def _text(message: str) -> str:
    return printable(message)
