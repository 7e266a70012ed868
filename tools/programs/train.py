"""Train a system: a run folder with the resolved system, a log, pictures, plots and checkpoints.

This module settles what is asked for, and `ganspec.tools.run` does it. What the command line does not say comes from the run that
is resumed, else from the system.

A run that is killed at any instant resumes from its newest checkpoint and then gives what an unbroken run gives; in the other
backend, to rounding.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ganspec.spec import System, load_system
from ganspec.spec.description import describe
from ganspec.spec.layers import format_shape
from ganspec.spec.plan.plan import describe_plan
from ganspec.spec.text.errors import printable
from ganspec.spec.training.changes import changes
from ganspec.spec.training.options import DTYPES
from ganspec.tools import backends
from ganspec.tools.data import Dataset, NotCached, download
from ganspec.tools.data.catalogue import CATALOGUE
from ganspec.tools.data.download import cache_folder
from ganspec.tools.errors import UserError
from ganspec.tools.programs import cuda, initial
from ganspec.tools.programs import options as shared
from ganspec.tools.quality.watch import Watch
from ganspec.tools.run import rehearsal, tensorboard
from ganspec.tools.run.album import Album
from ganspec.tools.run.alike import found, settled
from ganspec.tools.run.environment import environment
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.folder import RunFolder, new_folder
from ganspec.tools.run.joining import together
from ganspec.tools.run.keeping import best_lines, check_best
from ganspec.tools.run.launch import Launch
from ganspec.tools.run.loop import Training
from ganspec.tools.run.progress import End
from ganspec.tools.run.ranks import Silent
from ganspec.tools.run.reading import load_for, reading_of
from ganspec.tools.run.resume import FIXED, change_lines, check_kinds, resume
from ganspec.tools.run.soundness import check_sound
from ganspec.tools.run.transfer import Transfer
from ganspec.tools.sampling.latents import draw_of

_DEFAULTS = {"backend": "torch", "device": "cpu", "dtype": "float32", "draws": None, "seed": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ganspec train`."""
    parser.add_argument("system", metavar="SYSTEM", nargs="?", help="a name, NAME/VARIANT, or the path of a TOML file")
    shared.add_backend(parser)
    shared.add_device(parser, default=None)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data", type=Path, metavar="PATH", help="IDX, CIFAR-10, a folder, tar or zip of images, .npz or .npy"
    )
    source.add_argument(
        "--download", action="store_true", help="fetch the data set of the system's source, and train on it"
    )
    parser.add_argument("--download-to", type=Path, metavar="DIR", help="folder of data sets; default: a cache folder")
    shared.add_cache(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder; default: runs/SYSTEM-BACKEND-NNN")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=shared.positive, metavar="N", help="train up to this iteration in all")
    length.add_argument("--epochs", type=shared.positive, metavar="N", help="train up to this epoch in all")
    shared.add_seed(parser, default=None)
    parser.add_argument("--dtype", choices=DTYPES, help="default: float32")
    shared.add_set(parser)
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with the run in this folder, with its backend and data unless others are given; --set may change the length "
        "of the run, what is shown of it, and numbers of the optimisers, such as optimizers.learning_rate",
    )
    initial.add_arguments(parser)
    shared.add_draws(parser)
    shared.add_sharing(parser)
    parser.add_argument(
        "--tensorboard", action=argparse.BooleanOptionalAction,
        help="write what is recorded to RUN/tensorboard, too; a resumed run goes on with it",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true",
        help="print what would be done, look at the data, and estimate time and memory from one iteration; write nothing",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Returns: 0, 3 where training stopped because a value was not finite, or 130 after Ctrl-C."""
    known = arguments.backend or (None if arguments.resume else _DEFAULTS["backend"])
    with together(Launch.of(os.environ), known) as ranks, ExitStack() as opened:
        # What is asked for: folder, system, options.
        folder = None
        if arguments.resume:
            folder = opened.enter_context(
                RunFolder.open_existing(arguments.resume, to_train=ranks.leads and not arguments.dry_run)
            )
        system = _system(arguments, folder)
        options = _options(arguments, folder)
        transfer = initial.transfer(arguments, system, options, folder)
        ranks.check_alike(settled(system, options, _end(arguments, system)))
        ranks.check(system, options["backend"], options["device"])
        if arguments.dry_run:
            ranks.require_one("--dry-run")
            return _dry_run(arguments, system, options, folder, transfer)
        board = tensorboard.recorded(arguments.tensorboard, folder.record if folder else {})
        # What training needs: framework, data, state.
        backends.load(options["backend"], to_train=True, device=options["device"])  # before a download is waited for
        path = ranks.in_turn(lambda: _data(arguments, system, folder))
        data = ranks.in_turn(lambda: load_for(system, path, *reading_of(arguments)))
        start = transfer.state if transfer else None
        state, record = resume(system, folder, options, data, arguments.set) if folder else (start, None)
        ranks.check_alike(*found(data, state))
        batches = record.batches if record else 0
        feed = Feed(system, data, options["seed"], options["dtype"], batches, ranks.share)
        numbers = {key: options[key] for key in ("dtype", "device", "draws", "precision", "cuda") if key in options}
        numbers |= ranks.trainer_options()
        trainer = backends.make_trainer(options["backend"], system, options["seed"], state, **numbers)
        ranks.check_same(trainer.state)
        watch = Watch(system, data, trainer, options) if ranks.leads else None
        if ranks.leads and folder and state:
            check_sound(folder, system, state.iteration, events=board.get(tensorboard.FOLDER, False))
        # Nothing is wrong any more, so that the folder may be made or changed.
        if not ranks.leads:
            folder = Silent()
        elif folder is None:
            out = arguments.out or new_folder(f"{system.name}-{options['backend']}")
            content = _record(arguments, system, options, path, data) | board | ranks.recorded()
            content |= shared.sharing(arguments, {})
            content["images_per_epoch"] = feed.images_per_epoch
            content |= {"init_from": transfer.record()} if transfer else {}
            folder = opened.enter_context(RunFolder.create(out, content))
        else:
            assert state is not None
            assert record is not None
            made = changes(record.description, describe(system))
            changed = {key: options[key] for key in ("backend", "device", "draws")} | {"data": str(path or "")}
            changed |= board | cuda.changed(options, folder.record) | shared.sharing(arguments, folder.record)
            session = {"iteration": state.iteration, **changed, **ranks.recorded(), "settings": arguments.set}
            session |= {"changed": made} if made else {}
            folder.add_resume(arguments.set, changed, session | {"versions": environment(options["backend"])})
            print("".join(printable(f"from now on, {line}") + "\n" for line in change_lines(made)), end="")
        print("\n".join(map(printable, (f"{system.name}: {system.title}", data.source, f"run folder: {folder.path}"))))
        told = [*initial.lines(options, transfer), *(best_lines(system.run, folder.path) if ranks.leads else ())]
        print("".join(printable(line) + "\n" for line in told), end="")
        folder.length = shared.length(arguments)
        ranks.resume_command = ranks.from_first(folder.resume_command())
        album = Album(system, folder, trainer, options["seed"]) if ranks.leads else Silent()
        training = Training(system, folder, trainer, feed, album, options, data.fingerprint, record, ranks, watch)
        return training.train(_end(arguments, system))


def _system(arguments: argparse.Namespace, folder: RunFolder | None) -> System:
    name, settings = arguments.system, arguments.set
    if folder is not None:
        name = name or folder.record["system"]
        check_kinds(folder.record, settings)
        settings = [*folder.record["settings"], *settings]
    if not name:
        raise UserError("which system? 'ganspec systems' lists them; or --resume DIR")
    system = shared.as_asked(load_system(name, settings), arguments)
    check_best(system.run.keep)
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
    before = {key: folder.record[key] for key in _DEFAULTS} if folder else _DEFAULTS
    options = {key: before[key] if getattr(arguments, key) is None else getattr(arguments, key) for key in _DEFAULTS}
    options["draws"] = shared.settled_draws(arguments.draws, options["device"], folder.record if folder else {})
    if folder:
        for key in (key for key in FIXED if options[key] != before[key]):
            raise UserError(
                f"{folder.path}: was started with --{key} {before[key]}, which resuming cannot change; leave out --{key}"
            )
        if arguments.out:
            raise UserError("--out and --resume exclude each other: a run goes on in its own folder; leave out --out")
    return options | initial.precision(arguments, options, folder) | cuda.choices(arguments, options, folder)


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
        if arguments.dry_run:  # what was fetched before is looked at, nothing is fetched
            known = CATALOGUE[wanted.dataset]
            kept = (arguments.download_to or cache_folder()) / wanted.dataset
            if not all((kept / file.name).is_file() for file in known.files):
                size = sum(file.size for file in known.files)
                raise _NoDataYet(f"{wanted.dataset}, to be downloaded ({size / 1e6:,.1f} MB)")
        return download(wanted.dataset, arguments.download_to, progress=sys.stderr.isatty()).resolve()
    if arguments.data:
        return Path(arguments.data).resolve()
    if folder is not None and folder.record["data"]:
        return Path(folder.record["data"])
    if not wanted.embedded:
        remedies = [f"--download fetches {wanted.dataset}, which its source trains on"] * bool(wanted.dataset)
        remedy = "; or ".join([*remedies, "give some with --data PATH"])
        raise _NoDataYet(f"{system.name}: no data ships with ganspec for it; {remedy}")
    return None


class _NoDataYet(UserError):
    """There are no data. Training needs some; a dry run goes on without."""


def _record(
    arguments: argparse.Namespace, system: System, options: dict[str, Any], path: Path | None, data: Dataset
) -> dict[str, Any]:
    return {
        "system": shared.absolute(arguments.system),
        "settings": arguments.set,
        **options,
        "data": str(path) if path else "",
        "data_source": data.source,
        **({} if data.classes is None else {"classes": list(data.classes)}),
        "versions": environment(options["backend"]),
        "resolved": describe(system),
    }


def _end(arguments: argparse.Namespace, system: System) -> End:
    """Returns: what to train up to: as asked for, else to the system's own end."""
    if arguments.iterations or arguments.epochs:
        return End(arguments.iterations or math.inf, arguments.epochs or math.inf)
    return End(system.run.iterations or math.inf, system.run.epochs or math.inf)


def _dry_run(
    arguments: argparse.Namespace,
    system: System,
    options: dict[str, Any],
    folder: RunFolder | None,
    transfer: Transfer | None,
) -> int:
    """Print what training would do and cost; nothing is written, fetched or locked."""
    # What would be done.
    end = _end(arguments, system)
    print(printable(f"{system.name}: {system.title}"))
    print(", ".join(f"{key} {value}" for key, value in options.items()))
    print(f"up to {end}, in batches of {system.run.batch}")
    if system.growth:
        print(f"{system.growth.stages} stages of growth, each for {system.growth.images:,} images; the last one:")
    print("\n".join(map(printable, describe_plan(system.plan, system.schedule))))
    # On which data, from which state.
    backends.load(options["backend"], to_train=True, device=options["device"])
    try:
        data: Dataset | None = load_for(
            system, _data(arguments, system, folder), *reading_of(arguments, look_only=True)
        )
    except NotCached as missing:
        data = missing.outline  # one image in every place; nothing is decoded for a rehearsal
        print(missing)
    except _NoDataYet as error:
        data = None
        print(f"data: none yet: {error}")
    known = data if data is None or data.fingerprint else None
    state, record = (transfer.state if transfer else None), None
    if folder:
        state, record = resume(system, folder, options, known, arguments.set)
    print("".join(printable(line) + "\n" for line in initial.lines(options, transfer)), end="")
    feed = None
    if data is not None:
        print("\n".join([f"data: {data.source}", *rehearsal.data_lines(data, system)]))
        feed = Feed(system, data, options["seed"], options["dtype"], record.batches if record else 0)
    # At what cost.
    start = state.iteration if state else 0
    measured = rehearsal.measure(system, options, feed, state)
    left = rehearsal.iterations_left(system, feed, measured, start, end)
    print("\n".join(rehearsal.cost_lines(system, options, measured, left)))
    return 0
