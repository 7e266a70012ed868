"""With which weights, in which precision, how on CUDA: options of `ganspec train`, and what is told of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ganspec.spec import System
from ganspec.spec.training.options import PRECISIONS
from ganspec.tools.errors import UserError
from ganspec.tools.programs import cuda
from ganspec.tools.programs import options as shared
from ganspec.tools.run.folder import RunFolder
from ganspec.tools.run.transfer import WEIGHTS, Transfer, weights_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options: weights of another run, the precision, and choices for a CUDA device."""
    parser.add_argument(
        "--init-from", type=Path, metavar="RUN",
        help="start with the weights of another run, of any system, as far as names and shapes are the same",
    )  # fmt: skip
    parser.add_argument(
        "--init-weights",
        choices=WEIGHTS,
        help="of that run, or its moving averages where it has some; default: trained",
    )
    parser.add_argument(
        "--init-checkpoint",
        type=shared.positive,
        metavar="N",
        help="iteration of that run's checkpoint; default: the newest",
    )

    parser.add_argument(
        "--precision", choices=PRECISIONS,
        help="of products of matrices and of convolutions, outside of what is proved: bf16, PyTorch's, or tf32, on a CUDA device",
    )  # fmt: skip
    cuda.add_arguments(parser)


def precision(arguments: argparse.Namespace, options: dict[str, Any], folder: RunFolder | None) -> dict[str, str]:
    """Settle the precision of a run.

    Args:
        arguments: the command line, with the options that `add_arguments` adds.
        options: backend and dtype of the run, among others.
        folder: folder of the run that is resumed, None for a new run.

    Returns: the option "precision" where it is special; it is recorded only there, so that other runs stay as they were.

    Raises:
        UserError: the run has another one, or the backend or dtype does not go with it.
    """
    usual, asked, typed = PRECISIONS[0], arguments.precision, "--precision"
    if arguments.tf32:
        if asked not in (None, "tf32"):
            raise UserError(f"--tf32 does not go with --precision {asked}; leave out one of them")
        asked, typed = "tf32", "--tf32"
    wanted = folder.record.get("precision", usual) if folder else asked or usual
    if folder and asked not in (None, wanted):
        raise UserError(
            f"{folder.path}: was started with --precision {wanted}, which resuming cannot change; leave out {typed}, or "
            f"start a run of its own with these weights: --init-from {folder.path}"
        )
    if wanted == usual:
        return {}
    named = typed if arguments.tf32 else f"--precision {wanted}"
    if wanted == "tf32" and options["device"] == "cpu":
        raise UserError(f"{named} is for a CUDA device, which rounds so; leave it out, or add --device cuda")
    if wanted == "bf16" and options["backend"] != "torch":
        alone = "PyTorch's alone: NumPy and CuPy have no bfloat16"
        if folder and asked is None:
            raise UserError(
                f"{folder.path}: was started with --precision {wanted}, which it keeps, and which is {alone}\n"
                f"leave out --backend {options['backend']}, or start a run of its own: --init-from {folder.path}"
            )
        raise UserError(f"--precision {wanted} is {alone}; use --backend torch")
    if options["dtype"] != "float32":
        raise UserError(f"{named} goes with --dtype float32; leave out one of them")
    return {"precision": wanted}


def transfer(
    arguments: argparse.Namespace, system: System, options: dict[str, Any], folder: RunFolder | None
) -> Transfer | None:
    """Take the weights of another run, if that was asked for.

    Args:
        arguments: the command line, with the options that `add_arguments` adds.
        system: system to train.
        options: seed and dtype of the run, among others.
        folder: folder of the run that is resumed, None for a new run.

    Raises:
        UserError: options exclude each other, or nothing can be taken (see `weights_of`).
    """
    given, weights, checkpoint = arguments.init_from, arguments.init_weights, arguments.init_checkpoint
    if given is None:
        if weights is not None or checkpoint is not None:
            raise UserError(
                "--init-weights and --init-checkpoint say which weights --init-from RUN takes; give that, too"
            )
        return None
    if folder is not None:
        raise UserError(
            "--init-from and --resume exclude each other: a run that goes on has weights; leave out one of them"
        )
    return weights_of(system, options["seed"], options["dtype"], given, weights or WEIGHTS[0], checkpoint)


def lines(options: dict[str, Any], transfer: Transfer | None) -> list[str]:
    """Returns: what is to be told of a run because most runs are not so."""
    text = transfer.lines() if transfer else []
    text += cuda.lines(options)
    if "precision" in options:
        text.append(f"precision {options['precision']}: outside of what is proved, that backends compute the same")
    return text
