"""Optimisers in Chainer; `spec.parts.optimizers` defines them. A network's parameters are one flat vector here."""

from __future__ import annotations

from ganspec.impl_chainer.arrays import Array, ArrayContext
from ganspec.spec.parts import optimizers as definitions

Parts = list[tuple[int, int]]  # where the parameters lie that take part in an update: [start, end)


class Adam:
    """Adam in either definition. `moments` are flat vectors like the parameters; `updates` counts the steps done."""

    def __init__(self, definition: definitions.Adam, count: int, context: ArrayContext) -> None:
        self.definition = definition
        self.updates = 0
        self.learning_rate = definition.learning_rate
        self.moments = {name: context.filled(count, moment.start) for name, moment in definition.moments().items()}

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        """Move the parameters one step, in place."""
        beta1, beta2, xp = self.definition.beta1, self.definition.beta2, gradient.xp
        self.updates += 1
        size, epsilon = self.definition.step_size(self.updates, self.learning_rate)
        for start, end in parts:
            m, v, g = (a.array[start:end] for a in (self.moments["m"], self.moments["v"], gradient))
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
            parameters.array[start:end] -= step


class RMSProp:
    """RMSProp in every definition. `moments` are flat vectors like the parameters; `updates` counts the steps done."""

    def __init__(self, definition: definitions.RMSProp, count: int, context: ArrayContext) -> None:
        self.definition = definition
        self.updates = 0
        self.learning_rate = definition.learning_rate
        self.moments = {name: context.filled(count, moment.start) for name, moment in definition.moments().items()}

    def update(self, parameters: Array, gradient: Array, parts: Parts) -> None:
        """Move the parameters one step, in place."""
        decay, epsilon, place = self.definition.decay, self.definition.epsilon, self.definition.epsilon_place
        xp = gradient.xp
        self.updates += 1
        for start, end in parts:
            v, g = self.moments["v"].array[start:end], gradient.array[start:end]
            v *= decay
            v += (1.0 - decay) * (g * g)
            root = xp.sqrt(v + epsilon) if place == "inside" else xp.sqrt(v) + epsilon
            step = g * self.learning_rate
            step /= root
            parameters.array[start:end] -= step


KINDS = {"adam": Adam, "rmsprop": RMSProp}
