"""Options that several programs share: how each is typed, what it may be, and what its help says."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspec.spec import System
from ganspec.spec.training.options import DEVICES, DRAWS, MAX_SEED, default_draws, is_device
from ganspec.spec.training.protocol import REFERENCE, training_backends
from ganspec.tools import backends

MAX_NUMBERS = 1_000  # in a list that an option takes
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


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """Add --no-sharing."""
    parser.add_argument(
        "--no-sharing", action="store_true",
        help="compute what several formulas, repeats or steps need once for each of them: the same numbers in more time",
    )  # fmt: skip


def as_asked(system: System, arguments: argparse.Namespace) -> System:
    """Returns: the system, whose plans share nothing after --no-sharing."""
    return system.without_sharing() if arguments.no_sharing else system


def sharing(arguments: argparse.Namespace, record: Mapping[str, Any]) -> dict[str, bool]:
    """Returns: what a run's record says of --no-sharing; nothing where it was never given. Args: record: that so far."""
    return {"sharing": not arguments.no_sharing} if arguments.no_sharing or "sharing" in record else {}


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
        "--backend",
        choices=choices,
        type=_trains,
        default=default,
        help=f"default: {default or ('both' if both else 'torch')}",
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


def add_draws(parser: argparse.ArgumentParser) -> None:
    """Add --draws; `settled_draws` says what holds without it."""
    parser.add_argument(
        "--draws", choices=DRAWS,
        help="where random numbers are computed; they are the same; default: host with --device cpu, device with cuda",
    )  # fmt: skip


def settled_draws(asked: str | None, device: str, record: Mapping[str, Any]) -> str:
    """Settle where a run draws.

    Args:
        asked: what this command says; None if nothing.
        device: device of the run.
        record: record of the run that is resumed, which goes on as before on the same device; else nothing.

    Returns: "host" or "device".
    """
    return asked or (record["draws"] if record.get("device") == device else default_draws(device))


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add --cache, --cache-to and --jobs: where decoded images are kept, and how many processes decode them."""
    parser.add_argument(
        "--cache", action="store_true",
        help="keep decoded images on the disk, mapped into memory, even if they fit into it; above 1 GiB they always are",
    )  # fmt: skip
    parser.add_argument(
        "--cache-to", type=Path, metavar="DIR", help="where decoded images are kept; default: a cache folder"
    )
    parser.add_argument(
        "--jobs", type=positive, metavar="N", help="processes that decode pictures; default: one per processor"
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


def add_run(parser: argparse.ArgumentParser, network: str = "G") -> None:
    """Add RUN, the folder of a run, and which weights of it are used: --checkpoint and --weights."""
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run, as 'ganspec train' left it")
    parser.add_argument(
        "--checkpoint", type=count, metavar="ITERATION", help="the checkpoint to use; default: the newest"
    )
    parser.add_argument(
        "--weights", choices=("averaged", "trained"),
        help=f"the moving average of {network}, or its own weights; default: the average where the run keeps one",
    )  # fmt: skip


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Add what samples are made from, and on what: --seed, --label, --truncation, --backend, --device, --batch."""
    add_seed(parser)
    parser.add_argument(
        "--label", metavar="L", action="append", default=[],
        help="a label, by number or by the name of its class; several take turns; default: all classes take turns",
    )  # fmt: skip
    parser.add_argument(
        "--truncation", type=number, metavar="T",
        help="normal latents: none beyond T standard deviations; uniform ones: from T of their range (up to 1)",
    )  # fmt: skip
    parser.add_argument("--backend", choices=training_backends(), type=_trains, help="default: the run's own")
    add_device(parser)
    parser.add_argument(
        "--batch", type=positive, metavar="N", default=256, help="images that G makes at once (default: 256)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def count(text: str) -> int:
    """Returns: the whole number, from 0 to `MAX_COUNT`, that an option says.

    Raises:
        argparse.ArgumentTypeError: it is not one; argparse adds the option's name.
    """
    return _whole(text, 0, MAX_COUNT)


def number(text: str) -> float:
    """Returns: the finite number above 0 that an option says.

    Raises:
        argparse.ArgumentTypeError: it is not one; argparse adds the option's name.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError("expected a number above 0")
    return found


def numbers(text: str) -> list[int]:
    """Returns: the whole numbers from 0, separated by commas, that an option says.

    Raises:
        argparse.ArgumentTypeError: they are none; argparse adds the option's name.
    """
    parts = text.split(",")
    if len(parts) > MAX_NUMBERS:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_NUMBERS} numbers")
    return [_whole(part, 0, MAX_COUNT) for part in parts]


def length(arguments: argparse.Namespace) -> list[str]:
    """Returns: the options that say how long to train, as they were given."""
    asked = {"--iterations": arguments.iterations, "--epochs": arguments.epochs}
    return [f"{option}={number}" for option, number in asked.items() if number]


def absolute(name: str) -> str:
    """Returns: a system's name; the name of a file such that it can be found from anywhere."""
    base, dot, variant = name.rpartition(".toml")
    return str(Path(base + dot).resolve()) + variant if dot and variant[:1] in ("", "/") else name
