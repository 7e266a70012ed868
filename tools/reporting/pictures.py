"""Sample pictures of all witnesses side by side, as data in the page. Pillow makes them; it comes with the extra `pictures`."""

from __future__ import annotations

import base64
import importlib.util

import numpy as np

from ganspec.tools.agreement.report import Comparison
from ganspec.tools.pictures.images import grid, png, to_bytes
from ganspec.tools.reporting.elements import Markup, element, joined

_IMAGES = 16  # largest number of images of each witness
_COLUMNS = 4


def samples(comparison: Comparison) -> Markup:
    """Show the images that each witness's trained G makes of the same latents.

    Args:
        comparison: comparison with its samples.

    Returns: a figure for each witness, or one sentence where they cannot be drawn; empty if there are none.
    """
    if not comparison.samples:
        return Markup("")
    if importlib.util.find_spec("PIL") is None:
        missing = "The sample pictures are left out: Pillow is not installed. It comes with "
        return element("p", missing, element("code", "pip install 'ganspec[pictures]'"), ".")
    return joined(*(_figure(name, images, comparison) for name, images in comparison.samples.items()))


def _figure(name: str, images: np.ndarray, comparison: Comparison) -> Markup:
    caption = element("figcaption", element("b", name))
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        return element("figure", caption, element("p", f"An array of the shape {images.shape} is no picture."))
    pixels = to_bytes(images[:_IMAGES], comparison.image_range)
    content = base64.b64encode(png(grid(pixels, _COLUMNS))).decode("ascii")
    said = f"{len(pixels)} samples of {name}"
    if not np.isfinite(images).all():
        caption = joined(caption, element("p", "Values that are not finite are drawn as 0."))
    return element("figure", caption, element("img", src=f"data:image/png;base64,{content}", alt=said))
