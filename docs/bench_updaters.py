"""Time Chainer-GAN-lib's own updaters beside ganspec's trainers: python docs/bench_updaters.py FOLDER [ALGORITHM ...]

FOLDER holds a copy of https://github.com/pfnet-research/chainer-gan-lib. Its updaters and networks run unmodified under
`ganspec.impl_chainer.compat`, on the CPU or, with --device cuda, on CuPy. **Its files are run**: name no folder that you do not
trust. Each side trains the same networks with the same batch, optimisers and schedule, on the same random images, and takes its
batches from its own iterator. The sides take turns: a round times some iterations of each, so that whatever else the machine does
falls on all of them. The table has the medians of the rounds in seconds per iteration, and theirs / ours, which is above 1 where
ours is faster. On CUDA ours is as `ganspec train` runs it: captured where it can be, with numbers drawn on the device.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import System, load_system
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.checkpoint import write_atomically
from ganspec.spec.training.options import device_number
from ganspec.spec.training.state import initial_state
from ganspec.tools import data
from ganspec.tools.backends import NAMES, load, make_trainer
from ganspec.tools.benchmarks import sides
from ganspec.tools.errors import UserError, cannot_write
from ganspec.tools.programs.options import count, device, positive
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.memory import keep_freed_memory

SEED = 0
LAST_STAGE = 6  # of progressive growing: all blocks, nothing fades in
Iterate = Callable[[], Any]
Measured = dict[str, list[float]]

# What its train.py makes for an algorithm: folder of the updater, generator, discriminator, further models, and arguments of the
# updater, with as many steps of the discriminator as our system has.
ALGORITHMS: dict[str, tuple[str, str, str, list[str], dict[str, Any]]] = {
    "dcgan": ("dcgan", "common.net:DCGANGenerator", "common.net:DCGANDiscriminator", [], {}),
    "wgan_gp": ("wgan_gp", "common.net:DCGANGenerator", "common.net:WGANDiscriminator", [], {"n_dis": 5, "lam": 10}),
    "dragan": ("dragan", "common.net:DCGANGenerator", "common.net:WGANDiscriminator", [], {"n_dis": 2, "lam": 10}),
    "cramer": ("cramer", "common.net:DCGANGenerator", "common.net:WGANDiscriminator", [], {"n_dis": 5, "lam": 10}),
    "sndcgan": ("stdgan", "common.net:DCGANGenerator", "common.net:SNDCGANDiscriminator", [], {"n_dis": 1}),
    "minibatch": (
        "minibatch_discrimination", "common.net:DCGANGenerator", "minibatch_discrimination.net:Discriminator", [], {},
    ),
    "began": ("began", "common.net:DCGANGenerator", "began.net:Discriminator", [], {"gamma": 0.5}),
    "dfm": ("dfm", "common.net:DCGANGenerator", "dfm.net:Discriminator", ["dfm.net:Denoiser"], {}),
    "progressive": (
        "progressive", "progressive.net:Generator", "progressive.net:Discriminator", ["progressive.net:Generator"],
        {"n_dis": 1, "lam": 10, "gamma": 750, "smoothing": 0.999, "initial_stage": LAST_STAGE, "stage_interval": 400_000},
    ),
}  # fmt: skip
GENERATOR_ARGUMENTS: dict[str, dict[str, Any]] = {"began": {"use_bn": False}}
DISCRIMINATOR_ARGUMENTS: dict[str, dict[str, Any]] = {"cramer": {"output_dim": 256}}


def prepared(algorithm: str, batch: int) -> System:
    """Returns: our system of an algorithm; progressive growing reaches its last stage after a few iterations."""
    growing = [f"growth.images={batch}"] if algorithm == "progressive" else []
    return load_system(f"{algorithm}_cifar10", [f"run.batch={batch}", *growing])


def theirs(folder: Path, algorithm: str, system: System, images: np.ndarray, device: str = "cpu") -> Iterate:
    """Returns: what does one iteration of their updater. Args: images: uint8, (n, channels, height, width)."""
    importlib.import_module("ganspec.impl_chainer.compat")
    chainer = importlib.import_module("chainer")
    for path in (folder / "common", folder):  # from where its own modules import
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    where, generator, discriminator, others, arguments = ALGORITHMS[algorithm]
    models = [_named(generator)(**GENERATOR_ARGUMENTS.get(algorithm, {}))]
    models.append(_named(discriminator)(**DISCRIMINATOR_ARGUMENTS.get(algorithm, {})))
    models += [_named(other)() for other in others]
    number = -1 if device == "cpu" else device_number(device) or 0
    if number >= 0:
        chainer.get_device(f"@cupy:{number}").use()
        for model in models:
            model.to_device(f"@cupy:{number}")
    optimizers = {}
    for key, network, model in zip(("opt_gen", "opt_dis", "opt_den"), ("G", "D", "R"), models, strict=False):
        if network in system.optimizers:
            a = system.optimizers[network]
            optimizers[key] = chainer.optimizers.Adam(alpha=a.learning_rate, beta1=a.beta1, beta2=a.beta2).setup(model)
    low, high = system.data.range
    x = (images.astype(np.float64) / 255 * (high - low) + low).astype(np.float32)
    updater = _named(f"{where}.updater:Updater")(
        iterator={"main": chainer.iterators.SerialIterator(x, system.run.batch)},
        optimizer=optimizers, models=models, device=number, **arguments,
    )  # fmt: skip
    return updater.update_core


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def ours(backend: str, algorithm: str, system: System, images: np.ndarray, device: str = "cpu") -> Iterate:
    """Returns: what does one iteration of our trainer, which draws on its device, as `ganspec train` does."""
    state = initial_state(system, SEED)
    if algorithm == "progressive":
        state = replace(state, iteration=LAST_STAGE)
    trainer = make_trainer(backend, system, SEED, state, device=device, draws="host" if device == "cpu" else "device")
    feed = Feed(system, data.Dataset(images, None, "random images", ""), SEED, "float32")
    return lambda: trainer.iterate(feed)


def measure(
    folder: Path,
    algorithm: str,
    batch: int,
    backends: list[str],
    *,
    device: str = "cpu",
    rounds: int,
    iterations: int,
    warm_up: int,
) -> Measured:
    """Time all sides, turn by turn, after some iterations of each that are not timed.

    Returns: seconds per iteration in each round, by side: "theirs" and the backends.

    Raises:
        UserError: their code does not run here.
    """
    system = prepared(algorithm, batch)
    images = np.random.default_rng(SEED).integers(0, 256, (4 * batch, *system.data.shape), dtype=np.uint8)
    updater = explained(algorithm, lambda: theirs(folder, algorithm, system, images, device))
    turns = {"theirs": lambda: explained(algorithm, updater)}
    turns |= {name: ours(name, algorithm, system, images, device) for name in backends}
    for iterate in turns.values():
        for _ in range(warm_up):
            iterate()
    seconds: Measured = {name: [] for name in turns}
    synchronise = sides.synchroniser("chainer", device)  # CuPy's waits for PyTorch, too
    for _ in range(rounds):
        for name, iterate in turns.items():
            seconds[name].append(sides.seconds_per_iteration(iterate, iterations, synchronise))
    return seconds


def explained(algorithm: str, theirs: Iterate) -> Any:
    """Returns: what code of theirs gives. Raises: UserError: it does not run here, for whatever reason."""
    try:
        return theirs()
    except Exception as error:
        message = f"{algorithm}: the updater does not run here: {type(error).__name__}: {error}"
        if isinstance(error, AttributeError) and error.name == "get" and isinstance(error.obj, np.ndarray | np.generic):
            message += "; it calls .get(), which CuPy's arrays have and NumPy's have not: it runs on a GPU alone"
        raise UserError(message) from None


def arguments_of(given: list[str] | None) -> argparse.Namespace:
    """Returns: the checked arguments. Raises: UserError: one of them cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a copy of Chainer-GAN-lib")
    parser.add_argument(
        "algorithms", metavar="ALGORITHM", nargs="*", default=[], help=f"of {', '.join(ALGORITHMS)} (default: all)"
    )
    parser.add_argument(
        "--batch", metavar="N", type=positive, nargs="+", default=[16], help="batch sizes (default: 16)"
    )
    parser.add_argument("--backend", choices=NAMES, nargs="+", default=list(NAMES), help="our sides (default: both)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--rounds", metavar="N", type=positive, default=3, help="timed rounds (default: 3)")
    parser.add_argument(
        "--iterations", metavar="N", type=positive, default=1, help="of each side in a round (default: 1)"
    )
    parser.add_argument("--warm-up", metavar="N", type=count, default=1, help="iterations not timed (default: 1)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the times of every round to a file, too")
    found = parser.parse_args(given)
    for name in found.algorithms:
        if name not in ALGORITHMS:
            hint = did_you_mean(name, ALGORITHMS)
            message = f"no algorithm '{name}': {expected_one_of(ALGORITHMS)}"
            raise UserError(f"{message}; {hint}" if hint else message)
    if not (found.folder / "common" / "net.py").is_file():
        raise UserError(
            f"{found.folder}: no Chainer-GAN-lib, which has common/net.py; name the folder that has its train.py"
        )
    found.algorithms = found.algorithms or list(ALGORITHMS)
    return found


def main(given: list[str] | None = None) -> None:
    """Print the table and write the file. Raises: UserError: an argument is wrong, or no updater runs here."""
    arguments = arguments_of(given)
    if arguments.rounds == 1:
        print(
            "one round: its ratios say little, for nothing shows what chance does to them; try --rounds 3",
            file=sys.stderr,
        )
    keep_freed_memory()  # as training does; their updaters gain as much
    load("chainer", device=arguments.device)  # is it there?
    folder, backends = arguments.folder.resolve(), list(dict.fromkeys(arguments.backend))
    names = ["theirs", *backends]
    print(_row(["algorithm", "batch", *names, *(f"theirs/{name}" for name in backends)]), flush=True)
    rows = []
    for algorithm in arguments.algorithms:
        for batch in arguments.batch:
            try:
                options = {key: getattr(arguments, key) for key in ("device", "rounds", "iterations", "warm_up")}
                seconds = measure(folder, algorithm, batch, backends, **options)
            except UserError as error:
                print(error, flush=True)
                continue
            medians = {name: statistics.median(found) for name, found in seconds.items()}
            ratios = {f"theirs/{name}": medians["theirs"] / medians[name] for name in backends}
            rows.append({"algorithm": algorithm, "batch": batch, **medians, **ratios, "rounds": seconds})
            cells = [f"{medians[name]:.3g}" for name in names] + [f"{ratio:.2f}x" for ratio in ratios.values()]
            print(_row([algorithm, str(batch), *cells]), flush=True)
    if arguments.json is not None:
        try:
            write_atomically(arguments.json, (json.dumps(rows, indent=2) + "\n").encode())
        except OSError as error:
            raise cannot_write(arguments.json, error, option="--json FILE") from None
    if not rows:
        raise UserError("nothing was measured: none of these updaters runs here, for the reasons above")


def _row(cells: list[str]) -> str:
    return "".join(f"{cell:<12}" if i == 0 else f"{cell:>16}" for i, cell in enumerate(cells))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
