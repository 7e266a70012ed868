"""Interpolation between latents: the way from one fixed latent to another, in a row for each pair.

Uniform latents are joined by a straight line. Normal ones are joined along a great circle, because almost all of a normal
distribution of many dimensions lies near a sphere, and a straight line leaves it: White 2016, "Sampling generative networks",
arXiv:1609.04468, section 2.1.
"""

from __future__ import annotations

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.sampling.latents import draw_of, row_labels

COLUMNS = 10  # images in each row, its two ends included
_PARALLEL = 1e-6  # sine of the angle below which many great circles join two latents: a straight line is taken then


def interpolation_latents(system: System, seed: int) -> list[np.ndarray]:
    """Make the inputs of G for a picture of interpolations; each row keeps its label.

    Args:
        system: system whose G, draws and grid apply.
        seed: seed of the latents at the ends of the rows.

    Returns: one array for each input of G, in their order: float64 (rows * COLUMNS, ...), or int64 (rows * COLUMNS,) of labels.
    """
    rows = system.run.grid[0]
    streams = Streams(seed)
    found = []
    for name, wanted in system.networks["G"].inputs.items():
        if wanted.dtype == "label":
            found.append(row_labels(rows, COLUMNS, wanted.shape[0]))
            continue
        distribution = draw_of(system, name).distribution
        ends = streams.sample(distribution, f"interpolation/{name}", Position(), (2, rows, *wanted.shape))
        found.append(between(distribution, ends[0], ends[1]))
    return found


def middle(distribution: Distribution) -> float:
    """Returns: the mean of a distribution."""
    return (distribution.a + distribution.b) / 2 if distribution.kind == "uniform" else distribution.a


def is_spherical(distribution: Distribution, path: str | None) -> bool:
    """Returns: whether a path between latents keeps to a sphere: "spherical", or None where they are normal."""
    return path == "spherical" or (path is None and distribution.kind == "normal")


def between(
    distribution: Distribution,
    first: np.ndarray,
    last: np.ndarray,
    steps: int = COLUMNS,
    *,
    path: str | None = None,
    end: bool = True,
) -> np.ndarray:
    """Interpolate between latents.

    With t from 0 to 1 and w the angle between a and b:
        straight:  (1 - t) a + t b
        circle:    (sin((1 - t) w) a + sin(t w) b) / sin(w)
    where a and b are measured from the mean of their distribution.

    Args:
        distribution: distribution of the latents.
        first: latents at the beginnings of the rows, float64 (rows, ...).
        last: latents at their ends, of the same shape.
        steps: number of latents in each row, from `first` on.
        path: "linear" or "spherical"; None for the latter where the latents are normal.
        end: whether the latest of them is `last` itself; without, it is the latent before that, so that
            rows can follow each other.

    Returns: float64 (rows * steps, ...), row by row.
    """
    rows = len(first)
    center = middle(distribution)
    a, b = first.reshape(rows, 1, -1) - center, last.reshape(rows, 1, -1) - center
    t = np.linspace(0.0, 1.0, steps, endpoint=end).reshape(1, -1, 1)
    points = (1.0 - t) * a + t * b
    if is_spherical(distribution, path):
        lengths = np.sqrt((a * a).sum(2, keepdims=True) * (b * b).sum(2, keepdims=True))
        cosine = (a * b).sum(2, keepdims=True) / np.where(lengths > 0, lengths, 1.0)
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        sine = np.sin(angle)
        on_circle = sine > _PARALLEL
        circle = (np.sin((1.0 - t) * angle) * a + np.sin(t * angle) * b) / np.where(on_circle, sine, 1.0)
        points = np.where(on_circle, circle, points)
    return (points + center).reshape(rows * steps, *first.shape[1:])
