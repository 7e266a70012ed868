"""One picture from its bytes: a JPEG, PNG, BMP, PPM or WebP file, decoded by Pillow.

Pixels are taken as stored: EXIF orientation is ignored, as the sources of the systems did, and so are colour profiles.
CMYK (also YCCK, in which printers' JPEGs are stored) becomes RGB by Pillow's plain formula, R = (255 - C) (255 - K) / 255,
and likewise G and B; an ICC profile in the file would give other colours, nearer to the print.
"""

from __future__ import annotations

import io
import warnings

import numpy as np

from ganspec.spec.text.errors import printable
from ganspec.tools.data import bounds
from ganspec.tools.data.errors import DataError
from ganspec.tools.data.fitting import Wanted, pillow, refuse_misfit

_FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP")  # no other decoder of Pillow's fifty is offered hostile bytes
_GREY_MODES = ("1", "L", "LA")
_MODES = (*_GREY_MODES, "P", "PA", "RGB", "RGBA", "CMYK")


def decoded(data: bytes, wanted: Wanted) -> np.ndarray:
    """Decode one picture.

    Args:
        data: the file.
        wanted: what the picture shall become. A picture that cannot become it is refused by its header, unless grey
            pictures are skipped, which is known only of the pixels.

    Returns:
        uint8 (1 or 3, height, width), not yet fitted.

    Raises:
        DataError: it does not decode, or is no picture that is read.
    """
    image = pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image.DecompressionBombWarning)
            warnings.simplefilter("error", UserWarning)  # Pillow warns where it guesses at damaged data
            with image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                _refuse_header(picture)
                if not wanted.skip_grey:
                    channels = 1 if picture.mode in _GREY_MODES else 3
                    refuse_misfit((channels, picture.height, picture.width), wanted.shape, wanted.fit, wanted.crop)
                return _as_array(picture)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow lets whatever its fifty parsers raise come through
        detail = str(error).partition(" <_io")[0] or type(error).__name__  # not an address that changes every run
        raise DataError(
            f"does not decode ({printable(detail)})",
            "a JPEG, PNG, BMP, PPM or WebP picture that reads to its end",
            "download or copy it again, or leave it out",
        ) from error


def _refuse_header(picture) -> None:
    """Judge a picture before its pixels are decoded."""
    width, height = picture.size
    if width * height > bounds.MAX_PICTURE_PIXELS:
        raise DataError(
            f"is {width} wide and {height} high: {width * height:,} pixels",
            f"at most {bounds.MAX_PICTURE_PIXELS:,} pixels (MAX_PICTURE_PIXELS in tools/data/bounds.py)",
            "shrink it first, or raise the bound",
        )
    if picture.mode not in _MODES:
        raise DataError(
            f"has Pillow's mode {picture.mode}",
            "eight bits per channel, grey, RGB or CMYK",
            "convert it to 8-bit RGB or grey",
        )
    # MPO is how telephones store a JPEG with a preview: its first frame is the picture.
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        raise DataError("is animated", "a single picture", "save the frame you want as a PNG")


def _as_array(picture) -> np.ndarray:
    see_through = picture.mode in ("LA", "P", "PA", "RGBA") or "transparency" in picture.info
    if see_through and picture.convert("RGBA").getextrema()[3][0] < 255:
        raise DataError(
            "has transparent pixels", "an opaque picture", "flatten it onto a background of your choice first"
        )
    if picture.mode in _GREY_MODES:
        return np.array(picture.convert("L"))[np.newaxis]
    return np.array(picture.convert("RGB")).transpose(2, 0, 1)
