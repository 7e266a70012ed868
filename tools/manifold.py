"""The manifold: what G makes of all of a latent of two numbers, one picture a label, and how that changes in training.

Frames are PNGs in the run's folder, one each time; the animations are made of whatever frames lie there, so a run that was
interrupted and resumed has all of them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from spec.distributions import Distribution
from spec.system import System
from tools.errors import UserError
from tools.pictures import as_pixels, draw_of, generate, grid, png
from tools.runfolder import RunFolder

FOLDER = "manifold"  # in the run's; see `runfolder`
MOST_PIXELS = 512  # along a side of an animation; larger frames are shrunk
GREYS, COLOURS = 16, 64  # in an animation's frame: few, so that 116 frames of 15x15 digits are 4 MB
_DURATION, _LAST = 100, 2000  # ms that a frame is shown, and the last one


def inputs(system: System) -> dict[str, list[np.ndarray]]:
    """The latents of each label's picture: side x side, (q_i, q_j) in row i and column j.

    The q are the latent's quantiles of evenly spaced probabilities; the same for every label.

    Returns: the inputs of G by label, "" where G takes none.
    """
    manifold = system.manifold
    assert manifold is not None
    wanted = system.networks["G"].inputs
    classes = [v.shape[0] for v in wanted.values() if v.dtype == "label"]
    labels = range(classes[0]) if classes else [-1]
    z = np.empty(0)
    for name in (name for name, v in wanted.items() if v.dtype != "label"):
        q = quantiles(draw_of(system, name).distribution, np.linspace(manifold.low, manifold.high, manifold.side))
        z = np.stack(np.meshgrid(q, q, indexing="ij"), axis=-1).reshape(-1, 2)
    return {
        str(label) if classes else "": [
            np.full(len(z), label % v.shape[0]) if v.dtype == "label" else z for v in wanted.values()
        ]
        for label in labels
    }


def quantiles(distribution: Distribution, probabilities: np.ndarray) -> np.ndarray:
    """Returns: the values below which a distribution's numbers lie with the given probabilities."""
    a, b = distribution.a, distribution.b
    match distribution.kind:
        case "normal":
            return a + b * np.array([NormalDist().inv_cdf(p) for p in probabilities])
        case "uniform":
            return a + (b - a) * probabilities
    return np.full(len(probabilities), a)


def save_frames(folder: RunFolder, system: System, trainer: Any, latents: dict[str, list[np.ndarray]]) -> None:
    """Write `manifold/LABEL/NNNNNNNN.png` for each label, or `manifold/NNNNNNNN.png`."""
    for label, z in latents.items():
        side = math.isqrt(len(z[0]))
        picture = grid(as_pixels(system, generate(trainer, z)), side, gap=0)
        folder.write(str(Path(FOLDER, label, f"{trainer.iteration:08}.png")), png(picture))


def save_animations(folder: RunFolder, latents: dict[str, list[np.ndarray]]) -> None:
    """Write `manifold-LABEL.gif` for each label, or `manifold.gif`, of all frames that there are."""
    for label in latents:
        if paths := folder.pictures(str(Path(FOLDER, label))):
            folder.write(f"manifold-{label}.gif" if label else "manifold.gif", animation(paths))


def animation(paths: list[Path]) -> bytes:
    """Returns: a GIF file that shows pictures one after the other, for ever, in few colours and at a bounded size."""
    images = _reduced(paths)
    content = io.BytesIO()
    durations = [_DURATION] * (len(paths) - 1) + [_LAST]
    next(images).save(content, "GIF", save_all=True, append_images=images, duration=durations, loop=0, optimize=False)
    return content.getvalue()


def _reduced(paths: list[Path]) -> Iterator[Any]:
    """Yields: each picture in the size of the first one or `MOST_PIXELS`, in few colours."""
    from PIL import Image

    greys = np.repeat(np.linspace(0, 255, GREYS).round().astype(np.uint8), 3).tolist()
    size: tuple[int, int] | None = None
    for path in paths:
        try:
            with Image.open(path, formats=("PNG",)) as opened:
                image = opened.convert("L" if opened.mode == "L" else "RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"{path}: is not a whole picture ({error}); move it away, then resume the run") from None
        if size is None:
            shrink = min(1.0, MOST_PIXELS / max(image.size))
            size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        if image.size != size:
            image = image.resize(size, Image.Resampling.BOX)
        if image.mode == "L":
            levels = np.rint(np.asarray(image) * ((GREYS - 1) / 255.0)).astype(np.uint8)
            image = Image.fromarray(levels).convert("P")
            image.putpalette(greys)
        else:
            image = image.quantize(COLOURS, dither=Image.Dither.NONE)
        yield image
