"""Pictures, one after the other, as a GIF file of few colours and bounded size."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.tools.errors import UserError, command
from ganspec.tools.pictures.images import enlarged

MOST_PIXELS = 512  # along a side of an animation; larger frames are shrunk
GREYS, COLOURS = 16, 64  # different ones in a frame: few, so that 116 frames of 15x15 digits are 4 MB
_DURATION, _LAST = 100, 2000  # milliseconds for which a frame is shown, and the last frame


def animation(paths: list[Path]) -> bytes:
    """Make an animation that begins again when it has ended.

    Args:
        paths: paths of PNG files, at least one; the first sets the size.

    Returns: a GIF file of few colours whose longer side has at most `MOST_PIXELS`.

    Raises:
        UserError: a file is not a whole picture.
    """
    return _gif(_opened(paths), [_DURATION] * (len(paths) - 1) + [_LAST])


def animated(pictures: Sequence[np.ndarray]) -> bytes:
    """Make an animation of pictures that goes round without a stop.

    Args:
        pictures: uint8, (height, width, channels), 1 or 3 channels, at least one, all of one size; small ones are enlarged.

    Returns: a GIF file of few colours whose longer side has at most `MOST_PIXELS`.
    """
    return _gif(map(enlarged, pictures), [_DURATION] * len(pictures))


def _gif(images: Iterator[Any], durations: list[int]) -> bytes:
    images = _reduced(images)
    content = io.BytesIO()
    next(images).save(content, "GIF", save_all=True, append_images=images, duration=durations, loop=0, optimize=False)
    return content.getvalue()


def _opened(paths: list[Path]) -> Iterator[Any]:
    """Yields: the picture in each file."""
    from PIL import Image

    for path in paths:
        try:
            with Image.open(path, formats=("PNG",)) as opened:
                image = opened.convert("L" if opened.mode == "L" else "RGB")
        except (OSError, SyntaxError, ValueError) as error:
            away = command("mv", path, f"{path}.damaged")
            raise UserError(
                f"{path}: is not a whole picture ({error}); move it away, then resume the run: {away}"
            ) from None
        yield image


def _reduced(images: Iterator[Any]) -> Iterator[Any]:
    """Yields: each picture in the size of the first one or `MOST_PIXELS`, in few colours."""
    from PIL import Image

    greys = np.repeat(np.linspace(0, 255, GREYS).round().astype(np.uint8), 3).tolist()
    size: tuple[int, int] | None = None
    for whole in images:
        if size is None:
            shrink = min(1.0, MOST_PIXELS / max(whole.size))
            size = (max(1, round(whole.width * shrink)), max(1, round(whole.height * shrink)))
        image = whole if whole.size == size else whole.resize(size, Image.Resampling.BOX)
        if image.mode == "L":
            levels = np.rint(np.asarray(image) * ((GREYS - 1) / 255.0)).astype(np.uint8)
            reduced = Image.fromarray(levels).convert("P")
            reduced.putpalette(greys)
        else:
            reduced = image.quantize(COLOURS, dither=Image.Dither.NONE)
        yield reduced
