"""Optimisers in PyTorch; `spec.parts.optimizers` defines them. A network's parameters are one vector here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ganspec.impl_torch.arrays import Array, ArrayContext

Gradient = Sequence[tuple[int, Array]]  # vectors, and the place of each one's first number among the parameters
PIECE = 1 << 18  # numbers
FUSED = True  # whether an update on the CPU is one operation


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


def _pieces(gradient: Gradient) -> Iterator[tuple[slice, Array]]:
    """Yields: places and their gradient, on the CPU in pieces that stay in its cache from one operation to the next."""
    for start, vector in gradient:
        step = max(len(vector), 1) if vector.is_cuda else PIECE
        for i in range(0, len(vector), step):
            g = vector[i : i + step]
            yield slice(start + i, start + i + len(g)), g


class Adam(Optimizer):
    """Adam in either definition."""

    def update(self, parameters: Array, gradient: Gradient) -> None:
        beta1, beta2 = self.definition.beta1, self.definition.beta2
        m, v = self.moments["m"], self.moments["v"]
        size, epsilon = self.numbers(lambda rate: self.definition.step_size(self.updates, rate))
        if _goes_in_one(size, parameters):
            _move_in_one(parameters, gradient, m, v, (beta1, beta2), size, epsilon)
            return
        for place, g in _pieces(gradient):
            own_m = m[place].lerp_(g, 1.0 - beta1)
            own_v = v[place].mul_(beta2).addcmul_(g, g, value=1.0 - beta2)
            _subtract(parameters[place], size, own_m, torch.sqrt(own_v).add_(epsilon))


class RMSProp(Optimizer):
    """RMSProp in every definition."""

    def update(self, parameters: Array, gradient: Gradient) -> None:
        decay, epsilon = self.definition.decay, self.definition.epsilon
        outside = self.definition.epsilon_place == "outside"
        (rate,) = self.numbers(lambda rate: (rate,))
        if outside and _goes_in_one(rate, parameters):
            # Adam with beta1 = 0, whose first moment is the gradient. What is written there was read there, but that an infinite
            # number becomes NaN, as its parameter does; to copy the gradient would take as long as the update.
            _move_in_one(parameters, gradient, None, self.moments["v"], (0.0, decay), rate, epsilon)
            return
        for place, g in _pieces(gradient):
            v = self.moments["v"][place].mul_(decay).addcmul_(g, g, value=1.0 - decay)
            root = v.sqrt().add_(epsilon) if outside else v.add(epsilon).sqrt_()
            _subtract(parameters[place], rate, g, root)


def _goes_in_one(size: float | Array, parameters: Array) -> bool:
    """Returns: whether `_move_in_one` does an update, which takes plain numbers; on CUDA it would round otherwise."""
    return FUSED and isinstance(size, float) and not parameters.is_cuda


def _move_in_one(
    parameters: Array,
    gradient: Gradient,
    m: Array | None,
    v: Array,
    betas: tuple[float, float],
    size: float,
    epsilon: float,
) -> None:
    """m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, p <- p - size m / (sqrt(v) + epsilon).

    It is PyTorch's own Adam, which goes through memory once. At an infinite step it corrects no bias: that is in `size` already.
    Without m the gradient stands for it.
    """
    g = [vector for _, vector in gradient]
    places = [slice(start, start + len(vector)) for start, vector in gradient]
    torch._fused_adam_(
        [parameters[place] for place in places],
        g,
        g if m is None else [m[place] for place in places],
        [v[place] for place in places],
        [],  # no largest v: no AMSGrad
        [torch.tensor(math.inf)] * len(g),
        lr=size,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


def _subtract(parameters: Array, size: float | Array, a: Array, b: Array) -> None:
    """parameters <- parameters - size a / b."""
    # One pass over memory, but it takes a plain number, and on CUDA it divides first, so that an iteration which is done again
    # with numbers in arrays would round otherwise. On the CPU both round alike.
    if isinstance(size, float) and not parameters.is_cuda:
        parameters.addcdiv_(a, b, value=-size)
    else:
        parameters.sub_((a * size).div_(b))


KINDS = {"adam": Adam, "rmsprop": RMSProp}
