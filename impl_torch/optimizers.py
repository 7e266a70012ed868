"""Optimisers in PyTorch; `spec.parts.optimizers` defines them. A network's parameters are one flat vector here."""

from __future__ import annotations

import torch

from ganspec.impl_torch.arrays import Array, ArrayContext
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
        beta1, beta2 = self.definition.beta1, self.definition.beta2
        self.updates += 1
        size, epsilon = self.definition.step_size(self.updates, self.learning_rate)
        for start, end in parts:
            m, v, g = (a[start:end] for a in (self.moments["m"], self.moments["v"], gradient))
            m.mul_(beta1).add_(g, alpha=1.0 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1.0 - beta2)
            parameters[start:end].addcdiv_(m, torch.sqrt(v).add_(epsilon), value=-size)


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
        self.updates += 1
        for start, end in parts:
            v, g = self.moments["v"][start:end], gradient[start:end]
            v.mul_(decay).addcmul_(g, g, value=1.0 - decay)
            root = v.add(epsilon).sqrt_() if place == "inside" else v.sqrt().add_(epsilon)
            parameters[start:end].addcdiv_(g, root, value=-self.learning_rate)


KINDS = {"adam": Adam, "rmsprop": RMSProp}
