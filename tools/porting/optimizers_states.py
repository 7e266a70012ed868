"""The state of an optimiser in a snapshot of Chainer: counts of updates, and moments under Chainer's own names.

A snapshot does not say which optimiser it was, nor any of its hyper-parameters. The names of the moments leave a few classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.porting.carry_errors import CarryError, listed
from ganspec.tools.porting.names import CarriedArray
from ganspec.tools.porting.snapshot_files import SnapshotFile

# Which arrays a class of Chainer 7.8.1 keeps for each parameter.
STATE_NAMES: dict[str, frozenset[str]] = {
    "SGD": frozenset(),
    "MomentumSGD": frozenset({"v"}),
    "CorrectedMomentumSGD": frozenset({"v"}),
    "NesterovAG": frozenset({"v"}),
    "AdaGrad": frozenset({"h"}),
    "AdaDelta": frozenset({"msg", "msdx"}),
    "RMSprop": frozenset({"ms"}),
    "RMSpropGraves": frozenset({"n", "g", "delta"}),
    "SMORMS3": frozenset({"mem", "g", "g2"}),
    "MSVAG": frozenset({"m", "v"}),
    "Adam": frozenset({"m", "v"}),
    "AdamW": frozenset({"m", "v"}),
    "AdaBound": frozenset({"m", "v"}),
    "AMSGrad": frozenset({"m", "v", "vhat"}),
    "AMSBound": frozenset({"m", "v", "vhat"}),
}


@dataclass(frozen=True)
class OptimizerState:
    """The state of one optimiser.

    Args:
        prefix: what stands before its values in the file, "" or ending with "/".
        t: number of updates.
        epoch: number of epochs, as `new_epoch` counts them.
        counts: number of updates of each parameter, by Chainer's path.
        moments: of each parameter the arrays by name, such as "m"; none where a parameter was never updated.
        notes: what the user should know, one sentence each.
    """

    prefix: str
    t: int
    epoch: int
    counts: Mapping[str, int]
    moments: Mapping[str, Mapping[str, np.ndarray]]
    notes: tuple[str, ...]

    def names(self) -> frozenset[str]:
        """Returns: the names of the moments that there are."""
        return frozenset(name for moments in self.moments.values() for name in moments)

    def classes(self) -> list[str]:
        """Returns: the classes of Chainer that keep these moments; all of them where nothing was updated yet."""
        if not any(self.counts.values()):
            return sorted(STATE_NAMES)
        return sorted(name for name, names in STATE_NAMES.items() if names == self.names())


def optimizer_prefix(file: SnapshotFile, model_prefix: str) -> str | None:
    """Returns: what stands before the optimiser of a model in the model's own snapshot; None where there is none."""
    if not model_prefix.startswith("updater/model:"):
        return None
    prefix = "updater/optimizer:" + model_prefix.removeprefix("updater/model:")
    return prefix if any(name.startswith(prefix) for name in file.members) else None


def read_optimizer(file: SnapshotFile, arrays: Sequence[CarriedArray], prefix: str = "") -> OptimizerState:
    """Read the state of an optimiser.

    Args:
        file: a trainer's snapshot, or a file that `save_npz` made of an optimiser.
        arrays: the arrays of the model that it trains.
        prefix: what stands before its values: "" in a file of its own, otherwise see `optimizer_prefix`.

    Raises:
        CarryError: the file holds none, one of another model, or values that are missing or of another shape.
    """
    where = f"{file.path} ({prefix})" if prefix else str(file.path)
    trained = [array for array in arrays if array.trained]
    paths = {array.chainer_path: prefix + array.chainer_path + "/" for array in trained}
    moments: dict[str, dict[str, str]] = {path: {} for path in paths}
    known = set().union(*STATE_NAMES.values())
    behind = {start: path for path, start in paths.items()}
    for name in file.members:
        start, _, last = name.rpartition("/")
        if (path := behind.get(start + "/")) is not None and last in known:
            moments[path][last] = name
    root = "/".join([*prefix.split("/", 2)[:2], ""]) if prefix.startswith("updater/optimizer:") else ""
    own = [name for name in (root + "t", root + "epoch") if name in file.members]
    if len(own) < 2:
        raise CarryError(
            "holds no optimiser: t and epoch are missing",
            where,
            "give a trainer's snapshot, or what save_npz made of the optimiser",
        )
    _refuse_others(file, where, prefix, (*paths.values(), root + "t", root + "epoch"))
    numbers = file.read([*own, *(start + "t" for start in paths.values() if start + "t" in file.members)])
    t, epoch = (int(numbers[name]) for name in own)
    # Chainer 1 counted the updates of an optimiser, not those of each parameter.
    old = not any(start + "t" in numbers for start in paths.values())
    counts = {path: int(numbers.get(start + "t", t if old else 0)) for path, start in paths.items()}
    notes = (
        ["the file is of Chainer 1: each parameter counts as updated as often as the optimiser"] if old and t else []
    )
    read = file.read(name for found in moments.values() for name in found.values())
    values = {path: {last: read[name] for last, name in sorted(found.items())} for path, found in moments.items()}
    state = OptimizerState(prefix, t, epoch, counts, values, ())
    _compare(trained, state, where)
    still = [path for path, count in counts.items() if count == 0 and t]
    if still:
        notes.append(f"never updated in {t:,} updates, so perhaps frozen: {listed(still)}")
    twice = [path for path, count in counts.items() if count > t]
    if twice:
        notes.append(
            f"updated more than once in each update, for the model holds it under several names: {listed(twice)}"
        )
    return OptimizerState(prefix, t, epoch, counts, values, tuple(notes))


def _refuse_others(file: SnapshotFile, where: str, prefix: str, known: tuple[str, ...]) -> None:
    """Refuse the state of a model with other parameters."""
    there = [name for name in file.members if name.startswith(prefix)]
    if others := sorted(name.removeprefix(prefix) for name in there if not name.startswith(known)):
        raise CarryError(
            f"is the optimiser of another model: it has {listed(others)}", where, "give the optimiser of this model"
        )


def _compare(trained: Sequence[CarriedArray], state: OptimizerState, where: str) -> None:
    """Compare the moments with each other and with the parameters."""
    names = state.names()
    for array in trained:
        path = array.chainer_path
        moments = state.moments[path]
        if state.counts[path] and set(moments) != names:
            lacking = listed(f"{path}/{name}" for name in sorted(names - set(moments)))
            raise CarryError(f"lacks {lacking}", where, "save the snapshot again")
        for name, value in moments.items():
            if array.shape is not None and value.shape != array.shape:
                problem = f"{printable(path)}/{name} is {list(value.shape)}, expected {list(array.shape)}"
                raise CarryError(problem, where, "give the optimiser of this model")
    if any(state.counts.values()) and not state.classes():
        raise CarryError(
            f"keeps {listed(sorted(names))} for each parameter, which no optimiser of Chainer 7.8.1 does",
            where,
            "port the weights alone",
        )
