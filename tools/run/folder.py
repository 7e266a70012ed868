"""The folder of a training run: what is in it, and how it is written so that nothing is lost.

    run.json            what was asked for, and the resolved system
    log.csv             one row an iteration, every recorded value; an empty cell where it was not computed
    losses.png          plots of the log
    samples/NNNNNNNN.png              what G makes of the same latents, as training goes on
    manifold/LABEL/NNNNNNNN.png       what it makes of all latents of two numbers, where the system says so
    manifold-LABEL.gif, interpolation.png
    checkpoints/NNNNNNNN.safetensors  the newest `KEPT`

Rows and pictures are on the disk before the checkpoint that follows them, so that resuming from a checkpoint finds every one
before it and drops those after it, which training makes again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.run.log import RunLog

KEPT = 3  # checkpoints; the newest is what a run resumes from, the others are for when that one is damaged
_FORMAT = "ganspec run 1"
_KEYS = {  # what resuming reads
    "system": str,
    "settings": list,
    "data": str,
    "backend": str,
    "device": str,
    "dtype": str,
    "draws": str,
    "seed": int,
}
_MAX_RECORD = 10_000_000  # bytes of run.json; that of the largest system has under 100 kB


class RunFolder:
    """A run's folder. Use `create` or `open_existing`."""

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path, self.record = path, record
        self.log = RunLog(path / "log.csv")

    @classmethod
    def create(cls, path: Path, record: dict[str, Any]) -> RunFolder:
        """Make the folder; it must not exist, or be empty.

        Raises:
            UserError: something is in it, or it cannot be written.
        """
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise UserError(
                    f"{path}: exists already; choose another --out, or go on with that run: --resume {path}"
                )
            for folder in (path, path / "samples", path / "checkpoints"):
                folder.mkdir(parents=True, exist_ok=True)
            record = {"format": _FORMAT, **record}
            write_atomically(path / "run.json", (json.dumps(record, indent=1) + "\n").encode())
        except OSError as error:
            raise cannot_write(path, error) from None
        return cls(path, record)

    @classmethod
    def open_existing(cls, path: Path) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            UserError: it is not one.
        """
        file = path / "run.json"
        try:
            with file.open("rb") as opened:
                record = json.loads(opened.read(_MAX_RECORD))
        except OSError as error:
            raise UserError(f"{path}: is not the folder of a run: run.json: {error.strerror}") from None
        except ValueError:
            raise UserError(f"{file}: is not what a run writes; is this the folder of a run?") from None
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise UserError(f"{file}: is not the record of a run of this version ({_FORMAT})")
        wrong = [key for key, kind in _KEYS.items() if not isinstance(record.get(key), kind)]
        if wrong:
            raise UserError(f"{file}: is damaged: the key '{wrong[0]}' is missing or not {_KEYS[wrong[0]].__name__}")
        return cls(path, record)

    def newest_checkpoint(self) -> Path:
        """Raises: UserError: there is none yet."""
        found = sorted((self.path / "checkpoints").glob("*.safetensors"))
        if not found:
            raise UserError(f"{self.path}: has no checkpoint yet; start again with another --out")
        return found[-1]

    def checkpoint_path(self, iteration: int) -> Path:
        return self.path / "checkpoints" / f"{iteration:08}.safetensors"

    def drop_old_checkpoints(self) -> None:
        for path in sorted((self.path / "checkpoints").glob("*.safetensors"))[:-KEPT]:
            path.unlink(missing_ok=True)

    def pictures(self, name: str) -> list[Path]:
        """Returns: the pictures in a folder of this one that are named for an iteration, in their order."""
        found = (self.path / name).glob("*.png")
        return sorted((path for path in found if _numbered(path.stem)), key=lambda path: int(path.stem))

    def drop_later_pictures(self, iteration: int) -> None:
        """Delete the pictures of iterations after one."""
        for path in (self.path / name for name in ("samples", "manifold")):
            for picture in path.rglob("*.png"):
                if _numbered(picture.stem) and int(picture.stem) > iteration:
                    try:
                        picture.unlink(missing_ok=True)
                    except OSError as error:
                        raise cannot_write(picture, error) from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the folder, whole or not at all; its own folder is made if need be."""
        try:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / name, content)
        except OSError as error:
            raise cannot_write(self.path / name, error) from None


def free_folder(name: str) -> Path:
    """Returns: "runs/NAME-001", or the next number that is free."""
    number = 1
    while (path := Path("runs") / f"{name.replace('/', '-')}-{number:03}").exists():
        number += 1
    return path


def _numbered(name: str) -> bool:
    return name.isascii() and name.isdigit()
