"""From a model trained further in PyTorch back to a snapshot that Chainer loads: the old snapshot with its arrays replaced.

The new file is the old one, npz or HDF5, in which the arrays of the model, and of its optimiser, have new values. All else stays
as it is, without being understood: other models, iterators, extensions, Python objects that are never opened. `names.json` of the
port, or the header of its weights.safetensors, says which key is which path.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.tools.errors import cannot_write, reason
from ganspec.tools.porting.carry_errors import CarryError, listed
from ganspec.tools.porting.carrying import FORMAT, NAMES
from ganspec.tools.porting.names import CarriedArray
from ganspec.tools.porting.optimizers_states import STATE_NAMES, optimizer_prefix
from ganspec.tools.porting.snapshot_files import SnapshotFile, open_snapshot
from ganspec.tools.porting.snapshots import find_prefix
from ganspec.tools.porting.torch_files import flat_state, is_safetensors, read_tensors

MAX_NAMES_BYTES = 64 * 2**20  # of names.json: 300 bytes for each of 200,000 arrays
_WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every key


def carry_back(
    weights: Path | None,
    like: Path,
    out: Path,
    *,
    optimizer: Path | None = None,
    names: Path | None = None,
    prefix: str | None = None,
) -> list[str]:
    """Write a snapshot of Chainer with the numbers of a PyTorch model.

    Args:
        weights: a state dict of the ported module, as safetensors or by torch.save; None to replace the optimiser alone.
        like: the snapshot that was ported, or another one of the same models: a model's own file, a trainer's snapshot, or what
            save_npz made of an optimiser.
        out: where the new snapshot is written, in the format of `like`.
        optimizer: the optimiser's state: what its `carried()` or its `state_dict()` returned, as safetensors or by torch.save.
        names: the port's names.json; None to look in the header of the weights, then beside them.
        prefix: which model of `like` (see `find_prefix`); None for the one that was ported, or, where `like` has no such model,
            the one that fits.

    Returns: notes, one sentence each.

    Raises:
        CarryError: a file is not what it should be, or an array is missing, extra, of another shape, or would be rounded.
        UserError: the file cannot be written.
    """
    first = weights or optimizer
    if first is None:
        raise CarryError("neither weights nor the state of an optimiser is given", "--back", "give one of them")
    for given in (like, weights, optimizer):
        if given is not None and out.exists() and given.exists() and out.samefile(given):
            raise CarryError("would be overwritten", given, "choose another file with --out")
    record = _record(first, names)
    file = open_snapshot(like)
    model_prefix = record["prefix"] if weights is None else _prefix(file, record, prefix)
    notes: list[str] = []
    new: dict[str, np.ndarray] = {}
    if weights is not None:
        new |= _model(_unwrapped(read_tensors(weights), weights, record), weights, record, file, model_prefix, notes)
    if optimizer is not None:
        start = optimizer_prefix(file, model_prefix)
        new |= _optimizer(flat_state(read_tensors(optimizer)), optimizer, record, file, start or "")
    write = _npz_with if file.kind == "npz" else _hdf5_with
    try:
        write_atomically(out, write(file, new))
    except OSError as error:
        raise cannot_write(out, error, option="--out FILE") from error
    unchanged = sorted(name for name in file.members if name.endswith("/iteration") or "/iterator:" in name)
    if unchanged:
        notes.append(f"unchanged: {listed(unchanged)}; PyTorch does not count them")
    return notes


def _prefix(file: SnapshotFile, record: Mapping[str, Any], prefix: str | None) -> str:
    """Returns: what stands before the paths of the model in a snapshot."""
    entries = record["arrays"].items()
    if prefix is None and all(record["prefix"] + entry["path"] in file.members for _, entry in entries):
        return record["prefix"]
    return find_prefix(
        file, [CarriedArray(e["path"], key, None, e["trained"], e["same_as"]) for key, e in entries], prefix
    )


def _record(weights: Path, names: Path | None) -> dict[str, Any]:
    """Returns: what the port wrote of its names (see `names_record`), checked."""
    beside = weights.with_name(NAMES) if names is None else names
    text: Any = None
    where = beside
    try:
        if names is None and weights.is_file() and is_safetensors(weights):
            with safe_open(weights, framework="numpy") as file:
                text = (file.metadata() or {}).get("ganspec")
            where = weights if text is not None else beside
        if text is None:
            if not beside.is_file() or beside.stat().st_size > MAX_NAMES_BYTES:
                raise CarryError("there is no such file of names", beside, f"give the port's {NAMES}, or put it there")
            text = beside.read_text("utf-8")
        record = json.loads(text)
        entries = record["arrays"].values()
        paths = {entry["path"] for entry in entries}
        whole = record["format"] == FORMAT and all(type(text) is str for text in (record["prefix"], *paths))
        whole = whole and all(entry["same_as"] in paths and type(entry["trained"]) is bool for entry in entries)
    except OSError as error:
        raise CarryError(f"cannot be read: {reason(error)}", where, "mend that") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise CarryError("does not hold the names of a port", where, f"give the port's own {NAMES}")
    return record


def _unwrapped(tensors: dict[str, Any], path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns: the tensors by the port's own keys."""
    for wrapper in _WRAPPERS:
        if tensors and all(key.startswith(wrapper) for key in tensors) and not tensors.keys() & record["arrays"].keys():
            tensors = {key.removeprefix(wrapper): value for key, value in tensors.items()}
    wanted = record["arrays"].keys()
    expected = "expected the state dict of the ported module: torch.save(model.state_dict(), path)"
    if missing := sorted(wanted - tensors.keys()):
        raise CarryError(f"lacks {listed(missing)}", path, expected)
    if extra := sorted(tensors.keys() - wanted):
        raise CarryError(f"has {listed(extra)}, which the snapshot cannot hold", path, expected)
    return tensors


def _model(
    tensors: Mapping[str, np.ndarray],
    path: Path,
    record: Mapping[str, Any],
    file: SnapshotFile,
    prefix: str,
    notes: list[str],
) -> dict[str, np.ndarray]:
    """Returns: the new arrays of the model by their names in the snapshot."""
    new: dict[str, np.ndarray] = {}
    if missing := sorted({prefix + entry["path"] for entry in record["arrays"].values()} - file.members.keys()):
        raise CarryError(f"has no {listed(missing)}", file.path, "give the snapshot that was ported")
    for key, entry in record["arrays"].items():
        if key.rpartition(".")[2] == "num_batches_tracked" and entry["path"].rpartition("/")[2] == "N":
            if not notes:
                notes.append(
                    "N of batch normalization stays: Chainer counts fine-tuning alone, and PyTorch every batch"
                )
            continue
        name = prefix + entry["path"]
        new[name] = _exact(tensors[key], key, path, file, name)
        twin = prefix + entry["same_as"]
        if twin in new and new[twin].tobytes() != new[name].tobytes():
            problem = f"{printable(key)} differs from {printable(entry['same_as'])}, which is the same array in Chainer"
            raise CarryError(problem, path, "tie them in the module, as the port did")
    return new


def _exact(value: Any, key: str, path: Path, file: SnapshotFile, name: str) -> np.ndarray:
    """Returns: an array with the type that it has in the snapshot, if that rounds nothing."""
    old = file.members[name]
    value = np.asarray(value)
    if old.dtype is None or old.shape is None:  # it was not initialised then
        return value
    if value.shape != old.shape:
        problem = f"{printable(key)} is {list(value.shape)}, and {list(old.shape)} in the snapshot"
        raise CarryError(problem, path, "give the state dict of the ported module, and the snapshot that was ported")
    if not np.can_cast(value.dtype, old.dtype, "safe") and not (value.dtype.kind in "iu" and old.dtype.kind in "iu"):
        problem = f"{printable(key)} is {value.dtype}, which {old.dtype} of the snapshot would round"
        raise CarryError(problem, path, "convert the model first, such as by model.float()")
    return value.astype(old.dtype)


def _optimizer(
    flat: dict[str, Any], path: Path, record: Mapping[str, Any], file: SnapshotFile, prefix: str
) -> dict[str, np.ndarray]:
    """Returns: the new state of the optimiser by its names in the snapshot."""
    root = "/".join([*prefix.split("/", 2)[:2], ""]) if prefix else ""
    expected = "expected what carried() of the port's optimiser returned"
    if root + "t" not in file.members or root + "epoch" not in file.members:
        raise CarryError("holds no optimiser", file.path, "give a trainer's snapshot, or the file of the optimiser")
    trained = {key: entry for key, entry in record["arrays"].items() if entry["trained"]}
    firsts = {entry["path"]: key for key, entry in trained.items()}
    known = {"t", *set().union(*STATE_NAMES.values())}
    new = {root + name: flat.pop(name, None) for name in ("t", "epoch")}
    for key, entry in trained.items():
        keys = {one for one in (key, firsts[entry["same_as"]]) if f"{one}/t" in flat}
        if not keys:
            raise CarryError(f"lacks {printable(key)}/t", path, expected)
        source = key if key in keys else keys.pop()
        new |= {
            f"{prefix}{entry['path']}/{name}": flat[f"{source}/{name}"] for name in known if f"{source}/{name}" in flat
        }
    if extra := sorted(
        name for name in flat if name.rpartition("/")[0] not in trained or name.rpartition("/")[2] not in known
    ):
        raise CarryError(f"has {listed(extra)}, which the snapshot cannot hold", path, expected)
    if not all(isinstance(value, (int, np.ndarray)) for value in new.values()):
        raise CarryError("has counts that are not whole numbers", path, expected)
    absent = {name for name in new if name not in file.members}
    return {
        name: np.asarray(value) if name in absent else _exact(value, name, path, file, name)
        for name, value in new.items()
    }


def _npz_with(file: SnapshotFile, new: Mapping[str, np.ndarray]) -> bytes:
    """Returns: an npz file like another one with some arrays replaced or added; what is not replaced keeps its bytes."""
    written = io.BytesIO()
    with (
        file.open() as stream,
        zipfile.ZipFile(stream) as old,
        zipfile.ZipFile(written, "w", allowZip64=True) as archive,
    ):
        infos = {info.filename.removesuffix(".npy"): info for info in old.infolist()}
        for name, info in infos.items():
            content = _npy(new[name]) if name in new else old.read(info)
            archive.writestr(info, content, info.compress_type)
        for name in sorted(new.keys() - infos.keys()):
            archive.writestr(f"{name}.npy", _npy(new[name]), zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    npy.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
    return content.getvalue()


def _hdf5_with(file: SnapshotFile, new: Mapping[str, np.ndarray]) -> bytes:
    """Returns: an HDF5 file like another one with some arrays replaced or added."""
    import h5py

    with file.open() as stream:
        written = io.BytesIO(stream.read())
    with h5py.File(written, "r+") as archive:
        for name, value in new.items():
            if name in file.members and file.members[name].shape is not None:
                archive[name][...] = value
            else:
                if name in archive:
                    del archive[name]
                archive.create_dataset(name, data=value)
    return written.getvalue()
