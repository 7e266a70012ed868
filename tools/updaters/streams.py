"""Draws that old code can turn to float32 and back without a loss, so that float64 can judge code that says `.astype("f")`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganspec.spec.layers import Shape
from ganspec.spec.training.streams import Position, Streams

# Steps of a uniform number. float32 has 24 bits: u, 1 - u, 2 u - 1 and the product with an image of 2^11 levels are exact.
_LEVELS = 2.0**12


@dataclass(frozen=True)
class CoarseStreams(Streams):
    """The spec's streams, their numbers rounded to few bits.

    Uniform numbers are multiples of 2^-12 in [0, 1), normal ones are float32; both are given as float64.
    """

    def uniform(self, name: str, position: Position, shape: Shape) -> np.ndarray:
        fine = super().uniform(name, position, shape)
        return fine if name.startswith("initial/") else np.floor(fine * _LEVELS) / _LEVELS

    def normal(self, name: str, position: Position, shape: Shape) -> np.ndarray:
        return super().normal(name, position, shape).astype(np.float32).astype(np.float64)
