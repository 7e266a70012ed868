"""Trains tiny systems for some iterations, alone or as one of the processes that torchrun or mpiexec started; see `main`."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
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
    """Train a system, a packaged one in its tiny form.

    Args:
        backend: "torch" or "chainer".
        name: name of the system, or path of its file.
        iterations: number of iterations.
        group: group of processes; None for one.
        options: further options of the trainer; float64 without any.

    Returns: each recorded number, (iterations,), NaN where it was not computed; and each array of the state; by name.
    """
    system = load_system(name, [f"run.batch={BATCH}"], reduced=not name.endswith(".toml"))
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
    """Compare two results.

    A parameter whose gradient is 0 but for rounding, such as a bias before batch norm, is left out: Adam divides the rounding by
    its own size, and what it does to such a parameter changes no output.

    Returns: how far apart they are, relative to the first one's norm, or to 1e-3 if that is smaller, by name.
    """
    assert a.keys() == b.keys()
    moments = [name.split("/", 3) for name, v in a.items() if "/v/" in name and v.max() < 1e-20]
    idle = {f"{kind}/{network}/{path}" for _, network, _, path in moments for kind in ("parameters", "averages")}
    idle |= {f"moments/{network}/{moment}/{path}" for _, network, _, path in moments for moment in ("m", "v")}
    found = {}
    for name in a.keys() - idle:
        wanted = a[name]
        assert np.array_equal(np.isnan(wanted), np.isnan(b[name])), f"{name} was computed at other places"
        difference = np.linalg.norm(np.nan_to_num(wanted - b[name]))
        found[name] = float(difference / max(np.linalg.norm(np.nan_to_num(wanted)), 1e-3))
    return found


def starter(backend: str, processes: int) -> list[str] | None:
    """Returns: the words that start a module in several processes of a backend, up to its name; None where MPI is missing."""
    if backend == "torch":
        return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m"]
    own = str(Path(sys.executable).parent)
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([own, os.environ.get("PATH", "")]))
    return [mpiexec, "-n", str(processes), sys.executable, "-m"] if mpiexec and _imports_mpi() else None


def _imports_mpi() -> bool:
    try:
        importlib.import_module("mpi4py.MPI")
    except (ImportError, RuntimeError):
        return False
    return True


def start(backend: str, processes: int, file: Path, iterations: int, names: list[str]) -> dict[str, np.ndarray]:
    """Have several processes do what `main` does. Returns: what they wrote."""
    words = starter(backend, processes)
    assert words is not None
    words += ["support.ranks_run", backend, str(iterations), str(file), *names]
    done = subprocess.run(
        words, cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


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
