"""The options of a run that are neither the system's nor a backend's: their values, and a check of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

DTYPES = ("float32", "float64")
DEVICES = ("cpu", "cuda", "cuda:N")  # "cuda" is the device that the framework takes by itself
DRAWS = ("host", "device")  # where random numbers are computed; they are the same
# Of products of matrices and of convolutions: that of the dtype, bfloat16, or on CUDA TensorFloat-32, of 10 bits.
PRECISIONS = ("full", "bf16", "tf32")
CUDA_CHOICES = (
    "tune",
    "channels_last",
    "eager",
)  # what may be chosen on CUDA for speed, or against it; see docs/cuda.md
MAX_SEED = 2**63 - 1


def check_choice(name: str, value: object, valid: tuple[str, ...]) -> None:
    """Raises: ValueError: a value is none of the valid ones; the message lists them."""
    if not isinstance(value, str) or value not in valid:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, valid))}")


def is_device(value: object) -> bool:
    """Returns: whether a value is "cpu", "cuda", or "cuda:0", "cuda:1" and so on."""
    return isinstance(value, str) and re.fullmatch(r"cpu|cuda(:(0|[1-9][0-9]{0,2}))?", value, re.ASCII) is not None


def default_draws(device: str) -> str:
    """Returns: where random numbers are computed unless somebody says it: on a CUDA device, so that nothing is copied there."""
    return "host" if device == "cpu" else "device"


def check_device(value: object) -> None:
    """Raises: ValueError: a value is no device."""
    if not is_device(value):
        expected = ", ".join(map(repr, DEVICES))
        raise ValueError(f"device is {value!r}, expected one of {expected}, where N counts from 0")


def device_number(device: str) -> int | None:
    """Returns: the number of a CUDA device, None where the device says none."""
    number = device.partition(":")[2]
    return int(number) if number else None


def missing_device(framework: str, device: str, count: int, remedy: str) -> str:
    """Say that a CUDA device is not there, and what is; empty where it is there.

    Args:
        framework: name of the framework.
        device: device that is asked for.
        count: number of CUDA devices that the framework finds.
        remedy: how to get one where there is none, after "use --device cpu, or ".
    """
    if device == "cpu" or (device_number(device) or 0) < count:
        return ""
    if not count:
        return f"{framework} finds no CUDA device; use --device cpu, or {remedy}"
    found = "is one CUDA device, cuda:0" if count == 1 else f"are {count} CUDA devices, cuda:0 to cuda:{count - 1}"
    return f"{framework} finds no {device}: there {found}"


def check_precision(precision: object, dtype: str, device: str) -> None:
    """Raises: ValueError: a precision is none, or does not go with the dtype or the device."""
    check_choice("precision", precision, PRECISIONS)
    if precision != PRECISIONS[0] and dtype != "float32":
        raise ValueError(f"precision is {precision!r}, which goes with dtype 'float32', not {dtype!r}")
    if precision == "tf32" and device == "cpu":
        raise ValueError("precision is 'tf32', which CUDA devices have, not device 'cpu'")


def check_cuda(chosen: object, device: str) -> None:
    """Raises: ValueError: what is chosen for CUDA is not of `CUDA_CHOICES`, or the device is another."""
    if isinstance(chosen, str) or not isinstance(chosen, Sequence):
        raise ValueError(f"cuda is {chosen!r}, expected a list of some of {', '.join(map(repr, CUDA_CHOICES))}")
    for choice in chosen:
        check_choice("an entry of cuda", choice, CUDA_CHOICES)
    if chosen and device == "cpu":
        raise ValueError(f"cuda is {list(chosen)}, which is for CUDA devices, not device 'cpu'")


def check_seed(value: object) -> None:
    """Raises: ValueError: a value is no seed."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEED:
        raise ValueError(f"seed is {value!r}, expected a whole number from 0 to 2^63 - 1")
