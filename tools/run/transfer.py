"""Starting a run with the weights of another one: fine-tuning, and transfer to another system where shapes fit.

Networks are matched by name, arrays by path and shape: "G/l1/W" takes "G/l1/W", if both have one shape. Parameters and running
statistics are taken. What belongs to the course of training is not: optimiser moments, counts of updates, learning rates, carried
numbers, the iteration. Moving averages start from what was taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import System
from ganspec.spec.layers import format_shape
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import CheckpointError, read_checkpoint, read_record
from ganspec.spec.training.record import RunError
from ganspec.spec.training.record import read_record as read_run_record
from ganspec.spec.training.runs import check_name, checkpoints
from ganspec.spec.training.state import StateError, TrainingState, array_shapes, check_state, initial_state
from ganspec.tools.errors import UserError

WEIGHTS = ("trained", "averaged")
_KINDS = ("parameters", "statistics")
_PREFIXES = tuple(f"{kind}/" for kind in _KINDS)
_REST = "averages start from these weights; optimisers and carried numbers start anew"
_MAX_LINES = 40  # about what was left out


@dataclass(frozen=True)
class Transfer:
    """The weights that a run starts with, and where they are from.

    Args:
        state: initial state of the system, with the arrays that were taken.
        run: folder of the other run.
        iteration: iteration of the checkpoint that was read.
        weights: "trained", or "averaged" where moving averages were taken as far as there are some.
        digest: digest of the checkpoint.
        taken: number of arrays that were taken.
        wanted: number of arrays that the system has.
        left_out: a line for each array, or whole network, of either side that has no counterpart.
    """

    state: TrainingState
    run: Path
    iteration: int
    weights: str
    digest: str
    taken: int
    wanted: int
    left_out: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Returns: what a run's record says of it."""
        return {
            "run": str(self.run),
            "iteration": self.iteration,
            "weights": self.weights,
            "digest": self.digest,
            "taken": self.taken,
            "wanted": self.wanted,
            "left_out": list(self.left_out),
        }

    def lines(self) -> list[str]:
        """Returns: the same for people."""
        text = f"{self.taken} of {self.wanted} arrays are the {self.weights} ones of {self.run}, iteration {self.iteration:,}"
        rest = [f"  {line}" for line in self.left_out]
        return [text, *(["left out:", *rest] if rest else []), _REST]


def weights_of(
    system: System, seed: int, dtype: str, folder: Path, weights: str, iteration: int | None = None
) -> Transfer:
    """Take what fits of another run's weights.

    Args:
        system: system that begins to train.
        seed: seed of the arrays that are not taken.
        dtype: dtype that the arrays will have.
        folder: folder of the other run, of any system and either backend.
        weights: "trained" for the weights as they were trained, "averaged" for the moving averages where the run has some.
        iteration: iteration of the checkpoint to read; None for the newest.

    Raises:
        UserError: it is not the folder of a run, has no such checkpoint, the checkpoint is damaged, or nothing in it fits.
    """
    try:
        read_run_record(folder)  # or it is no run
        found = checkpoints(folder)
        if iteration is not None and iteration not in found:
            there = ", ".join(map(str, found)) or "none"
            raise UserError(f"{folder}: has no checkpoint of iteration {iteration}, only of {there}")
        if not found:
            raise UserError(f"{folder}: has no checkpoint yet, so that there are no weights to start with")
        path = found[max(found) if iteration is None else iteration]
        header, _ = read_record(path)
        check_name(path, header["iteration"])
        other, _ = read_checkpoint(path)
    except (RunError, CheckpointError) as error:
        raise UserError(str(error)) from None
    state, given = initial_state(system, seed), _given(other, weights)
    wanted = [name for name in array_shapes(system) if name.startswith(_PREFIXES)]
    taken = [name for name in wanted if name in given and given[name].shape == state.arrays[name].shape]
    left = _left_out({name: state.arrays[name] for name in wanted}, given)
    if not any(name.startswith("parameters/") for name in taken):
        lines = "\n".join(f"    {line}" for line in left)
        raise UserError(f"{path}: none of its weights fits {system.name}:\n{lines}\nleave out --init-from")
    state.arrays |= {name: given[name].astype(np.float64) for name in taken}
    _start_averages(system, state)
    try:
        check_state(system, state, dtype)
    except StateError as error:
        raise UserError(f"{path}: {error}") from None
    return Transfer(
        state, folder.resolve(), other.iteration, weights, header["digest"], len(taken), len(wanted), tuple(left)
    )


def _given(state: TrainingState, weights: str) -> dict[str, np.ndarray]:
    """Returns: the parameters and statistics of a state by name; of a network with an average that, if it is asked for."""
    given = {name: a for name, a in state.arrays.items() if name.startswith(_PREFIXES) and name.count("/") > 1}
    if weights == "averaged":
        given |= {
            name: average
            for name in given
            if (average := state.arrays.get(f"averages/{name.partition('/')[2]}")) is not None
        }
    return given


def _start_averages(system: System, state: TrainingState) -> None:
    for network in system.averages:
        for kind in _KINDS:
            state.arrays |= {
                f"averages/{network}/{path}": a.copy() for path, a in state.of(f"{kind}/{network}").items()
            }


def _left_out(wanted: dict[str, np.ndarray], given: dict[str, np.ndarray]) -> list[str]:
    """Returns: a line for each array that has no counterpart of its shape; one for a network of which nothing is there."""
    networks = {side: {name.split("/")[1] for name in arrays} for side, arrays in (("here", wanted), ("there", given))}
    lines = [f"{n}: the other run has no such network" for n in sorted(networks["here"] - networks["there"])]
    lines += [f"{n}: a network of the other run alone" for n in sorted(networks["there"] - networks["here"])]
    for name in dict.fromkeys([*wanted, *given]):
        network, path = name.split("/")[1], name.partition("/")[2]
        if network not in networks["here"] & networks["there"]:
            continue
        here, there = wanted.get(name), given.get(name)
        if here is None and there is not None:
            lines.append(f"{path}: {format_shape(there.shape)} there, absent here")
        elif here is not None and there is None:
            lines.append(f"{path}: {format_shape(here.shape)} here, absent there")
        elif here is not None and there is not None and here.shape != there.shape:
            lines.append(f"{path}: {format_shape(here.shape)} here, {format_shape(there.shape)} there")
    lines = [printable(line) for line in lines]
    rest = len(lines) - _MAX_LINES
    return lines[:_MAX_LINES] + ([f"... and {rest} more"] if rest > 0 else [])
