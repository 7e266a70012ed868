"""How fast a backend trains on a device: eager and captured iterations, choices for speed, and the plain loop of a system."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ganspec.spec.system import System, load_system
from ganspec.tools import backends, data
from ganspec.tools.baselines import MODULES
from ganspec.tools.run.feed import Feed

SEED = 0
SECONDS = 1.0  # that one way of training is timed for
_WARM_UP = 6  # iterations: after them the iterations of a system of one kind are captured
_FETCH_EVERY = 50  # iterations, as in training
SYSTEMS = ("wgan_gp_mlp_mnist", "gan_mlp_mnist", "began_faces64", "dcgan_cifar10", "wgan_gp_cifar10", "sndcgan_cifar10")
# What is wanted, beside what is found: how often ours does an iteration while the plain loop does one, or real images a second.
GOALS = {
    "wgan_gp_mlp_mnist": ("ratio", 10.0),
    "gan_mlp_mnist": ("ratio", 10.0),
    "dcgan_cifar10": ("ratio", 3.0),
    "wgan_gp_cifar10": ("ratio", 3.0),
    "sndcgan_cifar10": ("ratio", 3.0),
    "began_faces64": ("images", 2000.0),
}
# Ways of training, each as options of a trainer; the first exact ones, then those that round or choose otherwise.
WAYS: dict[str, dict[str, Any]] = {
    "eager": {"cuda": ["eager"]},
    "captured": {},
    "captured, draws on the device": {"draws": "device"},
    "captured, draws on the device, channels last": {"draws": "device", "cuda": ["channels_last"]},
    "captured, draws on the device, TF32": {"draws": "device", "precision": "tf32"},
    "captured, draws on the device, TF32, tuned": {"draws": "device", "precision": "tf32", "cuda": ["tune"]},
}
EXACT = ("captured", "captured, draws on the device")  # the ways that a goal is held against


def timed(backend: str, device: str, name: str, seconds: float = SECONDS, **sizes: Any) -> Iterator[dict[str, Any]]:
    """Time each way of training a system, and its plain loop.

    Args:
        backend: "torch" or "chainer".
        device: "cuda", say; on the CPU there is one way.
        name: name of the system.
        seconds: how long each is timed.
        sizes: `reduced` of `load_system`.

    Yields: rows: way, seconds per iteration, real images per second, why iterations were not captured.
    """
    system = load_system(name, **sizes)
    dataset = _dataset(system)
    feed = Feed(system, dataset, SEED, "float32")
    for way, options in WAYS.items() if device != "cpu" else [("eager", {})]:
        row = {"system": name, "way": way}
        try:
            trainer = backends.make_trainer(backend, system, SEED, device=device, **options)
        except Exception as error:  # such as a choice that Chainer does not have
            yield {**row, "why not": f"{type(error).__name__}: {error}", "ok": True}
            continue
        iterate, fetch = _iterations(trainer, feed, backends.load(backend))
        yield row | _measured(iterate, fetch, system.run.batch, seconds) | {"why not": trainer.eager_reason, "ok": True}
    if name in MODULES:
        make = importlib.import_module(f"ganspec.tools.baselines.{MODULES[name]}_{backend}").make
        loop = make(system, dataset.images, dataset.labels, device)
        measured = _measured(loop, lambda: None, system.run.batch, seconds)  # each call fetches its numbers
        yield {"system": name, "way": "plain loop", **measured, "why not": "", "ok": True}


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns: the rows, each with how much faster it is than the plain loop of its system, and the goal beside it."""
    loops = {row["system"]: row["seconds"] for row in rows if row["way"] == "plain loop"}
    found = []
    for row in map(dict, rows):
        if "seconds" in row and row["system"] in loops:
            row["ratio"] = loops[row["system"]] / row["seconds"]
        kind, least = GOALS.get(row["system"], ("", 0.0))
        if row["way"] in EXACT and kind in row:
            row["goal"] = f"{least:g}x" if kind == "ratio" else f"{least:,.0f} images/s"
            row["reached"] = row[kind] >= least
        found.append(row)
    return found


def _iterations(trainer: Any, feed: Feed, backend: Any) -> tuple[Callable[[], Any], Callable[[], None]]:
    pending: list[Any] = []

    def fetch() -> None:
        backend.to_numbers(pending)
        pending.clear()

    def iterate() -> None:
        pending.append(trainer.iterate(feed))
        if len(pending) == _FETCH_EVERY:
            fetch()

    return iterate, fetch


def _measured(iterate: Callable[[], Any], fetch: Callable[[], None], batch: int, seconds: float) -> dict[str, float]:
    """Returns: seconds per iteration, and real images per second; `fetch` waits for the device."""
    for _ in range(_WARM_UP):
        iterate()
    fetch()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        iterate()
        count += 1
        if count % _FETCH_EVERY == 0:
            fetch()  # so that the clock is not ahead of the device
    fetch()
    each = (time.perf_counter() - start) / count
    return {"seconds": each, "images": batch / each}


def _dataset(system: System) -> data.Dataset:
    """Returns: random images and labels of a system's shape."""
    generator, count = np.random.default_rng(SEED), 16 * system.run.batch
    images = generator.integers(0, 256, (count, *system.data.shape), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % system.data.labels if system.data.labels else None
    return data.Dataset(images, labels, "random images", "")
