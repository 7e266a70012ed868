"""What may be chosen for a CUDA device: options of `ganspec train` for speed, at the price of exactness or of the same bits."""

from __future__ import annotations

import argparse
from typing import Any

from ganspec.tools.errors import UserError
from ganspec.tools.run.folder import RunFolder

_OPTIONS = {"tune": "--tune", "channels_last": "--channels-last", "eager": "--no-capture"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--tf32", action="store_true",
        help="on a CUDA device: products and convolutions in TensorFloat-32, outside of what is proved; as --precision tf32",
    )  # fmt: skip
    parser.add_argument(
        "--tune", dest="cuda", action="append_const", const="tune",
        help="on a CUDA device: let cuDNN measure its algorithms and take the fastest; a resumed run has not the same bits then",
    )  # fmt: skip
    parser.add_argument(
        "--channels-last", dest="cuda", action="append_const", const="channels_last",
        help="on a CUDA device: images and kernels lie with their channels last, in PyTorch",
    )  # fmt: skip
    parser.add_argument(
        "--no-capture", dest="cuda", action="append_const", const="eager",
        help="on a CUDA device: launch each operation by itself, not a whole iteration as one graph",
    )  # fmt: skip


def choices(arguments: argparse.Namespace, options: dict[str, Any], folder: RunFolder | None) -> dict[str, list[str]]:
    """Settle what is chosen for a CUDA device.

    Args:
        arguments: the command line, with the options that `add_arguments` adds.
        options: backend and device of the run, among others.
        folder: folder of the run that is resumed, None for a new run. Its choices hold as long as no others are made.

    Returns: the option "cuda" where there are any; it is recorded only there, so that other runs stay as they were.

    Raises:
        UserError: the device is no CUDA device, or Chainer does not have what was chosen.
    """
    asked = list(dict.fromkeys(arguments.cuda or ()))
    if asked and options["device"] == "cpu":
        raise UserError(f"{_named(asked)}: a choice for a CUDA device; leave it out, or add --device cuda")
    if options["device"] == "cpu":
        return {}
    if "channels_last" in asked and options["backend"] == "chainer":
        raise UserError(
            "--channels-last: Chainer's convolutions on CUDA take images channels-first alone; use --backend torch"
        )
    kept = folder.record.get("cuda", []) if folder else []
    chosen = asked or [choice for choice in kept if choice != "channels_last" or options["backend"] == "torch"]
    return {"cuda": chosen} if chosen else {}


def changed(options: dict[str, Any], record: dict[str, Any]) -> dict[str, list[str]]:
    """Returns: what the record of a resumed run says of the choices from now on; nothing where there never were any."""
    return {"cuda": options.get("cuda", [])} if "cuda" in options or "cuda" in record else {}


def lines(options: dict[str, Any]) -> list[str]:
    """Returns: what is to be told of a run because most runs are not so."""
    if "tune" in options.get("cuda", ()):
        return ["--tune: cuDNN chooses its algorithms by measuring them, so that a resumed run has not the same bits"]
    return []


def _named(chosen: list[str]) -> str:
    return " and ".join(_OPTIONS[choice] for choice in chosen)
