"""Bringing images to the wanted channels, height and width.

Channels first, in the same arithmetic for every source, so that a folder of PNGs and an array of the same images give
the same bytes:

- colour to grey: L = (19595 R + 38470 G + 7471 B + 32768) >> 16, the ITU-R 601 luma in Pillow's and libjpeg's fixed
  point; for floats 0.299 R + 0.587 G + 0.114 B;
- grey to colour: the grey in all three channels.

Then, with crop="centre", all is cut off but the largest part in the centre that has the wanted ratio of height to width. If the
image is h high and w wide, and H and W are wanted, that part is

    w H div W  high and w wide          where h W > w H (the image is too high),
    h high and  h W div H  wide         otherwise,

at least 1 (div is division without remainder); an odd row or column is cut off at the bottom or the right.

Then the size, by `fit`:

- "exact": it must be right already;
- "pad": zeros (black) around, centred; an odd pixel goes to the bottom and the right;
- "resize": Pillow's Lanczos filter of three lobes, widened when shrinking so that it does not alias; both sides are
  stretched to the wanted size, so an image with another ratio of width to height is distorted; floats are clipped
  to 0..1. This is the nearest to keras_BEGAN, which shrank LFW with ImageMagick (`convert -resize 64x64`, whose
  filter for shrinking is Lanczos too) but then saved the small image as a JPEG again, which is not done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ganspec.spec.text.errors import counted
from ganspec.tools.data import bounds
from ganspec.tools.data.errors import DataError

FITS = ("exact", "pad", "resize")
CROPS = ("none", "centre")
_LUMA = np.array([19595, 38470, 7471], np.uint32)
_LUMA_FLOAT = np.array([0.299, 0.587, 0.114], np.float32)
_BLOCK = 512  # images at a time: the sums of uint8 values need four bytes per value


@dataclass(frozen=True)
class Wanted:
    """How the images of a data set are wanted.

    Args:
        shape: wanted (channels, height, width).
        fit: way to get there, one of `FITS`.
        skip_grey: whether the images without colour are left out.
        progress: whether a bar is shown on stderr while pictures are read, if stderr is a terminal.
        crop: what is cut off before, one of `CROPS`.
        labels: number of classes, each a folder; 0 where folders mean nothing.
        jobs: number of processes that decode pictures.
    """

    shape: tuple[int, int, int]
    fit: str
    skip_grey: bool = False
    progress: bool = False
    crop: str = "none"
    labels: int = 0
    jobs: int = 1


class FittedImages(NamedTuple):
    """The images of a data set, as they are wanted.

    Args:
        images: uint8, or float32 in 0..1, (n, *shape).
        labels: int64 (n,), or None.
        described: line that says what was read.
        classes: names of the classes where they are known; a label is the index of one.
    """

    images: np.ndarray
    labels: np.ndarray | None
    described: str
    classes: tuple[str, ...] | None = None


def pillow():
    """The `PIL.Image` module, imported when the first picture needs it.

    Raises:
        DataError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("reading images needs Pillow", "Pillow installed", "pip install 'ganspec[pictures]'") from error
    return Image


def fitted(images: np.ndarray, shape: tuple[int, int, int], fit: str, crop: str = "none") -> np.ndarray:
    """Bring a batch of images of one size to `shape`.

    Args:
        images: uint8, or float32 in 0..1, (n, c, height, width).
        shape: wanted (channels, height, width).
        fit: way to get there, one of `FITS`, see above.
        crop: what is cut off before, one of `CROPS`, see above.

    Returns:
        (n, *shape) of the same dtype; `images` itself if nothing had to change.

    Raises:
        DataError: the images cannot become that shape in that way.
    """
    refuse_misfit(images.shape[1:], shape, fit, crop)
    bounds.refuse_oversized(len(images), shape, images.itemsize)
    images = _with_channels(_cropped(images, shape, crop), shape[0])
    if images.shape[1:] == tuple(shape):
        return np.ascontiguousarray(images)  # a copy only where something was cut off
    return _padded(images, shape) if fit == "pad" else _resized(images, shape)


def refuse_misfit(found: tuple[int, ...], shape: tuple[int, int, int], fit: str, crop: str = "none") -> None:
    """Raise `DataError` unless an image of the shape `found` can become one of `shape` by `crop` and `fit`."""
    if found[0] != shape[0] and {found[0], shape[0]} != {1, 3}:
        raise DataError(
            f"has {counted(found[0], 'channel')}",
            f"{counted(shape[0], 'channel')}; only 1 and 3 can be converted into each other",
            "use a system for images of that many channels",
        )
    whole, cut = found, ""
    if crop == "centre":
        found = (found[0], *_kept(found[1], found[2], shape))
        cut = f", of which the centre is {found[1]} high and {found[2]} wide"
    same, smaller = found[1:] == tuple(shape[1:]), found[1] <= shape[1] and found[2] <= shape[2]
    if same or fit == "resize" or (fit == "pad" and smaller):
        return
    pad = "--set data.fit=pad (black around the image) or " if smaller else ""
    reason = "" if fit == "exact" else "; padding can only enlarge"
    raise DataError(
        f"has images {whole[1]} high and {whole[2]} wide{cut}",
        f"{shape[1]} high and {shape[2]} wide, with fit={fit!r}{reason}",
        f"type {pad}--set data.fit=resize (Lanczos); in code it is the argument fit",
    )


def _kept(height: int, width: int, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns: height and width of the largest part of an image that has the ratio of `shape`."""
    if height * shape[2] > width * shape[1]:
        return max(1, width * shape[1] // shape[2]), width
    return height, max(1, height * shape[2] // shape[1])


def _cropped(images: np.ndarray, shape: tuple[int, int, int], crop: str) -> np.ndarray:
    """Returns: a view of the centre of images (n, c, height, width), or `images` itself."""
    if crop == "none":
        return images
    height, width = _kept(images.shape[2], images.shape[3], shape)
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def _with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    grey = np.empty((len(images), 1, *images.shape[2:]), images.dtype)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        if images.dtype == np.uint8:
            grey[start : start + _BLOCK, 0] = (np.einsum("nchw,c->nhw", block, _LUMA) + 32768) >> 16
        else:  # the rounded sum can be slightly more than 1
            grey[start : start + _BLOCK, 0] = np.minimum(np.einsum("nchw,c->nhw", block, _LUMA_FLOAT), 1)
    return grey


def _padded(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    height, width = images.shape[2:]
    top, left = (shape[1] - height) // 2, (shape[2] - width) // 2
    padded = np.zeros((len(images), *shape), images.dtype)
    padded[:, :, top : top + height, left : left + width] = images
    return padded


def _resized(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    image = pillow()
    resized = np.empty((len(images), *shape), images.dtype)
    # One channel at a time: Pillow filters each channel of a colour image separately too, and has no float colour.
    for source, target in zip(images.reshape(-1, *images.shape[2:]), resized.reshape(-1, *shape[1:]), strict=True):
        plane = image.fromarray(source).resize((shape[2], shape[1]), image.Resampling.LANCZOS)
        target[...] = plane
    if images.dtype != np.uint8:
        np.clip(resized, 0, 1, out=resized)
    return resized
