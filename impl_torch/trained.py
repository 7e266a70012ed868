"""One network in training in PyTorch: parameters, statistics, optimiser, moving average."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ganspec.impl_torch.arrays import Array, ArrayContext
from ganspec.impl_torch.optimizers import KINDS, Gradient
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.optimizers import Clip
from ganspec.spec.training.inputs import Inputs
from ganspec.spec.training.results import neighbours
from ganspec.spec.training.streams import Position

OWN = 1 << 18  # numbers of an array that is no longer worth copying beside its neighbours


class TrainedNetwork:
    """One network in training.

    All parameters lie in one `vector`. `frozen_parameters` and `parameters` are views of it by path; gradients flow to the latter
    alone, so that a network which a step does not update costs none. `optimizer` is None where there is nothing to train,
    `averages` is empty where none is kept.

    Args:
        architecture: architecture of the network; of a growing one, of any stage.
        optimizer: definition of its optimiser, from `spec.parts.optimizers`, or None.
        averaged: whether a moving average of it is kept.
        context: device and dtype.
    """

    def __init__(self, architecture: Architecture, optimizer: Any, averaged: bool, context: ArrayContext) -> None:
        shapes = {path: p.shape for path, p in architecture.parameter_paths().items()}
        self.vector = context.filled(sum(math.prod(shape) for shape in shapes.values()), 0.0)
        self.shapes, self.context = shapes, context
        self.frozen_parameters = self.views(self.vector)
        # Leaves that share the flat vector's memory: an update of the vector moves them.
        self.parameters = {path: view.detach().requires_grad_() for path, view in self.frozen_parameters.items()}
        self.statistics = {path: context.array(np.zeros(s.shape)) for path, s in architecture.statistic_paths().items()}
        self.optimizer = KINDS[optimizer.kind](optimizer, self.vector.numel(), context) if optimizer else None
        self.averages = {path: a.detach().clone() for path, a in self._arrays()} if averaged else {}

    def views(self, flat: Array) -> dict[str, Array]:
        """Returns: the part of a flat vector that belongs to each parameter, in its shape."""
        views, start = {}, 0
        for path, shape in self.shapes.items():
            end = start + math.prod(shape)
            views[path] = self._shaped(flat[start:end], shape)
            start = end
        return views

    def moments(self) -> dict[str, dict[str, Array]]:
        """Returns: for each moment of the optimiser, its part for each parameter, in its shape."""
        return {name: self.views(vector) for name, vector in self.optimizer.moments.items()} if self.optimizer else {}

    def _vectors(self, gradient: Mapping[str, Array], evaluated: Collection[str]) -> Gradient:
        """Returns: a gradient as `Optimizer.update` takes it: large arrays as they are, small neighbours joined."""
        vectors = []
        for start, paths in neighbours(self.shapes, evaluated, math.inf if self.context.on_cuda else OWN):
            parts = [self._flat(gradient[path]) for path in paths]
            vectors.append((start, parts[0] if len(parts) == 1 else torch.cat(parts)))
        return vectors

    def _flat(self, array: Array) -> Array:
        lying = array.permute(0, 2, 3, 1) if self._is_channels_last(array.shape) else array
        return lying.detach().reshape(-1).contiguous()

    def _shaped(self, part: Array, shape: tuple[int, ...]) -> Array:
        if not self._is_channels_last(shape):
            return part.view(shape)
        first, second, height, width = shape
        return part.view(first, height, width, second).permute(0, 3, 1, 2)

    def _is_channels_last(self, shape: tuple[int, ...]) -> bool:
        # Weights that lie channels-last make PyTorch's convolutions give channels-last too, which is faster on the CPU.
        return len(shape) == 4 and self.context.channels_last

    def clip(self, definition: Clip | None, when: str) -> None:
        """Move every parameter into the bounds, if this is when that is done."""
        if definition and definition.when == when:
            self.vector.clamp_(-definition.bound, definition.bound)

    def update(
        self,
        gradient: Mapping[str, Array],
        evaluated: Collection[str],
        factor: Callable[[Position], float],
        inputs: Inputs[Array],
        at: Position,
    ) -> None:
        """Move the parameters one step of the optimiser.

        Args:
            gradient: gradient by path.
            evaluated: paths of the parameters that take part: those that the network has in this stage.
            factor: function of a position that gives by what the learning rate is multiplied there.
            inputs: what hands out numbers of the host.
            at: position of the update.
        """
        optimizer, rate = self.optimizer, self.optimizer.learning_rate
        if inputs.plain:
            optimizer.learning_rate = rate * factor(at)
        else:
            context = self.context
            optimizer.take = lambda numbers: inputs.numbers(
                at, lambda at: numbers(factor(at)), context.array, context.split
            )
        try:
            optimizer.update(self.vector, self._vectors(gradient, evaluated))
        finally:
            optimizer.learning_rate, optimizer.take = rate, None

    def average(self, decay: float) -> None:
        """Move the averages of parameters and statistics: average <- decay average + (1 - decay) value."""
        for path, array in self._arrays():
            self.averages[path].mul_(decay).add_(array, alpha=1.0 - decay)

    def _arrays(self) -> Iterable[tuple[str, Array]]:
        return [*self.frozen_parameters.items(), *self.statistics.items()]
