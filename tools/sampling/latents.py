"""Fixed latents for samples: what G is given, time after time, to show how training goes on.

They come from streams of their own, so that looking does not change training. `interpolation` and `manifold` choose other
latents in the same way; `ganspec.tools.pictures` turns what G makes of them into pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganspec.spec.parts.loss import Draw
from ganspec.spec.system import System
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.errors import UserError

_AT_ONCE = 256  # images that G makes at once


def sample_latents(system: System, seed: int) -> list[np.ndarray]:
    """Returns: fixed inputs for G, one for each place of the grid of samples; labels go by row."""
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
    """Returns: the label of each place of a grid: its row's number, from 0 again where there are more rows than classes."""
    return np.repeat(np.arange(rows) % classes, columns)


def draw_of(system: System, name: str) -> Draw:
    """Returns: the draw that feeds an input of G, read off the plan.

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


def generate(trainer: Any, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Returns: what G, or its moving average, makes of its inputs in inference, some at a time."""
    count = len(inputs[0])
    parts = [trainer.generate(*(a[i : i + _AT_ONCE] for a in inputs)) for i in range(0, count, _AT_ONCE)]
    return np.concatenate(parts)
