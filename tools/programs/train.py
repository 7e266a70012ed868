"""Train a system: a run folder with the resolved system, a log, pictures, plots and checkpoints.

This module settles what is asked for, and `training` does it. What the command line does not say comes from the run that is
resumed, else from the system.

A run killed at any instant resumes from its newest checkpoint and then gives what an unbroken run gives; in the other backend,
to rounding.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import System, load_system
from ganspec.spec.description import describe, differences
from ganspec.spec.layers import format_shape
from ganspec.spec.plan.plan import describe_plan
from ganspec.spec.training.checkpoint import CheckpointError, Record, read_checkpoint, read_record
from ganspec.spec.training.state import array_shapes
from ganspec.tools import backends
from ganspec.tools.data import Dataset, download, embedded_digits, load
from ganspec.tools.errors import UserError
from ganspec.tools.run.album import Album
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.folder import RunFolder, free_folder
from ganspec.tools.run.loop import Training
from ganspec.tools.run.progress import End
from ganspec.tools.sampling.latents import draw_of

_OPTIONS = ("backend", "device", "dtype", "draws", "seed")
_DEFAULTS = {"backend": "torch", "device": "cpu", "dtype": "float32", "draws": "host", "seed": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", nargs="?", help="a name, NAME/VARIANT, or the path of a TOML file")
    parser.add_argument("--backend", choices=backends.NAMES, help="default: torch")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cpu")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data", type=Path, metavar="PATH", help="IDX, CIFAR-10, a folder, tar or zip of images, .npz or .npy"
    )
    source.add_argument(
        "--download", action="store_true", help="train on the data set of the system's source; fetch it"
    )
    parser.add_argument(
        "--download-to", type=Path, metavar="DIR", help="where data sets are kept; default: a cache folder"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder; default: runs/SYSTEM-NNN")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=_positive, metavar="N", help="train up to this iteration in all")
    length.add_argument("--epochs", type=_positive, metavar="N", help="train up to this epoch in all")
    parser.add_argument("--seed", type=_seed, metavar="S", help="of every random number; default: 0")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: float32")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a key of the system")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--draws", choices=("host", "device"), help="where random numbers come from; default: host")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0, 3 where training stopped because a value was not finite, or 130 after Ctrl-C."""
    folder = RunFolder.open_existing(arguments.resume) if arguments.resume else None
    system = _system(arguments, folder)
    options = _options(arguments, folder)
    checkpoint = folder.newest_checkpoint() if folder else None
    if arguments.dry_run:
        return _dry_run(arguments, system, options, folder)
    backends.load(options["backend"])  # before a download, say, is waited for
    path = _data(arguments, system, folder)
    data = _load(path, system)
    state, record = _resumed(system, checkpoint, options, data) if checkpoint else (None, None)
    feed = Feed(system, data, options["seed"], options["dtype"], record.batches if record else 0)
    numbers = {key: options[key] for key in ("dtype", "device", "draws")}
    trainer = backends.make_trainer(options["backend"], system, options["seed"], state, **numbers)
    if folder is None:
        out = arguments.out or free_folder(f"{system.name}-{options['backend']}")
        folder = RunFolder.create(out, _record(arguments, system, options, path, data))
    print(f"{system.name}: {system.title}\n{data.source}\nrun folder: {folder.path}")
    album = Album(system, folder, trainer, options["seed"])
    return Training(system, folder, trainer, feed, album, options, data.fingerprint, record).train(
        _end(arguments, system)
    )


def _system(arguments: argparse.Namespace, folder: RunFolder | None) -> System:
    name, settings = arguments.system, arguments.set
    if folder is not None:
        name = name or folder.record["system"]
        settings = settings or folder.record["settings"]
    if not name:
        raise UserError("which system? 'ganspec systems' lists them; or --resume DIR")
    system = load_system(name, settings)
    if "G" not in system.networks:
        raise UserError(f"{system.name}: has no network G to draw samples from")
    image = system.networks["G"].output_shape(next(iter(system.networks["G"].outputs)))
    if len(image) != 3 or image[0] not in (1, 3):
        raise UserError(
            f"{system.name}: the first output of G is {format_shape(image)}, not an image of 1 or 3 channels"
        )
    for name in (name for name, wanted in system.networks["G"].inputs.items() if wanted.dtype == "float"):
        draw_of(system, name)  # or there is nothing to give it
    return system


def _options(arguments: argparse.Namespace, folder: RunFolder | None) -> dict[str, Any]:
    """Returns: the options, from the command line, else from the run that is resumed, else the defaults."""
    before = {key: folder.record[key] for key in _OPTIONS} if folder else _DEFAULTS
    options = {key: before[key] if getattr(arguments, key) is None else getattr(arguments, key) for key in _OPTIONS}
    if folder:
        for key in ("seed", "dtype", "draws"):
            if options[key] != before[key]:
                raise UserError(f"{folder.path}: was started with --{key} {before[key]}, which resuming cannot change")
        if arguments.out:
            raise UserError("--out and --resume exclude each other: a run goes on in its own folder")
    return options


def _data(arguments: argparse.Namespace, system: System, folder: RunFolder | None) -> Path | None:
    """Returns: where the data are, fetched if that was asked for; None for those that ship with ganspec."""
    wanted = system.data
    if arguments.download or arguments.download_to:
        if arguments.data:
            raise UserError("--data and --download-to exclude each other: data that are given need no download")
        if not wanted.dataset:
            raise UserError(
                f"{system.name}: its source names no data set that can be downloaded; give some with --data PATH"
            )
        return download(wanted.dataset, arguments.download_to, progress=sys.stderr.isatty()).resolve()
    if arguments.data:
        return Path(arguments.data).resolve()
    if folder is not None and folder.record["data"]:
        return Path(folder.record["data"])
    if not wanted.embedded:
        ways = [f"--download fetches {wanted.dataset}, which its source trains on"] * bool(wanted.dataset)
        raise UserError(
            f"{system.name}: no data ships with ganspec for it; {'; or '.join([*ways, 'give some with --data PATH'])}"
        )
    return None


def _load(path: Path | None, system: System) -> Dataset:
    wanted, progress = system.data, sys.stderr.isatty()
    found = path or embedded_digits()
    return load(found, shape=wanted.shape, fit=wanted.fit, skip_grey=wanted.skip_grey, progress=progress)


def _resumed(system: System, checkpoint: Path, options: dict[str, Any], data: Dataset) -> tuple[Any, Record]:
    try:
        _, record = read_record(checkpoint)
        changed = differences(record.description, describe(system))
        if changed:
            lines = "\n".join(f"    {line}" for line in changed)
            raise UserError(f"{checkpoint}: the system has changed since; a resumed run must be the same run:\n{lines}")
        for key in ("seed", "dtype", "draws"):
            if getattr(record, key) != options[key]:
                raise UserError(f"{checkpoint}: was written with {key} {getattr(record, key)}, not {options[key]}")
        if record.data != data.fingerprint:
            raise UserError(f"{data.source}: is not the data that this run was started with; give that with --data")
        return read_checkpoint(checkpoint, array_shapes(system))
    except CheckpointError as error:
        raise UserError(f"{error}\nto go on from an earlier checkpoint, move this file away") from None


def _record(
    arguments: argparse.Namespace, system: System, options: dict[str, Any], path: Path | None, data: Dataset
) -> dict[str, Any]:
    return {
        "system": _absolute(arguments.system),
        "settings": arguments.set,
        **options,
        "data": str(path) if path else "",
        "data_source": data.source,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "resolved": describe(system),
    }


def _absolute(name: str) -> str:
    """Returns: a system's name, that of a file such that it can be found from anywhere."""
    base, dot, variant = name.rpartition(".toml")
    return str(Path(base + dot).resolve()) + variant if dot and variant[:1] in ("", "/") else name


def _end(arguments: argparse.Namespace, system: System) -> End:
    """Returns: what to train up to: as asked for, else to the system's own end."""
    if arguments.iterations or arguments.epochs:
        return End(arguments.iterations or math.inf, arguments.epochs or math.inf)
    return End(system.run.iterations or math.inf, system.run.epochs or math.inf)


def _dry_run(arguments: argparse.Namespace, system: System, options: dict[str, Any], folder: RunFolder | None) -> int:
    where = str(arguments.data or (folder.record["data"] if folder else ""))
    if arguments.download or arguments.download_to:
        known = system.data.dataset
        where = f"{known}, downloaded" if known else "none: its source names no data set that can be downloaded"
    elif not where:
        where = f"the embedded {system.data.embedded}" if system.data.embedded else "none: give --data PATH"
        where += f", or --download, which fetches {system.data.dataset}" * bool(
            system.data.dataset and not system.data.embedded
        )
    print(f"{system.name}: {system.title}")
    print(", ".join(f"{key} {value}" for key, value in options.items()))
    print(f"data: {where}")
    print(f"up to {_end(arguments, system)}, in batches of {system.run.batch}")
    if system.growth:
        print(f"{system.growth.stages} stages of growth, each for {system.growth.images:,} images; the last one:")
    print("\n".join(describe_plan(system.plan, system.schedule)))
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a whole number from 1")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("expected a whole number from 0 to 2^63 - 1")
    return number
