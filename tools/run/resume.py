"""Going on with a run: from which checkpoint, and only if it is still the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganspec.spec.description import describe
from ganspec.spec.system import System, load_system
from ganspec.spec.text.errors import SpecError, printable
from ganspec.spec.text.values import as_typed
from ganspec.spec.training.changes import OF_OPTIMIZERS, changes, fixed_differences
from ganspec.spec.training.checkpoint import CheckpointError, Record, read_checkpoint, read_record
from ganspec.spec.training.record import RunError
from ganspec.spec.training.runs import check_classes, check_name
from ganspec.spec.training.state import TrainingState, array_shapes
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError, command
from ganspec.tools.run.folder import RunFolder

FIXED = ("dtype", "seed")  # for the whole of a run; backend, device and where it draws may change when it is resumed


def resume(
    system: System, folder: RunFolder, options: dict[str, Any], data: Dataset | None, settings: Sequence[str] = ()
) -> tuple[TrainingState, Record]:
    """Read the newest checkpoint of a run, and see to it that what goes on is the same run.

    What may change (`spec.training.changes`) and was asked for with --set is changed in the state: a learning rate that was set
    is the one from here on, whatever a decay had left of the one before.

    Args:
        system: system as it is now, with all settings.
        folder: folder of the run.
        options: backend, device, dtype, draws and seed as asked for now.
        data: data as given now; None to leave them unchecked.
        settings: settings of this command, "KEY=VALUE" each.

    Returns: the state to go on from, and the checkpoint's record.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it is of another system, seed, dtype or data; or the run's
            names of classes do not fit the system.
    """
    checkpoint = folder.newest_checkpoint()
    try:
        check_classes(folder.path, folder.record, system)
        _, record = read_record(checkpoint)
        now = describe(system)
        if changed := fixed_differences(record.description, now):
            raise _has_changed(checkpoint, changed)
        made = changes(record.description, now)
        asked = _asked_for(folder, now, int(checkpoint.stem)) if made else set()
        asked |= {change["key"] for change in made if any(_sets(setting, change["key"]) for setting in settings)}
        if unasked := [change for change in made if change["key"] not in asked]:
            raise _has_changed(checkpoint, change_lines(unasked))
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
        check_name(checkpoint, state.iteration)
        for name, optimizer in system.optimizers.items():
            if any(change["key"] == f"optimizers.{name}.learning_rate" for change in made):
                state.learning_rates[name] = optimizer.learning_rate
        if _watched(record.description) != _watched(now):
            record = replace(record, epoch={"sum": 0.0, "count": 0, "last": None})
        return state, record
    except RunError as error:
        raise UserError(printable(str(error))) from None
    except CheckpointError as error:
        away = command("mv", checkpoint, f"{checkpoint}.damaged")
        raise UserError(f"{error}\nto go on from an earlier checkpoint, move this file away: {away}") from None


def check_kinds(record: dict[str, Any], settings: Sequence[str]) -> None:
    """See to it that no setting gives an optimiser another kind, before the keys of that kind are asked for.

    Args:
        record: record of the run that is resumed.
        settings: settings of this command, "KEY=VALUE" each.

    Raises:
        UserError: one does.
    """
    for setting in settings:
        key, _, value = (part.strip() for part in setting.partition("="))
        first, *inner, last = key.split(".")
        if first != "optimizers" or last != "kind" or len(inner) > 1:
            continue
        try:
            optimizers = load_system(record["system"], record["settings"]).optimizers
        except SpecError:  # which says more than this could
            return
        for network, optimizer in optimizers.items():
            if network in (inner or [network]) and value.strip("'\"") != optimizer.kind:
                raise UserError(
                    f"--set {setting}: a run keeps the kind of its optimisers, and that of {network} is {optimizer.kind}: "
                    "the moments of one kind mean nothing to another\n"
                    "leave it out, or start a new run, with the weights of this one: --init-from RUN"
                )


def change_lines(made: list[dict[str, Any]]) -> list[str]:
    """Returns: changes as lines for people: "optimizers.G.learning_rate: 0.001 became 0.0001"."""
    return [f"{change['key']}: {as_typed(change['from'])} became {as_typed(change['to'])}" for change in made]


def _watched(description: Any) -> Any:
    decay = description.get("learning_rate_decay")
    return decay.get("watch") if isinstance(decay, dict) else None


def _has_changed(checkpoint: Path, changed: list[str]) -> UserError:
    lines = "\n".join(f"    {line}" for line in changed)
    return UserError(
        f"{checkpoint}: the system has changed since; a resumed run must be the same run:\n{lines}\n"
        "take the change back (a --set, or an edit of a file), or start a new run with --out DIR; --init-from RUN starts one "
        "with the weights of another\n"
        f"what a run may change is set with --set: {', '.join(OF_OPTIMIZERS)} of optimizers, learning_rate_decay, the numbers of "
        "averages, and run.*, except for run.batch"
    )


def _sets(setting: str, key: str) -> bool:
    """Returns: whether a setting names a changed key, the table that it is in, or a key inside of it."""
    named, changed = set(setting.partition("=")[0].strip().split(".")), set(key.split("."))
    return named <= changed or changed <= named


def _asked_for(folder: RunFolder, now: dict[str, Any], iteration: int) -> set[str]:
    """Returns: the keys that this command changes with --set, and those that an earlier one changed from here on."""
    record, asked = folder.record, set()
    resumed = record.get("resumed")
    for session in resumed if isinstance(resumed, list) else ():
        if (
            isinstance(session, dict)
            and isinstance(session.get("iteration"), int)
            and session["iteration"] >= iteration
        ):
            made = session.get("changed")
            asked |= {c.get("key") for c in made if isinstance(c, dict)} if isinstance(made, list) else set()
    try:
        before = describe(load_system(record["system"], record["settings"]))
    except SpecError:  # the file has changed, too
        return asked
    return asked | {change["key"] for change in changes(before, now)}
