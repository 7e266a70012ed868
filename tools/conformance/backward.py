"""Gradients by what each layer gave, gathered while somebody's code differentiates a loss.

An adapter gives every array that a layer gave a hook, and tells a `LayerGradients` what arrives there during `backward`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Key = tuple[int, str]  # a network's node of the plan, and a layer


@dataclass(frozen=True)
class Seen:
    """A layer's value that was seen: the repeat in which it was, the nodes of the plan that it is of, and the layer."""

    repeat: int
    nodes: tuple[int, ...]
    layer: str


class LayerGradients:
    """The gradients of the losses of one repeat."""

    def __init__(self) -> None:
        self.active = False  # whether the code differentiates a loss by parameters
        self._watched: dict[Key, tuple[int, ...]] = {}  # shape of each value that is part of a graph
        self._sums: dict[Key, np.ndarray] = {}

    def watch(self, seen: Seen, shape: tuple[int, ...]) -> None:
        """A value is part of a graph: a loss may be differentiated by it."""
        for node in seen.nodes:
            self._watched[node, seen.layer] = (shape[0] // len(seen.nodes), *shape[1:])

    def add(self, seen: Seen, repeat: int, gradient: np.ndarray) -> None:
        """A gradient arrives, in the repeat of a number; of several losses the sum counts."""
        if not self.active or seen.repeat != repeat:
            return
        for node, part in zip(seen.nodes, np.split(gradient, len(seen.nodes)), strict=True):
            key = node, seen.layer
            self._sums[key] = self._sums[key] + part if key in self._sums else part.copy()

    def take(self) -> dict[Key, np.ndarray]:
        """Returns: the gradients since the last call.

        Where some layers of an evaluation got a gradient, those get zeros that are part of a graph and got none.
        """
        reached = {node for node, _ in self._sums}
        found = {key: np.zeros(shape) for key, shape in self._watched.items() if key[0] in reached}
        found = {key: self._sums.get(key, zeros) for key, zeros in found.items()}
        self._watched.clear()
        self._sums.clear()
        return found
