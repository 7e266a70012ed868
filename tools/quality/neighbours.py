"""Precision, recall, density and coverage: whether samples lie among images and images among samples, by nearest neighbours.

The features of images are x_1, ..., x_N, those of samples y_1, ..., y_M. Let r_k(x_i) be the distance from x_i to the k-th
nearest of the other x, and s_k(y_j) likewise among the y. Then, with [...] = 1 where it holds, and k = 3:

    precision = 1/M sum_j [|y_j - x_i| <= r_k(x_i) for some i]
    recall    = 1/N sum_i [|x_i - y_j| <= s_k(y_j) for some j]

and with k = 5:

    density   = 1/(k M) sum_j sum_i [|y_j - x_i| <= r_k(x_i)]
    coverage  = 1/N sum_i [|x_i - y_j| <= r_k(x_i) for some j]

Density can be more than 1. Sources: Kynkaanniemi et al. 2019, arXiv:1904.06991, equations 1 and 2, with its k; Naeem et al. 2020,
arXiv:2002.09797, equations 5 and 6, with its k.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
NEEDED = DENSITY_NEIGHBOURS + 1  # images, and as many samples: each has that many others
_ROWS = 512  # of a matrix of distances that is in memory at once
_ROUNDING = 1e-13  # of |a|^2 + |b|^2, what rounding leaves of the distance between equals


def neighbour_figures(images: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    """Measure precision, recall, density and coverage.

    Args:
        images: features of images, (N, d), N at least `NEEDED`.
        samples: features of samples, (M, d), M at least `NEEDED`.

    Returns: the four numbers by name.
    """
    centre = images.mean(axis=0, dtype=np.float64)  # distances stay, and rounding is less
    x, y = images.astype(np.float64) - centre, samples.astype(np.float64) - centre
    near, far = _radii(x, (PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS))
    (own,) = _radii(y, (PRECISION_NEIGHBOURS,))
    precise = np.zeros(len(y), bool)
    recalled = covered = within = 0
    for start, distances in _squared_distances(x, y):
        rows = slice(start, start + len(distances))
        precise |= (distances <= near[rows, None]).any(axis=0)
        recalled += int((distances <= own).any(axis=1).sum())
        close = distances <= far[rows, None]
        within += int(close.sum())
        covered += int(close.any(axis=1).sum())
    return {
        "precision": float(precise.mean()),
        "recall": recalled / len(x),
        "density": within / (DENSITY_NEIGHBOURS * len(y)),
        "coverage": covered / len(x),
    }


def _radii(points: np.ndarray, counts: tuple[int, ...]) -> list[np.ndarray]:
    """Returns: for each k of `counts`, the squared distance from each point to the k-th nearest of the others, (N,)."""
    found: list[list[np.ndarray]] = [[] for _ in counts]
    for start, distances in _squared_distances(points, points):
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # itself
        nearest = np.partition(distances, [count - 1 for count in counts], axis=1)
        for radii, count in zip(found, counts, strict=True):
            radii.append(nearest[:, count - 1].copy())
    return [np.concatenate(radii) for radii in found]


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields: the first row, and the squared distances from some points of a, (rows, d), to all of b: (rows, len(b))."""
    lengths = (b * b).sum(axis=1)
    for start in range(0, len(a), _ROWS):
        part = a[start : start + _ROWS]
        both = (part * part).sum(axis=1)[:, None] + lengths
        distances = both - 2.0 * (part @ b.T)
        distances[distances < _ROUNDING * both] = 0.0
        yield start, distances
