"""The numbers of a snapshot of Chainer as files of a ported model; `carrying_back` is the other direction.

    weights.safetensors, weights.pt      a state dict of plain tensors, which loads with strict=True
    optimizer.safetensors, optimizer.pt  the state of the optimiser: "t", "epoch", "NAME/t", "NAME/m"...
    optimizer.py, optimizer.json         the optimiser that continues, and its hyper-parameters, where the user gave them
    progress.json                        how far training was: iteration, iterators, what moves a hyper-parameter
    names.json                           which key is which path of the snapshot: the way back needs it

Every array keeps its bits. Each file is written whole or not at all.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.errors import cannot_write
from ganspec.tools.porting.carry_errors import CarryError, listed
from ganspec.tools.porting.names import CarriedArray, arrays_of, values_of
from ganspec.tools.porting.optimizers_states import STATE_NAMES, OptimizerState, optimizer_prefix, read_optimizer
from ganspec.tools.porting.optimizers_written import Written, optimizer_source, parse_hook, parse_optimizer
from ganspec.tools.porting.snapshot_files import open_snapshot
from ganspec.tools.porting.snapshots import ModelValues, Progress, fill, read_model, read_progress

FORMAT = "ganspec port 1"
NAMES = "names.json"


@dataclass(frozen=True)
class Numbers:
    """All that a port carries.

    Args:
        arrays: the arrays of the model.
        model: their values.
        state: the state of its optimiser, or None.
        optimizer: the optimiser as the user wrote it, or None.
        hooks: its hooks as the user wrote them.
        progress: how far training was.
    """

    arrays: tuple[CarriedArray, ...]
    model: ModelValues
    state: OptimizerState | None = None
    optimizer: Written | None = None
    hooks: tuple[Written, ...] = ()
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True)
class Carried:
    """What was carried.

    Args:
        files: names of the files that were written, in this order.
        notes: what the user should know, one sentence each.
    """

    files: tuple[str, ...]
    notes: tuple[str, ...]


def state_dict(arrays: Sequence[CarriedArray], values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name the arrays of a model as the ported module does.

    Args:
        arrays: the arrays of the model.
        values: the values by Chainer's path (see `ModelValues.values`).

    Returns: the values by key; text is left out. A count of batches has int64, as PyTorch wants it.
    """
    found = {}
    for array in arrays:
        if array.torch_key is not None:
            value = values[array.chainer_path]
            counts = array.torch_key.rpartition(".")[2] == "num_batches_tracked"
            found[array.torch_key] = value.astype(np.int64) if counts and value.dtype.kind in "iu" else value
    return found


def optimizer_dict(arrays: Sequence[CarriedArray], state: OptimizerState) -> dict[str, np.ndarray]:
    """Name the state of an optimiser as `carry` of `optimizers.ChainerOptimizer` takes it.

    Args:
        arrays: the arrays of the model.
        state: the state (see `read_optimizer`).

    Returns: "t" and "epoch"; for each parameter "NAME/t", and its moments such as "NAME/m".
    """
    found = {"t": np.asarray(state.t), "epoch": np.asarray(state.epoch)}
    for array in arrays:
        if array.trained:
            found[f"{array.torch_key}/t"] = np.asarray(state.counts[array.chainer_path])
            moments = state.moments[array.chainer_path].items()
            found |= {f"{array.torch_key}/{name}": value for name, value in moments}
    return found


def read_numbers(
    link: Any,
    snapshot: Path | None = None,
    *,
    prefix: str | None = None,
    optimizer_snapshot: Path | None = None,
    optimizer: str | None = None,
    hooks: Sequence[str] = (),
    allow_extra: bool = False,
) -> Numbers:
    """Read the numbers of a model, and give them to its link.

    Args:
        link: the model, a chainer.Link; what it has not initialised takes its shape from the snapshot.
        snapshot: a model's own file or a trainer's snapshot; None to take the values that the link has.
        prefix: which model of the snapshot (see `read_model`); None to find it.
        optimizer_snapshot: what save_npz made of the optimiser; None to look for it in a trainer's snapshot.
        optimizer: the optimiser as the old script writes it, such as "Adam(alpha=2e-4)".
        hooks: its hooks likewise, in the order in which they were added.
        allow_extra: whether the snapshot may have arrays that the model lacks.

    Raises:
        CarryError: a file or a text is not what it should be, or the optimiser does not keep what the snapshot has.
    """
    written = None if optimizer is None else parse_optimizer(optimizer)
    hooked = tuple(parse_hook(hook) for hook in hooks)
    state, progress = None, Progress()
    if snapshot is None:
        values = {path: value for path, value in values_of(link).items() if value is not None}
        if missing := sorted(array.chainer_path for array in arrays_of(link) if array.chainer_path not in values):
            remedy = "give its sizes, or a snapshot with --snapshot"
            raise CarryError(f"{listed(missing)}: not initialised, so without a shape", type(link).__name__, remedy)
        model = ModelValues("", values, ())
    else:
        file = open_snapshot(snapshot)
        model = read_model(file, arrays_of(link), prefix, allow_extra=allow_extra)
        fill(link, model.values)
        progress = read_progress(file)
        if optimizer_snapshot is None and (start := optimizer_prefix(file, model.prefix)) is not None:
            state = read_optimizer(file, arrays_of(link), start)
    if optimizer_snapshot is not None:
        state = read_optimizer(open_snapshot(optimizer_snapshot), arrays_of(link))
    _check_class(state, written)
    return Numbers(arrays_of(link), model, state, written, hooked, progress)


def carry(folder: Path, numbers: Numbers) -> Carried:
    """Write the numbers of a ported model.

    Args:
        folder: folder of the port; it exists.
        numbers: what is written (see `read_numbers`).

    Raises:
        CarryError: PyTorch is absent.
        UserError: a file cannot be written.
    """
    arrays, model, state, optimizer = numbers.arrays, numbers.model, numbers.state, numbers.optimizer
    notes = list(model.notes)
    if text := [array.chainer_path for array in arrays if array.torch_key is None]:
        notes.append(f"text is not carried, for a state dict holds tensors alone: {listed(text)}")
    names = names_record(arrays, model.prefix, state)
    contents = _both("weights", state_dict(arrays, model.values), names)
    contents[NAMES] = _json(names)
    if numbers.progress.iteration is not None:
        contents["progress.json"] = _json(numbers.progress.as_json())
    if state is not None:
        contents |= _both("optimizer", optimizer_dict(arrays, state), names)
        notes += state.notes
        if optimizer is None:
            likely = " or ".join(state.classes())
            notes.append(
                "a snapshot of Chainer holds no hyper-parameter of its optimiser: give it as in the old script, such as "
                f"--optimizer 'Adam(alpha=2e-4, beta1=0.5)'; what the snapshot keeps is that of {likely}"
            )
    if optimizer is not None:
        contents["optimizer.py"] = optimizer_source(optimizer, numbers.hooks).encode()
        contents["optimizer.json"] = _json(
            {"format": FORMAT, **_described(optimizer), "hooks": list(map(_described, numbers.hooks))}
        )
        if optimizer.assumed:
            assumed = listed((f"{key}={optimizer.values[key]!r}" for key in optimizer.assumed), 12)
            notes.append(f"{optimizer.name} has the defaults of Chainer 7.8.1 where you gave nothing: {assumed}")
        for name, (count, value) in numbers.progress.shifts.items():
            last, then = ("", "its last value") if value is None else (f", last to {value:g}", f"{value!r}")
            notes.append(
                f"{printable(name)} has moved a hyper-parameter {count:,} times{last}: to go on exactly, if it was this "
                f'optimiser\'s rate, say after make_optimizer: optimizer.param_groups[0]["lr"] = {then}'
            )
        if optimizer.name == "MSVAG" and state is not None and state.t:
            notes.append(
                "MSVAG's beta_power is in no snapshot: it begins again at beta, as it does when Chainer resumes"
            )
    for name, content in contents.items():
        try:
            write_atomically(folder / name, content)
        except OSError as error:
            raise cannot_write(folder / name, error) from error
    return Carried(tuple(contents), tuple(notes))


def names_record(arrays: Sequence[CarriedArray], prefix: str, state: OptimizerState | None) -> dict[str, Any]:
    """Returns: what `carrying_back` must know of a port: prefixes, and of each key the path, its twin and its kind."""
    keys = {
        array.torch_key: {"path": array.chainer_path, "same_as": array.same_as, "trained": array.trained}
        for array in arrays
        if array.torch_key is not None
    }
    return {"format": FORMAT, "prefix": prefix, "optimizer_prefix": state.prefix if state else None, "arrays": keys}


def _check_class(state: OptimizerState | None, optimizer: Written | None) -> None:
    if state is None or optimizer is None or not any(state.counts.values()):
        return
    switched = optimizer.name == "Adam" and optimizer.values["amsgrad"]
    if state.names() != STATE_NAMES["AMSGrad" if switched else optimizer.name]:
        kept = listed(sorted(state.names())) or "nothing"
        raise CarryError(
            f"{optimizer} is not the optimiser of this snapshot, which keeps {kept} for each parameter",
            "--optimizer",
            f"expected one of {', '.join(state.classes())}",
        )


def _described(written: Written) -> dict[str, Any]:
    return {"class": written.name, "values": dict(written.values), "assumed": list(written.assumed)}


def _both(name: str, arrays: Mapping[str, np.ndarray], names: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns: the contents of NAME.safetensors and NAME.pt."""
    try:
        import torch
    except ModuleNotFoundError:
        raise CarryError("PyTorch is not installed", "weights.pt", "install it: pip install 'ganspec[torch]'") from None
    kept = {key: np.array(value, order="C") for key, value in arrays.items()}
    written = io.BytesIO()
    torch.save({key: torch.from_numpy(value) for key, value in kept.items()}, written)
    return {f"{name}.safetensors": save(kept, {"ganspec": json.dumps(names)}), f"{name}.pt": written.getvalue()}


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
