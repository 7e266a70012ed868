"""Optimisers in PyTorch; `spec.parts.optimizers` defines them. A network's parameters are one vector here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ganspec.impl_torch.arrays import Array, ArrayContext

Parts = list[tuple[int, int]]  # ranges of the parameters that take part in an update: [start, end)
PIECE = 1 << 18  # numbers


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


def _pieces(parts: Parts, on_cuda: bool) -> Iterator[tuple[int, int]]:
    """Yields: the parts, on the CPU in pieces that stay in its cache from one operation to the next."""
    for start, end in parts:
        step = max(end - start, 1) if on_cuda else PIECE
        yield from ((i, min(i + step, end)) for i in range(start, end, step))


class Adam(Optimizer):
    """Adam in either definition."""

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        beta1, beta2, epsilon = self.definition.beta1, self.definition.beta2, self.definition.epsilon
        m, v = self.moments["m"], self.moments["v"]
        if not gradient.is_cuda:
            # At an infinite step the kernel corrects nothing, so that epsilon is added to the uncorrected root.
            corrected = self.definition.epsilon_place == "corrected"
            rate, t = self.numbers(
                lambda rate: (rate, self.updates)
                if corrected
                else (self.definition.step_size(self.updates, rate)[0], math.inf)
            )
            _move(parameters, gradient, m, v, parts, rate, t, (beta1, beta2), epsilon)
            return
        size, epsilon = self.numbers(lambda rate: self.definition.step_size(self.updates, rate))
        for start, end in parts:
            own, g = m[start:end], gradient[start:end]
            own.lerp_(g, 1.0 - beta1)
            v[start:end].mul_(beta2).addcmul_(g, g, value=1.0 - beta2)
            _subtract(parameters[start:end], size, own, torch.sqrt(v[start:end]).add_(epsilon))


class RMSProp(Optimizer):
    """RMSProp in every definition."""

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        decay, epsilon, place = self.definition.decay, self.definition.epsilon, self.definition.epsilon_place
        (rate,) = self.numbers(lambda rate: (rate,))
        v = self.moments["v"]
        if place == "outside" and not gradient.is_cuda:
            # Adam whose first moment is the gradient: the kernel writes there what it reads.
            _move(parameters, gradient, gradient, v, parts, rate, math.inf, (0.0, decay), epsilon)
            return
        for start, end in _pieces(parts, gradient.is_cuda):
            own, g = v[start:end], gradient[start:end]
            own.mul_(decay).addcmul_(g, g, value=1.0 - decay)
            root = own.add(epsilon).sqrt_() if place == "inside" else own.sqrt().add_(epsilon)
            _subtract(parameters[start:end], rate, g, root)


def _move(
    parameters: Array,
    gradient: Array,
    m: Array,
    v: Array,
    parts: Parts,
    rate: float | Array,
    t: float | Array,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Adam's step t by PyTorch's own kernel, which reads and writes each number once.

        p <- p - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    On CUDA it would round the rate to float32, in float64, too.
    """
    rate, t = (torch.as_tensor(a, dtype=parameters.dtype) for a in (rate, t))  # rounded as those of `numbers` are
    lists = ([a[start:end] for start, end in parts] for a in (parameters, gradient, m, v))
    torch._fused_adam_(
        *lists,
        [],
        [t] * len(parts),
        lr=rate,
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
