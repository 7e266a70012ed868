"""Where the reference's arrays live: on the host, as NumPy float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganspec.spec.training.options import DTYPES, check_choice, check_device


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what is."""


def check_place(device: str, dtype: str) -> None:
    """Check that the reference can compute there.

    Args:
        device: "cpu".
        dtype: "float64".

    Raises:
        ValueError: there is no such device or dtype, or the dtype is float32.
        DeviceError: the device is not the CPU.
    """
    check_device(device)
    check_choice("dtype", dtype, DTYPES)
    if device != "cpu":
        raise DeviceError("the reference is plain NumPy and computes on the CPU alone; use device cpu for it")
    if dtype != "float64":
        raise ValueError(
            f"dtype is {dtype!r}, but the reference says what is right and computes in 'float64' alone; "
            "leave it out where float32 is judged"
        )


def own_copy(values: np.ndarray) -> np.ndarray:
    """Returns: a copy that nobody else changes; whole numbers become int64, all others float64."""
    return np.array(values, np.int64 if values.dtype.kind in "iu" else np.float64, order="C")


def to_numpy(array: Any) -> np.ndarray:
    """Returns: the values of an array, or of a plain number; a copy."""
    return np.array(array, order="C")
