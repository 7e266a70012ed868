"""The options of a run that are neither the system's nor a backend's: their values, and a check of them."""

from __future__ import annotations

DTYPES = ("float32", "float64")
DEVICES = ("cpu", "cuda")
DRAWS = ("host", "device")
MAX_SEED = 2**63 - 1


def check_choice(name: str, value: object, valid: tuple[str, ...]) -> None:
    """Raises: ValueError: a value is none of the valid ones; the message lists them."""
    if not isinstance(value, str) or value not in valid:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, valid))}")


def check_seed(value: object) -> None:
    """Raises: ValueError: a value is no seed."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEED:
        raise ValueError(f"seed is {value!r}, expected a whole number from 0 to 2^63 - 1")
