"""What stands in a snapshot of Chainer: which model under which prefix, how far training was.

A model's own file has the paths of its arrays. A trainer's snapshot has them under `updater/model:NAME/`, beside optimisers,
iterators and extensions. A model that is a part of another one, such as the predictor of a Classifier, has a longer prefix.
The prefix is found by what the model needs; where several fit, the user chooses. States of optimisers are read in
`optimizers_states`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.porting.carry_errors import CarryError, counted, listed
from ganspec.tools.porting.names import CarriedArray
from ganspec.tools.porting.snapshot_files import SnapshotFile

OPTION = "--snapshot-prefix"

_OLD_STATISTICS = (
    "avg_var: if Chainer before 4.0.0 trained this model without cuDNN, avg_var holds the batch normalization's eps as well "
    "(Chainer's pull request 4505); the numbers are carried as they are, as Chainer 7 reads them"
)


@dataclass(frozen=True)
class ModelValues:
    """The arrays of one model in a snapshot.

    Args:
        prefix: what stands before its paths in the file, "" or ending with "/".
        values: the arrays by Chainer's path.
        notes: what the user should know, one sentence each.
    """

    prefix: str
    values: Mapping[str, np.ndarray]
    notes: tuple[str, ...]


def read_model(
    file: SnapshotFile, arrays: Sequence[CarriedArray], prefix: str | None = None, *, allow_extra: bool = False
) -> ModelValues:
    """Read the arrays of a model.

    Args:
        file: the snapshot.
        arrays: what the model needs (see `arrays_of`).
        prefix: what stands before the model's paths, such as "updater/model:main/predictor"; the name of a trainer's model, such
            as "gen"; None to find it.
        allow_extra: whether the snapshot may hold arrays under the prefix that the model lacks. Chainer ignores them.

    Raises:
        CarryError: several models fit, none does, or an array is missing, extra, not initialised or of another shape.
    """
    prefix = find_prefix(file, arrays, prefix)
    _compare(file, arrays, prefix, allow_extra)
    values = file.read(prefix + array.chainer_path for array in arrays)
    values = {array.chainer_path: values[prefix + array.chainer_path] for array in arrays}
    notes = []
    if any(array.chainer_path.rpartition("/")[2] == "avg_var" for array in arrays):
        notes.append(_OLD_STATISTICS)
    for array in arrays:
        value, first = values[array.chainer_path], values[array.same_as]
        wanted = "f" if array.trained else "fiub"
        if array.torch_key is not None and value.dtype.kind not in wanted:
            what = "floating-point numbers" if array.trained else "real numbers"
            raise CarryError(
                f"{printable(array.chainer_path)} is of the dtype {value.dtype}, expected {what}",
                file.path,
                "give the snapshot as Chainer wrote it",
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            notes.append(f"{array.chainer_path} has a value that is not finite; it is carried as it is")
        if value.tobytes() != first.tobytes():
            raise CarryError(
                f"{printable(array.same_as)} and {printable(array.chainer_path)} differ, which are one array in the class",
                file.path,
                "give the snapshot of this class",
            )
    return ModelValues(prefix, values, tuple(notes))


def fill(link: Any, values: Mapping[str, np.ndarray]) -> None:
    """Give a link its values, as chainer.serializers.load_npz does; what was not initialised has a shape then.

    Args:
        link: a chainer.Link.
        values: an array for each path that it writes.
    """
    from chainer.serializers import NpzDeserializer

    NpzDeserializer(dict(values)).load(link)


def models_in(file: SnapshotFile) -> list[str]:
    """Returns: the prefixes of what a trainer's snapshot calls its models; [""] of any other file."""
    parts = (name.split("/") for name in file.members)
    found = {
        f"updater/{part[1]}/" for part in parts if part[0] == "updater" and part[1:] and part[1].startswith("model:")
    }
    return sorted(found) or [""]


def find_prefix(file: SnapshotFile, arrays: Sequence[CarriedArray], prefix: str | None = None) -> str:
    """Find a model in a file.

    Args:
        file: the snapshot.
        arrays: what the model needs.
        prefix: what the user says of it, as in `read_model`.

    Returns: what stands before the model's paths, "" or ending with "/". Where no model fits whole, the nearest one.

    Raises:
        CarryError: several models fit, or nothing does.
    """
    counts = _counts(file, arrays)
    if prefix is not None:
        wanted = prefix.strip("/") + "/" if prefix.strip("/") else ""
        trainers = f"updater/model:{wanted}"
        for known in (wanted, trainers):
            if any(name.startswith(known) for name in file.members):
                return known
        likely = sorted(counts, key=counts.__getitem__, reverse=True) or models_in(file)
        there = f"the model may be under {listed(found.rstrip('/') or '/' for found in likely)}"
        raise CarryError(f"holds nothing under {printable(prefix)}; {there}", file.path, f"correct {OPTION}")
    whole = [found for found, count in counts.items() if count == len(arrays)]
    fitting = [found for found in whole if all(_fits(file, array, found) for array in arrays)] or whole
    if len(fitting) == 1 or not arrays:
        return fitting[0] if fitting else ""
    if fitting:
        choices = " or ".join(f"{OPTION} {printable(found.rstrip('/') or '/')}" for found in sorted(fitting))
        raise CarryError(f"holds {len(fitting)} models that fit", file.path, f"choose one with {choices}")
    if not counts:
        models = ", ".join(
            f"{listed(sorted(_under(file, model)), 3)} under {model or 'no prefix'}" for model in models_in(file)
        )
        raise CarryError(
            f"holds none of the model's arrays, such as {printable(arrays[0].chainer_path)}; it has {models}",
            file.path,
            "give the snapshot of this class, or another class",
        )
    return max(counts, key=lambda found: (counts[found], sum(_fits(file, a, found) for a in arrays), -len(found)))


def _counts(file: SnapshotFile, arrays: Sequence[CarriedArray]) -> Counter[str]:
    """Returns: of each prefix how many of the wanted arrays stand behind it."""
    wanted = {array.chainer_path for array in arrays}
    counts: Counter[str] = Counter()
    for name in file.members:
        parts = name.split("/")
        counts.update("/".join([*parts[:n], ""]) for n in range(len(parts)) if "/".join(parts[n:]) in wanted)
    return counts


def _fits(file: SnapshotFile, array: CarriedArray, prefix: str) -> bool:
    member = file.members.get(prefix + array.chainer_path)
    return member is not None and (array.shape is None or member.shape == array.shape)


def _under(file: SnapshotFile, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in file.members if name.startswith(prefix)]


def _compare(file: SnapshotFile, arrays: Sequence[CarriedArray], prefix: str, allow_extra: bool) -> None:
    """Compare what stands under a prefix with what the model needs; the error says all of the first kind that is wrong."""
    where = f"{file.path} ({prefix})" if prefix else str(file.path)
    other = f"is it the snapshot of another class, or of other arguments? Otherwise choose another model with {OPTION}"
    paths = [array.chainer_path for array in arrays]
    there = _under(file, prefix)
    if missing := sorted(set(paths) - set(there)):
        raise CarryError(f"lacks {len(missing)} of the model's {len(paths)} arrays: {listed(missing)}", where, other)
    if (extra := sorted(set(there) - set(paths))) and not allow_extra:
        raise CarryError(
            f"has {counted(len(extra))} that the model lacks: {listed(extra)}",
            where,
            f"{other}, or allow it with --allow-extra",
        )
    for path in paths:
        if problem := file.members[prefix + path].problem:
            remedy = "load it in the old environment, run the model once on data, and save it again"
            raise CarryError(f"{printable(path)} {problem}", where, remedy)
    wrong = [
        f"{printable(array.chainer_path)} is {list(file.members[prefix + array.chainer_path].shape or ())}, "
        f"expected {list(array.shape or ())}"
        for array in arrays
        if not _fits(file, array, prefix)
    ]
    if wrong:
        raise CarryError(f"another shape in {counted(len(wrong))}: {'; '.join(wrong[:5])}", where, other)


@dataclass(frozen=True)
class IteratorPosition:
    """Where an iterator over the data stood.

    Args:
        position: index in the order of the next example.
        epoch: number of whole passes.
        order: the shuffled order of the examples, or None.
    """

    position: int
    epoch: int
    order: np.ndarray | None


@dataclass(frozen=True)
class Progress:
    """How far training was, as a trainer's snapshot says it. A model's own file says nothing.

    Args:
        iteration: number of iterations, or None.
        iterators: where each iterator stood, by name.
        shifts: how often each extension that moves a hyper-parameter was called, and the value that it gave last, if it keeps
            that; by the extension's name.
        seconds: time that training took, or None.
    """

    iteration: int | None = None
    iterators: Mapping[str, IteratorPosition] = field(default_factory=dict)
    shifts: Mapping[str, tuple[int, float | None]] = field(default_factory=dict)
    seconds: float | None = None

    def lines(self) -> list[str]:
        """Returns: the same in words, a line each."""
        said = [] if self.iteration is None else [f"iteration {self.iteration:,}"]
        for name, where in self.iterators.items():
            of = "" if where.order is None else f" of {len(where.order):,}"
            said.append(f"iterator {name}: epoch {where.epoch:,}, position {where.position:,}{of}")
        for name, (count, value) in self.shifts.items():
            said.append(
                f"{name}: called {count:,} times" + ("" if value is None else f", its last value was {value:g}")
            )
        return [printable(line) for line in said]

    def as_json(self) -> dict[str, Any]:
        """Returns: the same as plain data."""
        iterators = {
            name: {"epoch": at.epoch, "position": at.position, "order": None if at.order is None else at.order.tolist()}
            for name, at in self.iterators.items()
        }
        shifts = {name: {"calls": count, "last_value": value} for name, (count, value) in self.shifts.items()}
        return {"iteration": self.iteration, "seconds": self.seconds, "iterators": iterators, "shifts": shifts}


def read_progress(file: SnapshotFile) -> Progress:
    """Read how far training was.

    Args:
        file: the snapshot.

    Raises:
        CarryError: the file is damaged.
    """
    numbers = {
        name
        for name, m in file.members.items()
        if m.shape is not None and m.dtype is not None and m.dtype.kind in "biuf"
    }
    single = {name for name in numbers if file.members[name].shape == ()}
    iterators = {}
    shifts: dict[str, tuple[int, float | None]] = {}
    for name in sorted(single):
        match name.split("/"):
            case ["updater", iterator, "current_position"] if f"updater/{iterator}/epoch" in single:
                orders = [o for o in (f"updater/{iterator}/order", f"updater/{iterator}/_order") if o in numbers]
                read = file.read([name, f"updater/{iterator}/epoch", *orders[:1]])
                order = read[orders[0]] if orders else None
                epoch = int(read[f"updater/{iterator}/epoch"])
                iterators[iterator.removeprefix("iterator:")] = IteratorPosition(int(read[name]), epoch, order)
            case ["extensions", extension, "_t"]:
                last = f"extensions/{extension}/_last_value"
                read = file.read([name, *({last} & single)])
                shifts[extension] = int(read[name]), float(read[last]) if last in read else None
    found = file.read(single & {"updater/iteration", "_snapshot_elapsed_time"})
    iteration, seconds = found.get("updater/iteration"), found.get("_snapshot_elapsed_time")
    return Progress(
        None if iteration is None else int(iteration), iterators, shifts, None if seconds is None else float(seconds)
    )
