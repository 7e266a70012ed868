"""Going on with a run: from which checkpoint, and only if it is still the same run."""

from __future__ import annotations

from typing import Any

from ganspec.spec.description import describe, differences
from ganspec.spec.system import System
from ganspec.spec.training.checkpoint import CheckpointError, Record, read_checkpoint, read_record
from ganspec.spec.training.state import TrainingState, array_shapes
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError, command
from ganspec.tools.run.folder import RunFolder

FIXED = ("dtype", "draws", "seed")  # for the whole of a run; backend and device may change when it is resumed


def resume(
    system: System, folder: RunFolder, options: dict[str, Any], data: Dataset | None
) -> tuple[TrainingState, Record]:
    """Read the newest checkpoint of a run, and see to it that what goes on is the same run.

    Args:
        system: system as it is now, with all settings.
        folder: folder of the run.
        options: backend, device, dtype, draws and seed as asked for now.
        data: data as given now; None to leave them unchecked.

    Returns: the state to go on from, and the checkpoint's record.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it is of another system, seed, dtype, draws or data.
    """
    checkpoint = folder.newest_checkpoint()
    try:
        _, record = read_record(checkpoint)
        changed = differences(record.description, describe(system))
        if changed:
            lines = "\n".join(f"    {line}" for line in changed)
            raise UserError(
                f"{checkpoint}: the system has changed since; a resumed run must be the same run:\n{lines}\n"
                "take the change back (a --set, or an edit of a file), or start a new run with --out DIR"
            )
        for key in FIXED:
            if getattr(record, key) != options[key]:
                raise UserError(f"{checkpoint}: was written with {key} {getattr(record, key)}, not {options[key]}")
        if data is not None and record.data != data.fingerprint:
            raise UserError(
                f"{data.source}: is not the data that this run was started with; give that with --data PATH"
            )
        state, record = read_checkpoint(checkpoint, array_shapes(system))
        if state.updates.keys() != system.optimizers.keys():
            raise CheckpointError(f"{checkpoint}: is of another system: it trains {', '.join(state.updates)}")
        if state.iteration != int(checkpoint.stem):
            raise CheckpointError(f"{checkpoint}: holds iteration {state.iteration}, so that it has a wrong name")
        return state, record
    except CheckpointError as error:
        away = command("mv", checkpoint, f"{checkpoint}.damaged")
        raise UserError(f"{error}\nto go on from an earlier checkpoint, move this file away: {away}") from None
