"""Our training and a plain loop's as functions that do one iteration, with its batch and the numbers that it records."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ganspec.spec import System, load_system, system_names
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.options import device_number
from ganspec.tools import data
from ganspec.tools.backends import load, make_trainer
from ganspec.tools.baselines import MODULES
from ganspec.tools.benchmarks.request import Request
from ganspec.tools.errors import UserError
from ganspec.tools.run.feed import Feed
from ganspec.tools.run.reading import load_for

SEED = 0
_RANDOM_BATCHES = 16  # of random images, where no data ship with ganspec

Iterate = Callable[[], dict[str, float]]


def loop_name(system: str) -> str:
    """Returns: the first part of the names of a system's modules in `tools.baselines`.

    Raises:
        UserError: there is no plain loop of it.
        SpecError: there is no such system.
    """
    if system not in MODULES:
        if ".toml" not in system and (hint := did_you_mean(system, system_names())):
            raise UserError(f"there is no system '{system}': {hint} 'ganspec systems' lists them")
        load_system(system)  # says so where there is no such system or file
        valid = expected_one_of(sorted(MODULES))
        raise UserError(
            f"no hand-written loop of '{system}' to compare with: --alone times a system without one; or {valid}"
        )
    return MODULES[system]


def check_settings(settings: Sequence[str]) -> None:
    """Raises: UserError: one of them is no number, so that a plain loop would not have it."""
    for setting in settings:
        try:
            float(setting.partition("=")[2])
        except ValueError:
            message = f"--set {setting}: a plain loop reads only the numbers of its system"
            raise UserError(f"{message}; set a number, or time ours with --alone") from None


def one_of_each_family() -> list[str]:
    """Returns: for each plain loop the first of its systems for which data ship with ganspec, where there is one."""
    found: dict[str, str] = {}
    for system, stem in MODULES.items():
        if stem not in found and load_system(system).data.embedded:
            found[stem] = system
    return list(found.values())


def ours(request: Request, system: System, dataset: data.Dataset) -> Iterate:
    """Returns: our training, from its initial state.

    Raises:
        UserError: the framework or the device is not there.
    """
    trainer = make_trainer(request.backend, system, SEED, **request.trainer_options())
    to_numpy, feed = load(request.backend).to_numpy, Feed(system, dataset, SEED, "float32")
    return lambda: {key: float(to_numpy(value)) for key, value in trainer.iterate(feed).items()}


def theirs(request: Request, system: System, dataset: data.Dataset) -> Iterate:
    """Returns: the plain loop. Raises: UserError: there is none, or the framework is not there."""
    stem = loop_name(request.system)
    load(request.backend)
    make = importlib.import_module(f"ganspec.tools.baselines.{stem}_{request.backend}").make
    labels = {"labels": dataset.labels} if "y" in system.symbols else {}
    return make(system, dataset.images, device=request.device, **labels)


def dataset_for(system: System) -> data.Dataset:
    """Returns: the packaged images where the system has some and they fit it, else random ones, with random labels."""
    if system.data.embedded:
        with contextlib.suppress(data.DataError):  # of another size than the system's
            return load_for(system, None)
    count, generator = _RANDOM_BATCHES * system.run.batch, np.random.default_rng(SEED)
    images = generator.integers(0, 256, (count, *system.data.shape), dtype=np.uint8)
    labels = generator.integers(0, system.data.labels, count) if "y" in system.symbols else None
    return data.Dataset(images, labels, "random images", "")


def seconds_per_iteration(side: Iterate, iterations: int, synchronise: Callable[[], None]) -> float:
    """Returns: the mean of some iterations."""
    synchronise()
    start = time.perf_counter()
    for _ in range(iterations):
        side()
    synchronise()
    return (time.perf_counter() - start) / iterations


def synchroniser(backend: str, device: str) -> Callable[[], None]:
    """Returns: a function that waits until the device has done all that it was told."""
    if device == "cpu":
        return lambda: None
    if backend == "torch":
        return partial(importlib.import_module("torch").cuda.synchronize, device)
    return importlib.import_module("cupy").cuda.Device(device_number(device)).synchronize


def use_threads(backend: str, threads: int) -> None:
    """Set PyTorch's number of threads; NumPy's is fixed when it is loaded, by `fresh.thread_variables`."""
    if backend == "torch" and threads:
        importlib.import_module("torch").set_num_threads(threads)
