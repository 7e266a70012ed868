"""The samples and images that a metric compares: which they are depends on the seed and their number alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.data import Dataset
from ganspec.tools.pictures.images import as_pixels
from ganspec.tools.sampling.latents import generate
from ganspec.tools.sampling.numbered import numbered_inputs

_AT_ONCE = 256  # images in memory


def chosen_images(data: Dataset, count: int, seed: int) -> np.ndarray:
    """Choose images without putting any back.

    Args:
        data: data set.
        count: how many; all where it has not more.
        seed: seed of the choice.

    Returns: their places in the data set, in a random order; fewer images are the first of more.
    """
    return Streams(seed).permutation("quality/images", Position(), len(data.images))[:count]


def image_pixels(data: Dataset, places: np.ndarray) -> Iterator[np.ndarray]:
    """Yields: some of the images after the other, uint8 (N, channels, height, width); floats are rounded to 8 bits."""
    for start in range(0, len(places), _AT_ONCE):
        images = np.asarray(data.images[places[start : start + _AT_ONCE]])
        yield images if images.dtype == np.uint8 else np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def sample_inputs(system: System, count: int, seed: int, labels: np.ndarray | None) -> list[np.ndarray]:
    """Make the inputs of G for the samples that are measured: samples 0, 1, ... of the seed, as `ganspec sample` draws them.

    Args:
        system: system whose G and draws apply.
        count: number of samples.
        seed: seed of the samples.
        labels: labels that the samples have, again and again, int64 (N,); None for each class in turn, or where G takes none.

    Returns: one array (count, ...) for each input of G.

    Raises:
        UserError: the formulas give G something that is not drawn.
    """
    return numbered_inputs(system, range(count), seed, () if labels is None else labels.tolist())


def sample_pixels(system: System, trainer: Any, inputs: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields: some of the samples after the other, uint8 (N, channels, height, width), as pictures show them."""
    for start in range(0, len(inputs[0]), _AT_ONCE):
        made = generate(trainer, [each[start : start + _AT_ONCE] for each in inputs])
        yield as_pixels(system.data, made).transpose(0, 3, 1, 2)
