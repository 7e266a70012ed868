"""Fixed latents for samples: what G is given again and again, to show how training goes on.

They come from streams of their own, so that samples do not change training. `interpolation` and `manifold` choose other latents
in the same way; `ganspec.tools.pictures` turns what G makes of them into pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganspec.spec.parts.loss import Draw
from ganspec.spec.system import System
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.errors import UserError

_AT_ONCE = 256  # images that G makes in one call


def sample_latents(system: System, seed: int) -> list[np.ndarray]:
    """Make fixed inputs of G, one for each place of the grid of samples; all places of a row have the same label.

    Args:
        system: system whose G, draws and grid apply.
        seed: seed of the latents.

    Returns: one array for each input of G, in their order: float64 (rows * columns, ...), or int64 (rows * columns,) of labels.

    Raises:
        UserError: the formulas give G something that is not drawn.
    """
    rows, columns = system.run.grid
    streams = Streams(seed)
    inputs = []
    for name, wanted in system.networks["G"].inputs.items():
        if wanted.dtype == "label":
            inputs.append(row_labels(rows, columns, wanted.shape[0]))
        else:
            distribution = draw_of(system, name).distribution
            shape = (rows * columns, *wanted.shape)
            inputs.append(streams.sample(distribution, f"samples/{name}", Position(), shape))
    return inputs


def row_labels(rows: int, columns: int, classes: int) -> np.ndarray:
    """Returns: the label of each place of a grid, int64 (rows * columns,): the number of its row, modulo classes."""
    return np.repeat(np.arange(rows) % classes, columns)


def draw_of(system: System, name: str) -> Draw:
    """Find the draw that feeds an input of G in the plan.

    Args:
        system: system whose plan is searched.
        name: name of the input.

    Returns: the draw.

    Raises:
        UserError: the formulas give G something that is not drawn.
    """
    position = list(system.networks["G"].inputs).index(name)
    for step in system.plan.steps:
        for node in step.nodes:
            if node.op == "network" and node.value == "G":
                source = step.nodes[node.inputs[position]]
                if source.op == "draw" and source.value in system.draws:
                    return system.draws[source.value]
    raise UserError(
        f"{system.name}: the formulas of the loss '{system.loss.name}' never give G a draw as its input {name}, "
        "so there is nothing to draw samples from; name that input's values in [draws]"
    )


def generate(trainer: Any, inputs: Sequence[np.ndarray], at_once: int = _AT_ONCE) -> np.ndarray:
    """Let G, or its moving average where the system keeps one, make images in inference, a part at a time.

    Args:
        trainer: trainer of a backend.
        inputs: one array (count, ...) for each input of G.
        at_once: number of images that G makes in one call.

    Returns: the images, in the trainer's dtype, (count, channels, height, width).
    """
    count = len(inputs[0])
    parts = [trainer.generate(*(a[i : i + at_once] for a in inputs)) for i in range(0, count, at_once)]
    return np.concatenate(parts)
