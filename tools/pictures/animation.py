"""Pictures, one after the other, as a GIF file of few colours and bounded size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.tools.errors import UserError, command

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
            away = command("mv", path, f"{path}.damaged")
            raise UserError(
                f"{path}: is not a whole picture ({error}); move it away, then resume the run: {away}"
            ) from None
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
