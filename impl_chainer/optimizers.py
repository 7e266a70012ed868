"""Optimisers in Chainer; `spec.optimizers` defines them. A network's parameters are one flat vector here."""

from __future__ import annotations

from impl_chainer.arrays import Array, Place
from spec import optimizers as definitions


class Adam:
    """Adam in either definition. `moments` are flat vectors like the parameters; `updates` counts the steps done."""

    def __init__(self, definition: definitions.Adam, count: int, place: Place) -> None:
        self.definition = definition
        self.updates = 0
        self.learning_rate = definition.learning_rate
        self.moments = {name: place.zeros(count) for name in definition.MOMENTS}

    def update(self, parameters: Array, gradient: Array) -> None:
        """Move the parameters one step, in place."""
        beta1, beta2 = self.definition.beta1, self.definition.beta2
        m, v, g, xp = self.moments["m"].array, self.moments["v"].array, gradient.array, gradient.xp
        self.updates += 1
        size, epsilon = self.definition.step_size(self.updates, self.learning_rate)
        m *= beta1
        m += (1.0 - beta1) * g
        v *= beta2
        g *= g
        g *= 1.0 - beta2
        v += g
        root = xp.sqrt(v, out=g)  # the gradient's memory is free now
        root += epsilon
        step = xp.divide(m, root, out=root)
        step *= size
        parameters.array -= step
