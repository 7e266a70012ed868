"""Walks among numbered samples: rows of images from sample to sample, and planes that three samples span."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganspec.spec.system import System
from ganspec.tools.errors import UserError
from ganspec.tools.sampling.interpolation import between, is_spherical, middle
from ganspec.tools.sampling.latents import draw_of
from ganspec.tools.sampling.manifold import quantiles
from ganspec.tools.sampling.numbered import numbered_inputs

PATHS = ("linear", "spherical")


def walk_inputs(
    system: System,
    rows: Sequence[Sequence[int]],
    seed: int,
    steps: int,
    *,
    loop: bool = False,
    path: str | None = None,
    labels: Sequence[int] = (),
    truncation: float | None = None,
) -> list[np.ndarray]:
    """Make the inputs of G for walks from sample to sample; each walk has the label of its first sample.

    Args:
        system: system whose G and draws apply.
        rows: numbers of the samples of each walk, as many in each; at least two.
        seed: seed of the samples.
        steps: number of images from one sample to the next, both included; at least 2.
        loop: whether each walk goes back to where it began; the image there is not repeated.
        path: "linear" or "spherical"; None for the latter where the latents are normal.
        labels, truncation: of the samples, as `numbered_inputs` takes them.

    Returns: one array for each input of G, row by row: (rows * length, ...), where a row of k samples has the length
        (k - 1) (steps - 1) + 1, and in a loop k (steps - 1).

    Raises:
        UserError: as `numbered_inputs` does.
    """
    numbers = np.asarray(rows, dtype=np.int64)
    count, stops = numbers.shape
    segments = stops if loop else stops - 1
    length = segments * (steps - 1) + (not loop)
    given = numbered_inputs(system, numbers.ravel().tolist(), seed, labels, truncation)
    found = []
    for (name, wanted), values in zip(system.networks["G"].inputs.items(), given, strict=True):
        at = values.reshape(count, stops, *values.shape[1:])
        if wanted.dtype == "label":
            found.append(np.repeat(at[:, 0], length))
            continue
        distribution, parts = draw_of(system, name).distribution, []
        for i in range(segments):
            part = between(distribution, at[:, i], at[:, (i + 1) % stops], steps - 1, path=path, end=False)
            parts.append(part.reshape(count, steps - 1, *wanted.shape))
        parts += [] if loop else [at[:, -1:]]
        found.append(np.concatenate(parts, axis=1).reshape(count * length, *wanted.shape))
    return found


def plane_inputs(
    system: System,
    corners: Sequence[int],
    seed: int,
    side: int,
    *,
    path: str | None = None,
    labels: Sequence[int] = (),
    truncation: float | None = None,
) -> list[np.ndarray]:
    """Make the inputs of G for a plane through three samples: the first at the top left, the others top right and bottom left.

    With u from left to right and v from top to bottom, both from 0 to 1, and a, b, c measured from the mean of the latents:
        linear:     p = a + u (b - a) + v (c - a)
        spherical:  q = p / |p| * |a|^(1 - u - v) |b|^u |c|^v
    so that spherical planes keep near the sphere on which almost all of a normal distribution lies (White 2016, "Sampling
    generative networks", arXiv:1609.04468, section 2). The corner at the bottom right is to c what b is to a, the analogy of the
    same source. All images have the label of the first sample.

    Args:
        system: system whose G and draws apply.
        corners: numbers of three samples.
        seed: seed of the samples.
        side: number of rows and of columns, at least 2.
        path: "linear" or "spherical"; None for the latter where the latents are normal.
        labels, truncation: of the samples, as `numbered_inputs` takes them.

    Returns: one array for each input of G, row by row, (side * side, ...).

    Raises:
        UserError: as `numbered_inputs` does.
    """
    given = numbered_inputs(system, corners, seed, labels, truncation)
    steps = np.linspace(0.0, 1.0, side)
    u, v = (w.reshape(-1, 1) for w in np.meshgrid(steps, steps, indexing="xy"))
    found = []
    for (name, wanted), values in zip(system.networks["G"].inputs.items(), given, strict=True):
        if wanted.dtype == "label":
            found.append(np.repeat(values[:1], side * side))
            continue
        distribution = draw_of(system, name).distribution
        flat = values.reshape(3, -1) - middle(distribution)
        a, b, c = flat
        points = (1.0 - u - v) * a + u * b + v * c
        lengths, now = np.linalg.norm(flat, axis=1), np.linalg.norm(points, axis=1, keepdims=True)
        if is_spherical(distribution, path) and lengths.all():  # a latent in the very middle has no direction
            wished = lengths[0] ** (1.0 - u - v) * lengths[1] ** u * lengths[2] ** v
            points = points * np.where(now > 0, wished / np.where(now > 0, now, 1.0), 1.0)
        found.append((points + middle(distribution)).reshape(side * side, *wanted.shape))
    return found


def quantile_inputs(system: System, side: int, low: float, high: float, label: int) -> list[np.ndarray]:
    """Make the inputs of G for all of a latent space of two numbers, as `manifold_latents` does, with one label.

    Args:
        system: system whose G takes one latent of two numbers.
        side: number of rows and of columns.
        low, high: quantiles of the first and the last row and column.
        label: label of all images, where G takes one.

    Returns: one array for each input of G, row by row, (side * side, ...).

    Raises:
        UserError: the latents are another number of numbers.
    """
    wanted = system.networks["G"].inputs
    name = two_numbers(system)
    if name is None:
        raise UserError(
            f"{system.name}: the latents of G are no two numbers; choose three samples with --through A,B,C"
        )
    q = quantiles(draw_of(system, name).distribution, np.linspace(low, high, side))
    z = np.stack(np.meshgrid(q, q, indexing="xy"), axis=-1).reshape(-1, 2)
    return [np.full(len(z), label) if v.dtype == "label" else z for v in wanted.values()]


def two_numbers(system: System) -> str | None:
    """Returns: the name of the one input of G beside labels, if it is two numbers that are drawn at random."""
    floats = [name for name, v in system.networks["G"].inputs.items() if v.dtype != "label"]
    if len(floats) != 1 or system.networks["G"].inputs[floats[0]].shape != (2,):
        return None
    kind = draw_of(system, floats[0]).distribution.kind
    return floats[0] if kind in ("normal", "uniform") else None
