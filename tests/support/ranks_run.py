"""Trains tiny systems for some iterations, alone or as one of the processes that torchrun or mpiexec started; see `main`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import load_system
from ganspec.spec.training.ranks import Share
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

BATCH = 4  # which one, two and four processes can split


def trained(backend: str, name: str, iterations: int, group: Any = None, **options: Any) -> dict[str, np.ndarray]:
    """Train a system in its tiny form.

    Args:
        backend: "torch" or "chainer".
        name: name of the system.
        iterations: number of iterations.
        group: group of processes; None for one.
        options: further options of the trainer; float64 without any.

    Returns: each recorded number, (iterations,), NaN where it was not computed; and each array of the state; by name.
    """
    system = load_system(name, [f"run.batch={BATCH}"], reduced=True)
    feed: Callable[[], Any] = random_feed(system, 0)
    if group is not None:
        feed, options = Share(group.rank, group.size).batches(feed), options | {"ranks": group}
    trainer = backends.make_trainer(backend, system, 0, **{"dtype": "float64", **options})
    to_numpy = backends.load(backend).to_numpy
    columns = {column: np.full(iterations, np.nan) for column in system.plan.columns()}
    for i in range(iterations):
        for column, value in trainer.iterate(feed).items():
            columns[column][i] = to_numpy(value)
    return columns | trainer.state().arrays


def apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns: how far apart two results are, relative to the first one's norm, or to 1e-3 if that is smaller."""
    assert a.keys() == b.keys()
    found = {}
    for name, wanted in a.items():
        assert np.array_equal(np.isnan(wanted), np.isnan(b[name])), f"{name} was computed at other places"
        difference = np.linalg.norm(np.nan_to_num(wanted - b[name]))
        found[name] = float(difference / max(np.linalg.norm(np.nan_to_num(wanted)), 1e-3))
    return found


def main(backend: str, iterations: str, file: str, *names: str) -> None:
    """Train systems one after the other; the first process writes their results to a file, an .npz."""
    backends.load(backend)
    group = importlib.import_module(f"ganspec.impl_{backend}.ranks").Processes()
    results = {}
    for name in names:
        results |= {f"{name}:{key}": a for key, a in trained(backend, name, int(iterations), group).items()}
    if group.rank == 0:
        np.savez(Path(file), **results)
    group.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
