"""Optimisers: which update rule, and every number of it.

Frameworks disagree on what "Adam" is: PyTorch adds epsilon after the bias correction, Chainer and Keras before it. So
the definition is a key, and both backends implement both.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.tables import Table

EPSILON_PLACES = ("corrected", "uncorrected")


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1), with t counting the updates of the network from 1.

        m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
        corrected:    p <- p - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
        uncorrected:  p <- p - learning_rate (sqrt(1 - beta2^t) / (1 - beta1^t)) m / (sqrt(v) + epsilon)

    The second is "epsilon hat" at the end of the paper's section 2: what Chainer, Keras and TensorFlow do.
    """

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    epsilon_place: str

    MOMENTS = ("m", "v")

    def step_size(self, t: int, learning_rate: float) -> tuple[float, float]:
        """Returns: the factor a and epsilon e such that the step is -a m / (sqrt(v) + e) in either definition."""
        root = (1.0 - self.beta2**t) ** 0.5
        epsilon = self.epsilon * root if self.epsilon_place == "corrected" else self.epsilon
        return learning_rate * root / (1.0 - self.beta1**t), epsilon


def read_optimizer(table: Table) -> Adam:
    """Read one entry of a system's `[optimizers]`."""
    table.choice("kind", ["adam"])
    optimizer = Adam(
        table.number("learning_rate", least=0),
        table.number("beta1", least=0, most=1 - 1e-9),
        table.number("beta2", least=0, most=1 - 1e-9),
        table.number("epsilon", least=0),
        table.choice("epsilon_place", EPSILON_PLACES),
    )
    table.close()
    return optimizer
