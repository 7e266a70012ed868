"""What G makes of fixed latents, as grids of images.

The latents come from streams of their own, so that looking does not change training. `manifold` and `interpolation` draw other
latents in the same way, `album` says when. Pillow and matplotlib are in the extra `pictures`; without them training goes on.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from spec.loss import Draw
from spec.streams import Position, Streams
from spec.system import System
from tools.errors import UserError

GAP = 2  # pixels between the images of a grid
_GREY = 128  # of what lies between
_SMALLEST = 512  # pixels along the longer side; smaller pictures are enlarged to about this
_AT_ONCE = 256  # images that G makes at once


def missing() -> list[str]:
    """Returns: which packages for pictures are not installed."""
    return [
        name
        for name, module in (("Pillow", "PIL"), ("matplotlib", "matplotlib"))
        if not importlib.util.find_spec(module)
    ]


def latents(system: System, seed: int) -> list[np.ndarray]:
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


def as_pixels(system: System, images: np.ndarray) -> np.ndarray:
    """Turn images into pixels.

    Args:
        system: whose range of values and size of images apply; the smaller images of an early stage of growth are enlarged
            to that size by repeating pixels.
        images: (count, channels, height, width).

    Returns: uint8, (count, height, width, channels).
    """
    low, high = system.data.range
    scaled = np.clip((np.nan_to_num(images.astype(np.float64)) - low) / (high - low), 0.0, 1.0)
    pixels = np.rint(scaled * 255.0).astype(np.uint8).transpose(0, 2, 3, 1)
    for axis, size in ((1, system.data.shape[1]), (2, system.data.shape[2])):
        have = pixels.shape[axis]
        if have < size:
            pixels = pixels.take(np.arange(size) * have // size, axis)
    return pixels


def grid(pixels: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Returns: one picture, (height, width, channels), of many, row by row."""
    count, height, width, channels = pixels.shape
    rows = -(-count // columns)
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), _GREY, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        picture[top : top + height, left : left + width] = image
    return picture


def png(picture: np.ndarray) -> bytes:
    """Returns: a PNG file of a picture (height, width, channels); a small one is enlarged a whole number of times."""
    from PIL import Image

    image = Image.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0])
    factor = max(1, round(_SMALLEST / max(image.size)))
    content = io.BytesIO()
    image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(content, "PNG")
    return content.getvalue()
