"""Images as pixels, many images as one grid, a grid as a PNG file.

Pillow, which writes the file, comes with the extra `pictures`; training goes on without it.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ganspec.spec.parts.settings import Data

GAP = 2  # pixels between the images of a grid
_GREY = 128  # brightness of the gaps
_SMALLEST = 512  # pixels along the longer side; smaller pictures are enlarged to about this


def as_pixels(data: Data, images: np.ndarray) -> np.ndarray:
    """Turn images into pixels.

    Args:
        data: settings whose range of values and size of images apply; the smaller images of an early stage of growth are enlarged
            to that size by repeating pixels.
        images: images as G makes them, float, (count, channels, height, width).

    Returns: uint8, (count, height, width, channels).
    """
    pixels = to_bytes(images, data.range)
    for axis, size in ((1, data.shape[1]), (2, data.shape[2])):
        have = pixels.shape[axis]
        if have < size:
            pixels = pixels.take(np.arange(size) * have // size, axis)
    return pixels


def to_bytes(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Turn images into pixels of the same size: 0 for the least value of the range, 255 for the largest, clipped.

    Args:
        images: images as G makes them, float, (count, channels, height, width); NaN counts as 0.
        value_range: least and largest value.

    Returns: uint8, (count, height, width, channels).
    """
    low, high = value_range
    scaled = np.clip((np.nan_to_num(images.astype(np.float64)) - low) / (high - low), 0.0, 1.0)
    return np.rint(scaled * 255.0).astype(np.uint8).transpose(0, 2, 3, 1)


def grid(pixels: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """Put images side by side, row by row.

    Args:
        pixels: uint8, (count, height, width, channels).
        columns: number of images in each row.
        gap: pixels between images.

    Returns: one picture, uint8, (rows (height + gap) - gap, columns (width + gap) - gap, channels).
    """
    count, height, width, channels = pixels.shape
    rows = -(-count // columns)
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), _GREY, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        picture[top : top + height, left : left + width] = image
    return picture


def png(picture: np.ndarray) -> bytes:
    """Write a picture as a PNG file; the pixels of a small one are repeated a whole number of times.

    Args:
        picture: uint8, (height, width, channels), 1 or 3 channels.

    Returns: the content of the file.
    """
    content = io.BytesIO()
    enlarged(picture).save(content, "PNG")
    return content.getvalue()


def enlarged(picture: np.ndarray) -> Any:
    """Returns: a picture as Pillow has it; the pixels of a small one are repeated a whole number of times."""
    from PIL import Image

    image = Image.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0])
    factor = max(1, round(_SMALLEST / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def plain_png(picture: np.ndarray) -> bytes:
    """Write a picture as a PNG file of its own size.

    Args:
        picture: uint8, (height, width, channels), 1 or 3 channels.

    Returns: the content of the file.
    """
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0]).save(content, "PNG")
    return content.getvalue()
