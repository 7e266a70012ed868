"""One network in training in Chainer: parameters, statistics, optimiser, moving average."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.memory import Recycled
from ganspec.impl_chainer.optimizers import KINDS, Parts
from ganspec.impl_chainer.spectral_norm import shaped
from ganspec.impl_chainer.threads import NUMBERS, THREADS
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.optimizers import Clip
from ganspec.spec.training.inputs import Inputs
from ganspec.spec.training.streams import Position


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
        self._recycled = Recycled(self.vector.size, context.dtype)
        self.frozen_parameters = self.views(self.vector)
        # Leaves that share the flat vector's memory: an update of the vector moves them.
        self.parameters = {path: Array(view.array, requires_grad=True) for path, view in self.frozen_parameters.items()}
        self.statistics = {path: context.array(np.zeros(s.shape)) for path, s in architecture.statistic_paths().items()}
        self.optimizer = KINDS[optimizer.kind](optimizer, self.vector.size, context) if optimizer else None
        self.averages = (
            {path: Array(a.array.copy(order="K"), requires_grad=False) for path, a in self._arrays()}
            if averaged
            else {}
        )

    def views(self, flat: Array) -> dict[str, Array]:
        """Returns: the part of a flat vector that belongs to each parameter, in its shape."""
        views, start = {}, 0
        for path, shape in self.shapes.items():
            end = start + math.prod(shape)
            views[path] = Array(self._shaped(flat.array[start:end], shape), requires_grad=False)
            start = end
        return views

    def moments(self) -> dict[str, dict[str, Array]]:
        """Returns: for each moment of the optimiser, its part for each parameter, in its shape."""
        return {name: self.views(vector) for name, vector in self.optimizer.moments.items()} if self.optimizer else {}

    def as_vector(self, arrays: list[Any]) -> Array:
        """Returns: one flat vector of a NumPy or CuPy array for each parameter; the reverse of `views`."""
        if self.vector.xp is not np:
            return Array(self.vector.xp.concatenate([a.reshape(-1) for a in arrays]), requires_grad=False)
        joined = Array(self._recycled.vector(), requires_grad=False)
        for view, array in zip(self.views(joined).values(), arrays, strict=True):
            into, given = np.atleast_1d(view.array, array)

            def copy(rows: slice, into: Any = into, given: Any = given) -> None:
                into[rows] = given[rows]

            THREADS.over(len(into), copy, least=-(-NUMBERS // math.prod(into.shape[1:])))
        return joined

    def _shaped(self, part: Any, shape: tuple[int, ...]) -> Any:
        # On the CPU kernels lie as the products of convolutions read them.
        return shaped(part, shape) if self.vector.xp is np else part.reshape(shape)

    def parts(self, architecture: Architecture) -> Parts:
        """Returns: where the parameters that an architecture evaluates lie in the flat vector."""
        evaluated = {f"{layer.name}/{p.name}" for layer in architecture.layers for p in layer.parameters}
        parts: Parts = []
        start = 0
        for path, shape in self.shapes.items():
            end = start + math.prod(shape)
            if path in evaluated and parts and parts[-1][1] == start:
                parts[-1] = (parts[-1][0], end)
            elif path in evaluated:
                parts.append((start, end))
            start = end
        return parts

    def clip(self, definition: Clip | None, when: str) -> None:
        """Move every parameter into the bounds, if this is when that is done."""
        if definition and definition.when == when:
            self.vector.array.clip(-definition.bound, definition.bound, out=self.vector.array)

    def update(
        self, gradient: Array, parts: Parts, factor: Callable[[Position], float], inputs: Inputs[Array], at: Position
    ) -> None:
        """Move the parameters one step of the optimiser.

        Args:
            gradient, parts: what `Optimizer.update` takes.
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
            optimizer.update(self.vector, gradient, parts)
        finally:
            optimizer.learning_rate, optimizer.take = rate, None

    def average(self, decay: float) -> None:
        """Move the averages of parameters and statistics: average <- decay average + (1 - decay) value."""
        for path, array in self._arrays():
            average = self.averages[path].array
            average *= decay
            average += (1.0 - decay) * array.array

    def _arrays(self) -> Iterable[tuple[str, Array]]:
        return [*self.frozen_parameters.items(), *self.statistics.items()]
