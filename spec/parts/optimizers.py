"""Optimisers: which update rule, and every number of it.

Frameworks disagree on what "Adam" and "RMSProp" are: PyTorch's Adam adds epsilon after the bias correction, Chainer's and
Keras' before it; TensorFlow 1's RMSProp adds it inside the square root and starts its accumulator at 1. So the definition is
a key, and both backends implement all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from ganspec.spec.text.tables import Table

ADAM_PLACES = ("corrected", "uncorrected")
RMSPROP_PLACES = ("outside", "inside")
CLIP_TIMES = ("before", "after")
_TINY = 1e-300  # no division by 0


@dataclass(frozen=True)
class Clip:
    """Weight clipping: every parameter is moved into [-bound, bound] (Arjovsky et al. 2017, arXiv:1701.07875).

    Args:
        bound: the largest absolute value.
        when: "after" each update, as in the paper's algorithm 1, or "before" the evaluations of each step that updates the
            network, as in the authors' code.
    """

    bound: float
    when: str


class Moment(NamedTuple):
    """An array that an optimiser keeps for each parameter, an average of a power of its gradients.

    Args:
        start: value from which it starts.
        degree: the power of the gradient: 1 for an average of gradients, 2 for one of their squares.
    """

    start: float
    degree: int


class Optimizer(Protocol):
    """What every optimiser says of itself; each backend has an implementation of the same kind in its `optimizers`."""

    kind: ClassVar[str]

    @property
    def learning_rate(self) -> float: ...

    @property
    def clip(self) -> Clip | None: ...

    def moments(self) -> dict[str, Moment]:
        """Returns: the moments by name; checkpoints name them so."""

    def gradient_size(self, moments: Mapping[str, Any], updates: int) -> Any:
        """Returns: about how large the gradients were, elementwise, from the moments after so many updates."""

    def step_along(self, gradient: Any, moments: Mapping[str, Any], updates: int, learning_rate: float) -> Any:
        """Returns: how far one update would move a parameter along such a gradient, elementwise, moments given."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1), with t counting the updates of the network from 1.

        m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
        corrected:    p <- p - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
        uncorrected:  p <- p - learning_rate (sqrt(1 - beta2^t) / (1 - beta1^t)) m / (sqrt(v) + epsilon)

    The second is "epsilon hat" at the end of the paper's section 2: what Chainer, Keras and TensorFlow do. t advances with
    every update of the network, also for parameters that have no part in it, which otherwise stay as they are: Chainer's rule.
    """

    learning_rate: float
    clip: Clip | None
    beta1: float
    beta2: float
    epsilon: float
    epsilon_place: str

    kind: ClassVar[str] = "adam"

    def moments(self) -> dict[str, Moment]:
        return {"m": Moment(0.0, 1), "v": Moment(0.0, 2)}

    def gradient_size(self, moments: Mapping[str, Any], updates: int) -> Any:
        return abs(moments["m"])

    def step_size(self, t: int, learning_rate: float) -> tuple[float, float]:
        """Returns: the factor a and epsilon e such that the step is -a m / (sqrt(v) + e) in either definition."""
        root = (1.0 - self.beta2**t) ** 0.5
        epsilon = self.epsilon * root if self.epsilon_place == "corrected" else self.epsilon
        return learning_rate * root / (1.0 - self.beta1**t), epsilon

    def step_along(self, gradient: Any, moments: Mapping[str, Any], updates: int, learning_rate: float) -> Any:
        size, epsilon = self.step_size(updates, learning_rate)
        return size * gradient / (moments["v"] ** 0.5 + epsilon + _TINY)


@dataclass(frozen=True)
class RMSProp:
    """RMSProp (Tieleman and Hinton 2012, Coursera lecture 6.5), of which frameworks made several things.

    v <- decay v + (1 - decay) g^2, from v = start
    outside:  p <- p - learning_rate g / (sqrt(v) + epsilon)      PyTorch, Chainer, Keras: start = 0
    inside:   p <- p - learning_rate g / sqrt(v + epsilon)        TensorFlow 1: start = 1
    """

    learning_rate: float
    clip: Clip | None
    decay: float
    start: float
    epsilon: float
    epsilon_place: str

    kind: ClassVar[str] = "rmsprop"

    def moments(self) -> dict[str, Moment]:
        return {"v": Moment(self.start, 2)}

    def gradient_size(self, moments: Mapping[str, Any], updates: int) -> Any:
        left = self.start * self.decay**updates  # of what v started from
        return (moments["v"] - left).clip(0.0) ** 0.5

    def step_along(self, gradient: Any, moments: Mapping[str, Any], updates: int, learning_rate: float) -> Any:
        v, inside = moments["v"], self.epsilon_place == "inside"
        return learning_rate * gradient / ((v + self.epsilon) ** 0.5 if inside else v**0.5 + self.epsilon + _TINY)


def read_optimizer(table: Table) -> Optimizer:
    """Read one entry of a system's `[optimizers]`."""
    kind = table.choice("kind", KINDS)
    optimizer = KINDS[kind](table, table.number("learning_rate", least=0), _clip(table))
    table.close()
    return optimizer


def _adam(table: Table, learning_rate: float, clip: Clip | None) -> Adam:
    return Adam(
        learning_rate,
        clip,
        table.number("beta1", least=0, most=1 - 1e-9),
        table.number("beta2", least=0, most=1 - 1e-9),
        table.number("epsilon", least=0),
        table.choice("epsilon_place", ADAM_PLACES),
    )


def _rmsprop(table: Table, learning_rate: float, clip: Clip | None) -> RMSProp:
    return RMSProp(
        learning_rate,
        clip,
        table.number("decay", least=0, most=1 - 1e-9),
        table.number("start", least=0),
        table.number("epsilon", least=0),
        table.choice("epsilon_place", RMSPROP_PLACES),
    )


KINDS: dict[str, Callable[[Table, float, Clip | None], Optimizer]] = {"adam": _adam, "rmsprop": _rmsprop}


def _clip(table: Table) -> Clip | None:
    if (own := table.optional("clip", removable=True)) is None:
        return None
    clip = Clip(own.number("bound", least=0), own.choice("when", CLIP_TIMES))
    own.close()
    return clip
