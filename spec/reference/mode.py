"""How the reference evaluates a network: mode, masks and statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ganspec.spec.network.architecture import Layer


@dataclass(frozen=True)
class Evaluation:
    """How one network is evaluated.

    Args:
        training: whether it is evaluated in training mode, not in inference.
        fade: progress of the stage of growth, from 0 to 1.
        mask: function of a dropout layer and a shape that says which elements are kept.
        statistics: running statistics before the evaluation, by path.
        moved: running statistics after it, by path; the evaluation fills them in.
    """

    training: bool
    fade: float
    mask: Callable[[Layer, tuple[int, ...]], np.ndarray]
    statistics: Mapping[str, np.ndarray]
    moved: dict[str, np.ndarray]
