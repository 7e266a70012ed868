"""Real images for a grid beside the samples: some of the data, drawn from a stream of their own."""

from __future__ import annotations

import numpy as np

from ganspec.spec.training.streams import Position
from ganspec.tools.pictures.images import to_bytes
from ganspec.tools.run.feed import Feed
from ganspec.tools.sampling.latents import row_labels

_EMPTY = 128  # brightness where there is no image


def real_images(feed: Feed, rows: int, columns: int, classes: int | None) -> np.ndarray:
    """Choose images of a data set at random; the choice depends on the seed alone.

    Args:
        feed: source of the images and their labels.
        rows: rows of the grid.
        columns: images in each row.
        classes: number of labels of a conditional G: row r has images of the label r modulo this, like the samples; else None.

    Returns: pixels, uint8 (rows * columns, height, width, channels); grey where the data, or a label, has too few images.
    """
    order = feed.streams.permutation("samples/real", Position(), len(feed.images))
    count = rows * columns
    chosen = np.full(count, -1)
    if classes is None or feed.labels is None:
        chosen[: len(order)] = order[:count]
    else:
        wanted, ordered = row_labels(rows, columns, classes), np.asarray(feed.labels)[order]
        for label in range(min(classes, rows)):
            places = np.flatnonzero(wanted == label)
            found = order[ordered == label][: len(places)]
            chosen[places[: len(found)]] = found
    there = np.flatnonzero(chosen >= 0)
    images = np.asarray(feed.images[chosen[there]])
    pixels = images.transpose(0, 2, 3, 1) if images.dtype == np.uint8 else to_bytes(images, (0.0, 1.0))
    found_pixels = np.full((count, *pixels.shape[1:]), _EMPTY, np.uint8)
    found_pixels[there] = pixels
    return found_pixels
