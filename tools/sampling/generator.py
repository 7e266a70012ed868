"""The generator of a training run, for use: a run's folder, or code of one's own, asks for images by number.

generator = Generator.from_run("runs/began_mnist-torch-001")
images = generator.images(generator.inputs(range(16), seed=0))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec.layers import format_shape
from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.spec.training.checkpoint import CheckpointError
from ganspec.spec.training.record import RunError
from ganspec.spec.training.runs import Run, read_run
from ganspec.spec.training.state import StateError, TrainingState
from ganspec.tools import backends
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.latents import generate
from ganspec.tools.sampling.numbered import numbered_inputs

WEIGHTS = ("averaged", "trained")


class Generator:
    """G of a run, in inference mode.

    Args:
        run: run as it was read.
        trainer: trainer of a backend that holds the weights to use; where the system keeps a moving average of G, that.
    """

    def __init__(self, run: Run, trainer: Any) -> None:
        self.run, self.trainer = run, trainer
        self.system, self.iteration = run.system, run.state.iteration
        self.classes = class_names(run)

    @classmethod
    def from_run(
        cls,
        folder: str | Path,
        *,
        checkpoint: int | None = None,
        weights: str | None = None,
        backend: str | None = None,
        device: str = "cpu",
    ) -> Generator:
        """Read the generator of a training run, whichever backend trained it.

        Args:
            folder: the run's folder.
            checkpoint: iteration of the checkpoint to read; None for the newest.
            weights: "averaged" or "trained"; None for the moving average where the run keeps one.
            backend: name of the backend that computes; None for the one that trained.
            device: device of that backend.

        Raises:
            UserError: it is not the folder of a run, has no such checkpoint or average, or the backend or device is not there.
            SpecError: the run's system is no longer there, or is wrong.
        """
        run = opened(folder, checkpoint)
        require_images(run.system)
        state = chosen_state(run, "G", weights)
        name = backend or run.record["backend"]
        try:
            backends.load(name)
        except UserError as error:
            if backend:
                raise
            raise UserError(f"{error}\n{name} trained this run; --backend draws with another one") from error
        try:
            trainer = backends.make_trainer(name, run.system, run.record["seed"], state, dtype=run.dtype, device=device)
        except StateError as error:
            raise UserError(f"{folder}: {error}") from None
        return cls(run, trainer)

    def inputs(
        self,
        numbers: Sequence[int] | range,
        seed: int = 0,
        labels: Sequence[int] = (),
        truncation: float | None = None,
    ) -> list[np.ndarray]:
        """Returns: the inputs of G for samples of given numbers, as `numbered_inputs` makes them."""
        return numbered_inputs(self.system, numbers, seed, labels, truncation)

    def images(self, inputs: Sequence[np.ndarray], at_once: int = 256) -> np.ndarray:
        """Let G make images.

        Args:
            inputs: one array (count, ...) for each input of G.
            at_once: number of images that are made in one call.

        Returns: float32 or float64 (count, channels, height, width), in the system's range.

        Raises:
            InputError: the inputs do not fit G.
        """
        return generate(self.trainer, inputs, at_once)


def opened(folder: str | Path, checkpoint: int | None = None) -> Run:
    """Read a run, as `read_run` does.

    Raises:
        UserError: it is not the folder of a run, or its checkpoint is missing, damaged or of another system.
        SpecError: the run's system is no longer there, or is wrong.
    """
    try:
        return read_run(Path(folder), checkpoint)
    except RunError as error:
        raise UserError(printable(str(error))) from None
    except CheckpointError as error:
        raise UserError(f"{error}\nan earlier checkpoint is chosen with --checkpoint ITERATION") from None


def chosen_state(run: Run, network: str, weights: str | None) -> TrainingState:
    """Choose between a network's own weights and their moving average.

    Args:
        run: the run.
        network: name of the network.
        weights: "averaged" or "trained"; None for the moving average where the run keeps one.

    Returns: the run's state, in which the moving average of the network, if there is one, is what was chosen.

    Raises:
        UserError: the run keeps no moving average of this network.
        ValueError: `weights` is neither.
    """
    if weights not in (None, *WEIGHTS):
        raise ValueError(f"weights is {weights!r}, expected one of {', '.join(map(repr, WEIGHTS))}")
    kept = network in run.system.averages
    if weights == "averaged" and not kept:
        raise UserError(f"{run.system.name}: keeps no moving average of {network}; leave out --weights averaged")
    if weights != "trained" or not kept:
        return run.state
    own = {**run.state.of(f"parameters/{network}"), **run.state.of(f"statistics/{network}")}
    arrays = run.state.arrays | {f"averages/{network}/{path}": array for path, array in own.items()}
    return replace(run.state, arrays=arrays)


def class_names(run: Run) -> tuple[str, ...]:
    """Returns: the names of the classes, by label; none where the run has no names."""
    return tuple(run.record.get("classes") or ())


def require_images(system: System) -> None:
    """Raises: UserError: the system has no network G whose first output is an image."""
    if "G" not in system.networks:
        raise UserError(f"{system.name}: has no network G to draw samples from")
    image = system.networks["G"].output_shape(next(iter(system.networks["G"].outputs)))
    if len(image) != 3 or image[0] not in (1, 3):
        raise UserError(
            f"{system.name}: the first output of G is {format_shape(image)}, not an image of 1 or 3 channels"
        )
