"""Reading the folder of a training run: its system, and the state in one of its checkpoints.

`ganspec.tools.run.folder` writes such folders; what reads them stands here, because the backends' networks do, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspec.spec.description import describe, differences
from ganspec.spec.system import System, load_system
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.spec.training.state import TrainingState, array_shapes

FORMAT = "ganspec run 1"
MAX_RECORD = 10_000_000  # bytes of run.json; that of the largest system has under 100 kB
# What the record of a run holds that reading it needs.
KEYS: Mapping[str, type] = {
    "system": str,
    "settings": list,
    "data": str,
    "backend": str,
    "device": str,
    "dtype": str,
    "draws": str,
    "seed": int,
}


class RunError(Exception):
    """A folder is not that of a run, or lacks what is asked for; the message says which and what to do."""


@dataclass(frozen=True)
class Run:
    """A training run as its folder has it.

    Args:
        system: system that is trained.
        state: state in the checkpoint that was read.
        dtype: "float32" or "float64".
    """

    system: System
    state: TrainingState
    dtype: str


def read_run(folder: Path, iteration: int | None = None) -> Run:
    """Read a run.

    Args:
        folder: the run's folder.
        iteration: iteration of the checkpoint to read; None for the newest.

    Raises:
        RunError: it is not the folder of a run, or has no such checkpoint, or its system has changed.
        SpecError: the run's system is no longer there, or is wrong.
        CheckpointError: the checkpoint is damaged, or of another system.
    """
    record = read_record(folder)
    system = load_system(record["system"], record["settings"])
    found = checkpoints(folder)
    if not found:
        raise RunError(f"{folder}: has no checkpoint yet")
    chosen = max(found) if iteration is None else iteration
    if chosen not in found:
        raise RunError(
            f"{folder}: has no checkpoint of iteration {chosen}, only of {', '.join(map(str, sorted(found)))}"
        )
    state, written = read_checkpoint(found[chosen], array_shapes(system))
    if changed := differences(written.description, describe(system)):
        raise RunError(f"{folder}: its system, {record['system']}, has changed since: {'; '.join(changed)}")
    return Run(system, state, record["dtype"])


def read_record(folder: Path) -> dict[str, Any]:
    """Read what a run says of itself, `run.json`.

    Raises:
        RunError: it is not there, is damaged, or is of another version.
    """
    file = folder / "run.json"
    try:
        with file.open("rb") as opened:
            record = json.loads(opened.read(MAX_RECORD))
    except OSError as error:
        raise RunError(f"{folder}: is not the folder of a run: run.json: {error.strerror}") from None
    except ValueError:
        raise RunError(f"{file}: is not what a run writes; is this the folder of a run?") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RunError(f"{file}: is not the record of a run of this version ({FORMAT})")
    wrong = [key for key, kind in KEYS.items() if not isinstance(record.get(key), kind)]
    if wrong:
        raise RunError(f"{file}: is damaged: the key '{wrong[0]}' is missing or not {KEYS[wrong[0]].__name__}")
    return record


def checkpoints(folder: Path) -> dict[int, Path]:
    """Returns: a run's checkpoints by iteration; only numbered files are some."""
    found = (folder / "checkpoints").glob("*.safetensors")
    return {int(path.stem): path for path in found if path.stem.isascii() and path.stem.isdigit()}
