"""How different samples are from each other: in pixels, and for digits in which digit they are.

The diversity of samples y_1, ..., y_M, held against images x_1, ..., x_N, is

    mean over pairs i < j of |y_i - y_j|  /  mean over pairs i < j of |x_i - x_j|,

with the Euclidean distance between pixels. It is 1 where samples differ as much as images do, and 0 where all are one image. It
says nothing of how good they are: noise is diverse.

For digits, with p_c the part of the samples that the digit classifier takes for class c:

    classes       = the number of classes with p_c > 0
    class_entropy = - sum_c p_c ln p_c / ln 10,

1 where all digits are as frequent, 0 where all samples are one digit.
"""

from __future__ import annotations

import math

import numpy as np

from ganspec.tools.quality.digits import CLASSES

_COLUMNS = 2**16  # pixels of an image that are float64 at the same time


def mean_distance(pixels: np.ndarray) -> float:
    """Returns: the mean Euclidean distance between two of the images, uint8 or float (N, ...), N at least 2, in pixels' units."""
    points = pixels.reshape(len(pixels), -1)
    products = np.zeros((len(points), len(points)))
    for start in range(0, points.shape[1], _COLUMNS):
        part = points[:, start : start + _COLUMNS].astype(np.float64)
        part -= part.mean(axis=0)  # distances stay, and rounding is less
        products += part @ part.T
    lengths = np.diag(products)
    squared = lengths[:, None] + lengths - 2.0 * products
    return float(np.sqrt(np.maximum(squared, 0.0))[np.triu_indices(len(points), 1)].mean())


def diversity(samples: np.ndarray, distance_between_images: float) -> float:
    """Measure the diversity of samples.

    Args:
        samples: pixels (M, ...), M at least 2.
        distance_between_images: `mean_distance` of images; 0 where all are equal.

    Returns: the ratio; 1 where the images are all equal, for then no samples are too alike.
    """
    return mean_distance(samples) / distance_between_images if distance_between_images else 1.0


def class_figures(logits: np.ndarray) -> dict[str, float]:
    """Count which digits samples are.

    Args:
        logits: what the digit classifier gives, (M, 10).

    Returns: "classes" and "class_entropy".
    """
    counts = np.bincount(logits.argmax(axis=1), minlength=CLASSES)
    parts = counts[counts > 0] / counts.sum()
    entropy = float(-(parts * np.log(parts)).sum()) / math.log(CLASSES)
    return {"classes": float(len(parts)), "class_entropy": abs(entropy)}
