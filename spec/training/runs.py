"""Reading the folder of a training run: its system, and the state in one of its checkpoints.

`ganspec.tools.run.folder` writes such folders; what reads them stands here, because the backends' networks do, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganspec.spec.description import describe
from ganspec.spec.system import System, load_system
from ganspec.spec.training.changes import fixed_differences
from ganspec.spec.training.checkpoint import CheckpointError, read_checkpoint
from ganspec.spec.training.record import NAME, RunError, read_record
from ganspec.spec.training.state import TrainingState, array_shapes


@dataclass(frozen=True)
class Run:
    """A training run as its folder has it.

    Args:
        system: system that is trained.
        state: state in the checkpoint that was read.
        dtype: "float32" or "float64".
        record: what `run.json` says: backend, seed and the like.
    """

    system: System
    state: TrainingState
    dtype: str
    record: Mapping[str, Any] = field(default_factory=dict)


def read_run(folder: Path, iteration: int | None = None) -> Run:
    """Read a run.

    Args:
        folder: the run's folder.
        iteration: iteration of the checkpoint to read; None for the newest.

    Raises:
        RunError: it is not the folder of a run, or has no such checkpoint, or its system has changed or has other classes.
        SpecError: the run's system is no longer there, or is wrong.
        CheckpointError: the checkpoint is damaged, of another system, or of another iteration than its name says.
    """
    record = read_record(folder)
    system = load_system(record["system"], record["settings"])
    check_classes(folder, record, system)
    found = checkpoints(folder)
    if not found:
        raise RunError(f"{folder}: has no checkpoint yet")
    chosen = max(found) if iteration is None else iteration
    if chosen not in found:
        raise RunError(
            f"{folder}: has no checkpoint of iteration {chosen}, only of {', '.join(map(str, sorted(found)))}"
        )
    state, written = read_checkpoint(found[chosen], array_shapes(system))
    check_name(found[chosen], state.iteration)
    # An optimiser's numbers may have been changed when the run was resumed: they make no other weights of these.
    if changed := fixed_differences(written.description, describe(system)):
        raise RunError(f"{folder}: its system, {record['system']}, has changed since: {'; '.join(changed)}")
    return Run(system, state, record["dtype"], record)


def check_name(path: Path, iteration: int) -> None:
    """Raises: CheckpointError: a checkpoint that holds an iteration is named for another one."""
    if iteration != int(path.stem):
        raise CheckpointError(f"{path}: holds iteration {iteration}, so that it has a wrong name")


def check_classes(folder: Path, record: Mapping[str, Any], system: System) -> None:
    """Hold the names of classes in a run's record against its system, whose labels they name.

    Args:
        folder: the run's folder.
        record: its record; one without names is right.
        system: system of the run.

    Raises:
        RunError: two classes have one name, or there are more or fewer names than the system has labels.
    """
    names, labels = record.get("classes"), system.data.labels
    if names is None or (len(names) == labels and len(set(names)) == labels):
        return
    path = folder / NAME
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1][:1] if len(names) == labels else []:
        found = f"{twice[0]!r} more than once"
    else:
        found = f"{len(names)}"
    raise RunError(
        f"{path}: classes: expected {labels} different names, one for each label of {record['system']}, found {found}; "
        "correct them, or take the key out: labels are then known by number"
    )


def checkpoints(folder: Path) -> dict[int, Path]:
    """Returns: a run's checkpoints by iteration, in order. A file of another name is none: people move damaged ones away so.

    Raises:
        RunError: there is something else by the name of their folder.
    """
    place = folder / "checkpoints"
    if place.exists() and not place.is_dir():
        raise RunError(f"{place}: is not a folder; a run keeps its checkpoints there")
    found = numbered(place.glob("*.safetensors"))
    return {int(path.stem): path for path in found}


def numbered(paths: Iterable[Path]) -> list[Path]:
    """Returns: the paths that are named for an iteration, in the order of iterations."""
    found = [path for path in paths if path.stem.isascii() and path.stem.isdigit() and len(path.stem) <= 15]
    return sorted(found, key=lambda path: int(path.stem))
