"""Optimisers in Chainer; `spec.parts.optimizers` defines them. A network's parameters are one vector here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.impl_chainer.threads import in_pieces

Parts = list[tuple[int, int]]  # ranges of the parameters that take part in an update: [start, end)


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

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        """Move the parameters one step, in place; the gradient stays as it is.

        Args:
            parameters, gradient: vectors of all of the network's parameters.
            parts: the ranges of them that take part in this update.
        """
        raise NotImplementedError


def _move(parts: Parts, xp: Any, move: Callable[[slice], None]) -> None:
    """Move the numbers of all parts, on the CPU in pieces that stay in its cache from one operation to the next."""
    for start, end in parts:
        if xp is np:
            in_pieces(end - start, 1, lambda own, start=start: move(slice(start + own.start, start + own.stop)))
        else:
            move(slice(start, end))


class Adam(Optimizer):
    """Adam in either definition."""

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        beta1, beta2, xp = self.definition.beta1, self.definition.beta2, gradient.xp
        size, epsilon = self.numbers(lambda rate: self.definition.step_size(self.updates, rate))
        p, g_, m_, v_ = (a.array for a in (parameters, gradient, self.moments["m"], self.moments["v"]))

        def move(piece: slice) -> None:
            m, v, g = m_[piece], v_[piece], g_[piece]
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
            p[piece] -= step

        _move(parts, xp, move)


class RMSProp(Optimizer):
    """RMSProp in every definition."""

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        decay, epsilon, place = self.definition.decay, self.definition.epsilon, self.definition.epsilon_place
        xp = gradient.xp
        (rate,) = self.numbers(lambda rate: (rate,))
        p, g_, v_ = (a.array for a in (parameters, gradient, self.moments["v"]))

        def move(piece: slice) -> None:
            v, g = v_[piece], g_[piece]
            v *= decay
            v += (1.0 - decay) * (g * g)
            root = xp.sqrt(v + epsilon) if place == "inside" else xp.sqrt(v) + epsilon
            step = g * rate
            step /= root
            p[piece] -= step

        _move(parts, xp, move)


KINDS = {"adam": Adam, "rmsprop": RMSProp}
