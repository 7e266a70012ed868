"""Optimisers in Chainer; `spec.parts.optimizers` defines them. A network's parameters are one vector here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.threads import in_pieces

Gradient = Sequence[tuple[int, Array]]  # vectors, and the place of each one's first number among the parameters


class Optimizer:
    """What every optimiser holds.

    `moments` are vectors like the parameters' own, by name; `updates` is the number of updates done; `learning_rate` is that of
    the next one, before a schedule multiplies it. `take` is None, or how `numbers` gives the numbers of an update.

    Args:
        definition: definition of the optimiser, from `spec.parts.optimizers`.
        count: number of parameters.
        context: device and dtype.
    """

    def __init__(self, definition: Any, count: int, context: ArrayContext) -> None:
        self.definition = definition
        self.updates = 0
        self.learning_rate = definition.learning_rate
        self.take: Callable[[Callable[[float], Sequence[float]]], Sequence[Any]] | None = None
        self.moments = {name: context.filled(count, moment.start) for name, moment in definition.moments().items()}

    def numbers(self, of: Callable[[float], Sequence[float]]) -> Sequence[Any]:
        """Count one more update, and compute its numbers.

        Args:
            of: function of the learning rate that gives them.

        Returns: the numbers; where `take` is set, which says how they reach an update that a device does again, what it makes of
            them: arrays without axes.
        """

        def counted(factor: float) -> Sequence[float]:
            self.updates += 1
            return of(self.learning_rate * factor)

        return self.take(counted) if self.take else counted(1.0)

    def update(self, parameters: Array, gradient: Gradient) -> None:
        """Move the parameters one step, in place; the gradient stays as it is, where it is finite.

        Args:
            parameters: vector of all of the network's parameters.
            gradient: gradient of those that take part in this update.
        """
        raise NotImplementedError


def _move(gradient: Gradient, move: Callable[[slice, Any], None]) -> None:
    """Move each place by its gradient, on the CPU in pieces that stay in its cache from one operation to the next."""
    for start, vector in gradient:

        def move_some(part: slice, start: int = start, numbers: Any = vector.array) -> None:
            move(slice(start + part.start, start + part.stop), numbers[part])

        if vector.xp is np:
            in_pieces(vector.size, 1, move_some)
        else:
            move_some(slice(0, vector.size))


class Adam(Optimizer):
    """Adam in either definition."""

    def update(self, parameters: Array, gradient: Gradient) -> None:
        beta1, beta2, xp = self.definition.beta1, self.definition.beta2, parameters.xp
        size, epsilon = self.numbers(lambda rate: self.definition.step_size(self.updates, rate))
        p, m_, v_ = (a.array for a in (parameters, self.moments["m"], self.moments["v"]))

        def move(place: slice, g: Any) -> None:
            m, v = m_[place], v_[place]
            m *= beta1
            m += (1.0 - beta1) * g
            v *= beta2
            square = g * g
            square *= 1.0 - beta2
            v += square
            root = xp.sqrt(v, out=square)
            root += epsilon
            step = xp.divide(m, root, out=root)
            step *= size
            p[place] -= step

        _move(gradient, move)


class RMSProp(Optimizer):
    """RMSProp in every definition."""

    def update(self, parameters: Array, gradient: Gradient) -> None:
        decay, epsilon, xp = self.definition.decay, self.definition.epsilon, parameters.xp
        outside = self.definition.epsilon_place == "outside"
        (rate,) = self.numbers(lambda rate: (rate,))
        p, v_ = parameters.array, self.moments["v"].array

        def move(place: slice, g: Any) -> None:
            v = v_[place]
            v *= decay
            v += (1.0 - decay) * (g * g)
            root = xp.sqrt(v) + epsilon if outside else xp.sqrt(v + epsilon)
            step = g * rate
            step /= root
            p[place] -= step

        _move(gradient, move)


KINDS = {"adam": Adam, "rmsprop": RMSProp}
