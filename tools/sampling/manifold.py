"""The manifold: latents that cover all of a latent space of two numbers, the same for each label.

The quantiles of evenly spaced probabilities lie where the latent's own numbers do: dense in the middle, sparse outside.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.tools.sampling.latents import draw_of


def manifold_latents(system: System) -> dict[str, list[np.ndarray]]:
    """The latents of each label's picture: side x side, (q_j, q_i) in row i and column j.

    The q are the latent's quantiles of evenly spaced probabilities, the same for every label: the first number grows from left to
    right, the second from top to bottom. Source: "Autoencoders in Keras, part 5", whose manifolds are drawn so.

    Returns: the inputs of G by label, "" where G takes none.
    """
    manifold = system.manifold
    assert manifold is not None
    wanted = system.networks["G"].inputs
    classes = [v.shape[0] for v in wanted.values() if v.dtype == "label"]
    labels = range(classes[0]) if classes else [-1]
    z = np.empty(0)
    for name in (name for name, v in wanted.items() if v.dtype != "label"):
        q = quantiles(draw_of(system, name).distribution, np.linspace(manifold.low, manifold.high, manifold.side))
        z = np.stack(np.meshgrid(q, q, indexing="xy"), axis=-1).reshape(-1, 2)
    return {
        str(label) if classes else "": [
            np.full(len(z), label % v.shape[0]) if v.dtype == "label" else z for v in wanted.values()
        ]
        for label in labels
    }


def quantiles(distribution: Distribution, probabilities: np.ndarray) -> np.ndarray:
    """Returns: the values below which a distribution's numbers lie with the given probabilities."""
    a, b = distribution.a, distribution.b
    match distribution.kind:
        case "normal":
            return a + b * np.array([NormalDist().inv_cdf(p) for p in probabilities])
        case "uniform":
            return a + (b - a) * probabilities
    return np.full(len(probabilities), a)
