"""What a trainer is given besides draws: batches of data, and inputs for a network to look at; both are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.schedule import DATA
from ganspec.spec.system import System

# Gives the next batch, NumPy arrays by name: "x", images in the system's range, floating-point numbers of the shape (batch,
# channels, height, width), and where formulas use labels "y", whole numbers of the shape (batch,).
NextBatch = Callable[[], Mapping[str, np.ndarray]]


class BatchError(ValueError):
    """A batch is not one of this system; the message says what is wrong with it."""


def check_batch(system: System, batch: Mapping[str, np.ndarray], processes: int = 1) -> None:
    """Compare a batch with what a system trains on: "x", and where formulas use them labels "y".

    Args:
        system: system to train.
        batch: arrays by name.
        processes: number of processes that share a batch; each is given its own rows.

    Raises:
        BatchError: an array is missing, or has another shape or dtype, or a label is out of range.
    """
    for name in DATA if "y" in system.symbols else DATA[:1]:
        wanted = (system.run.batch // processes, *(system.data.shape if name == "x" else ()))
        if name not in batch:
            raise BatchError(f"the batch has no '{name}', an array of shape {list(wanted)}")
        if not isinstance(batch[name], np.ndarray):
            raise BatchError(f"'{name}' of the batch is a {type(batch[name]).__name__}, expected a NumPy array")
        shape, dtype = batch[name].shape, batch[name].dtype
        if shape != wanted:
            raise BatchError(f"'{name}' of the batch has the shape {list(shape)}, {system.name} takes {list(wanted)}")
        if dtype.kind != "f" and name == "x":
            raise BatchError(f"'x' of the batch has the dtype {dtype}, expected floating-point numbers")
        if name == "y" and (dtype.kind not in "iu" or batch["y"].min() < 0 or batch["y"].max() >= system.data.labels):
            raise BatchError(
                f"'y' of the batch holds other values than labels, whole numbers below {system.data.labels}"
            )


class InputError(ValueError):
    """Inputs do not fit a network; the message names the input."""


def check_inputs(architecture: Architecture, inputs: Sequence[np.ndarray]) -> None:
    """Compare values with the inputs that a network takes.

    Raises:
        InputError: their number, a shape, a dtype or a label is wrong, or their counts of samples differ.
    """
    wanted = architecture.inputs
    if len(inputs) != len(wanted):
        raise InputError(f"the network takes {len(wanted)} inputs ({', '.join(wanted)}), found {len(inputs)}")
    for (name, expected), values in zip(wanted.items(), inputs, strict=True):
        if not isinstance(values, np.ndarray):
            raise InputError(f"the input {name} is a {type(values).__name__}, expected a NumPy array")
        shape = () if expected.dtype == "label" else expected.shape
        if values.ndim == 0 or values.shape[1:] != shape:
            found = list(values.shape)
            raise InputError(
                f"the input {name} has the shape {found}, expected {[*('N',), *shape]}".replace("'N'", "N")
            )
        if expected.dtype == "label":
            classes = expected.shape[0]
            whole = values.dtype.kind in "iu" and (not len(values) or (values.min() >= 0 and values.max() < classes))
            if not whole:
                raise InputError(f"the input {name} holds other values than labels, whole numbers below {classes}")
        elif values.dtype.kind not in "fiu":
            raise InputError(f"the input {name} has the dtype {values.dtype}, expected numbers")
    if len({len(values) for values in inputs}) > 1:
        raise InputError(f"the inputs have different counts of samples: {', '.join(str(len(v)) for v in inputs)}")


def in_native_order(values: np.ndarray) -> np.ndarray:
    """Returns: the values as every framework takes them: contiguous, writable, and in the byte order of this machine."""
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("=")).reshape(values.shape)
    return values if values.flags.writeable else values.copy()
