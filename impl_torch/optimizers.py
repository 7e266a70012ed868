"""Optimisers in PyTorch; `spec.optimizers` defines them. A network's parameters are one flat vector here."""

from __future__ import annotations

from impl_torch.arrays import Array, Place
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
        m, v = self.moments["m"], self.moments["v"]
        self.updates += 1
        size, epsilon = self.definition.step_size(self.updates, self.learning_rate)
        m.mul_(beta1).add_(gradient, alpha=1.0 - beta1)
        v.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
        parameters.addcdiv_(m, v.sqrt().add_(epsilon), value=-size)
