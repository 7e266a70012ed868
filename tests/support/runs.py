"""Folders of runs that nobody trained: a record and a checkpoint of a state that training could have left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ganspec.spec import load_system
from ganspec.spec.description import describe
from ganspec.spec.system import System
from ganspec.spec.training.checkpoint import Record, write_checkpoint
from ganspec.spec.training.record import write_record
from ganspec.spec.training.state import TrainingState, initial_state
from support.states import shaken_state

MLP = (
    "wgan_gp_mlp_mnist",
    [
        "networks.G={ use = 'mlp_generator', latent = 3, width = 6, size = 6 }",
        "networks.D={ use = 'mlp_discriminator', width = 5, size = 6 }", "data.shape=[1, 6, 6]", "averages.G=0.9",
    ],
)  # fmt: skip
CONDITIONAL = (
    "cgan_mnist",
    ["networks.G.n=3", "networks.G.bottom=2", "networks.D.n=4", "networks.D.bottom=2", "data.shape=[1, 8, 8]"],
)
GROWING = (
    "progressive_cifar10",
    [
        "networks.G={ use = 'progressive_generator', latent = 6, ch = 8, bottom = 1 }",
        "networks.D={ use = 'progressive_discriminator', ch = 8, bottom = 1 }",
        "networks.S.size=8", "data.shape=[3, 8, 8]", "growth.images=8", "run.batch=6",
    ],
)  # fmt: skip


def write_run(
    folder: Path,
    system: tuple[str, list[str]],
    *,
    iterations: tuple[int, ...] = (3,),
    backend: str = "torch",
    dtype: str = "float32",
    **more: Any,
) -> System:
    """Write the folder of a run.

    Args:
        folder: where it is written.
        system: name of a system, and settings.
        iterations: iterations of which there is a checkpoint; each has other weights.
        backend, dtype: of the run.
        more: further keys of its record.

    Returns: the system.
    """
    name, settings = system
    loaded = load_system(name, settings)
    (folder / "checkpoints").mkdir(parents=True)
    record = {
        "system": name, "settings": settings, "data": "", "backend": backend, "device": "cpu", "dtype": dtype,
        "draws": "host", "seed": 0, **more,
    }  # fmt: skip
    write_record(folder, record)
    for iteration in iterations:
        kept = Record(describe(loaded), 0, dtype, "host", 3, "", {"sum": 0.0, "count": 0, "last": None})
        write_checkpoint(
            folder / "checkpoints" / f"{iteration:08}.safetensors", state_at(loaded, iteration, dtype), kept
        )
    return loaded


def state_at(system: System, iteration: int, dtype: str = "float32") -> TrainingState:
    """Returns: the state in the checkpoint of an iteration; averages are other numbers than what they are averages of."""
    state = shaken_state(initial_state(system, iteration), iteration)
    arrays = {
        name: (array * 1.25 if name.startswith("averages") else array).astype(dtype)
        for name, array in state.arrays.items()
    }
    return replace(state, iteration=iteration, arrays=arrays)
