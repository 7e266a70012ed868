"""Options that several programs share: how each is typed, what it may be, and what its help says."""

from __future__ import annotations

import argparse

from ganspec.spec.training.options import DEVICES, MAX_SEED, is_device
from ganspec.spec.training.protocol import REFERENCE, training_backends
from ganspec.tools import backends

MAX_COUNT = 10**12  # of iterations and the like: what a machine does in thousands of years


def positive(text: str) -> int:
    """Returns: the whole number, from 1 to `MAX_COUNT`, that an option says.

    Raises:
        argparse.ArgumentTypeError: it is not one; argparse adds the option's name.
    """
    return _whole(text, 1, MAX_COUNT)


def seed(text: str) -> int:
    """Returns: the seed, a whole number from 0 to 2^63 - 1, that an option says.

    Raises:
        argparse.ArgumentTypeError: it is not one; argparse adds the option's name.
    """
    return _whole(text, 0, MAX_SEED)


def device(text: str) -> str:
    """Returns: the device that an option says.

    Raises:
        argparse.ArgumentTypeError: it is not one; argparse adds the option's name.
    """
    if not is_device(text):
        raise argparse.ArgumentTypeError(f"expected {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, found {text[:40]!r}")
    return text


def add_set(parser: argparse.ArgumentParser, of: str = "the system") -> None:
    """Add --set, which may be given several times."""
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[],
        help=f"change a key of {of}, such as run.batch=32; can be given several times",
    )  # fmt: skip


def add_backend(parser: argparse.ArgumentParser, default: str | None = None, *, both: bool = False) -> None:
    """Add --backend.

    Args:
        parser: parser of the program.
        default: backend without the option; None where the program settles that itself and "torch" is usual.
        both: whether "both" is a choice, too; then those of other packages are none.
    """
    choices = (*backends.NAMES, "both") if both else training_backends()
    parser.add_argument(
        "--backend", choices=choices, type=_trains, default=default, help=f"default: {default or 'torch'}"
    )


def add_device(parser: argparse.ArgumentParser, default: str | None = "cpu") -> None:
    """Add --device; with the default None, the program settles what holds without it."""
    parser.add_argument(
        "--device",
        type=device,
        metavar="DEVICE",
        default=default,
        help="cpu, cuda, or cuda:N for the N-th GPU from 0; default: cpu",
    )


def add_seed(parser: argparse.ArgumentParser, default: int | None = 0) -> None:
    """Add --seed; with the default None, the program settles what holds without it."""
    parser.add_argument(
        "--seed", type=seed, metavar="S", default=default, help="seed of all random numbers (default: 0)"
    )


def _trains(text: str) -> str:
    if text == REFERENCE:
        raise argparse.ArgumentTypeError("the reference computes no gradients, so it cannot train alone")
    return text


def _whole(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except (ValueError, OverflowError):  # also of thousands of digits, which Python does not read
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most:,}")
    return number
