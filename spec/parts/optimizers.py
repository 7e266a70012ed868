"""Optimisers: which update rule, and every number of it.

Frameworks disagree on what "Adam" and "RMSProp" are. PyTorch's Adam adds epsilon after the bias correction, Chainer's and
Keras' before it; TensorFlow 1's RMSProp adds epsilon inside the square root and starts its accumulator at 1. So the definition
is a key, and both backends implement all definitions.

Every optimiser has `learning_rate`, and optionally `learning_rate_schedule` and `clip`; a system that changes the `kind` of its
base keeps these three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from ganspec.spec.parts.learning_rates import LearningRateSchedule, read_learning_rate_schedule
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.tables import Table

ADAM_PLACES = ("corrected", "uncorrected")
RMSPROP_PLACES = ("outside", "inside")
CLIP_TIMES = ("before", "after")
SHARED = ("learning_rate", "learning_rate_schedule", "clip")  # keys that every kind has
_TABLES = ("learning_rate_schedule", "clip")  # those of them that are tables, as those of networks are
_FEW = 2  # wrong keys are each noted; more of them come from another kind, and are noted together


@dataclass(frozen=True)
class Clip:
    """Weight clipping: every parameter is moved into [-bound, bound] (Arjovsky et al. 2017, arXiv:1701.07875).

    Args:
        bound: largest absolute value.
        when: time of clipping: "after" each update, as in the paper's algorithm 1, or "before" the evaluations of each step that
            updates the network, as in the authors' code.
    """

    bound: float
    when: str


class Moment(NamedTuple):
    """An array that an optimiser keeps for each parameter: an average of a power of its gradients.

    Args:
        start: value from which it starts.
        degree: power of the gradient: 1 for an average of gradients, 2 for an average of their squares.
    """

    start: float
    degree: int


class Optimizer(Protocol):
    """What every optimiser states; each backend has an implementation of the same kind in its module `optimizers`."""

    kind: ClassVar[str]

    @property
    def learning_rate(self) -> float: ...

    @property
    def clip(self) -> Clip | None: ...

    def moments(self) -> dict[str, Moment]:
        """Returns: the moments, by the names that checkpoints use."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1); t counts the updates of the network, from 1.

        m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
        corrected:    p <- p - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
        uncorrected:  p <- p - learning_rate (sqrt(1 - beta2^t) / (1 - beta1^t)) m / (sqrt(v) + epsilon)

    The second is "epsilon hat" at the end of the paper's section 2; Chainer, Keras and TensorFlow compute it so. t advances with
    every update of the network, also for parameters that have no part in it and stay as they are: Chainer's rule.
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

    def step_size(self, t: int, learning_rate: float) -> tuple[float, float]:
        """Returns: a and e for which the step is -a m / (sqrt(v) + e), in either definition."""
        root = (1.0 - self.beta2**t) ** 0.5
        epsilon = self.epsilon * root if self.epsilon_place == "corrected" else self.epsilon
        return learning_rate * root / (1.0 - self.beta1**t), epsilon


@dataclass(frozen=True)
class RMSProp:
    """RMSProp (Tieleman and Hinton 2012, Coursera lecture 6.5), which frameworks define in different ways.

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


def read_optimizers(
    table: Table, networks: Iterable[str]
) -> tuple[dict[str, Optimizer], dict[str, LearningRateSchedule]]:
    """Read a system's `[optimizers]`; keys beside the networks' names are shared by all networks.

    Args:
        table: table to read.
        networks: names of the networks that are trained.

    Returns: each network's optimiser, and the schedule of its learning rate where it has one.
    """
    # Tell the tables of networks from the shared keys.
    networks = list(networks)
    own = {n: v for n, v in table.data.items() if n in networks or (isinstance(v, dict) and n not in _TABLES)}
    shared = {k: v for k, v in table.data.items() if k not in own}
    for n in own:
        if n not in networks:
            table.note(n, f"there is no network '{n}' to train: {expected_one_of(networks)}", did_you_mean(n, networks))
    # Lay each network's keys over the shared ones.
    optimizers, schedules = {}, {}
    for n in networks:
        keys = own.get(n, {})
        merged = {**shared, **keys} if isinstance(keys, dict) else keys
        if isinstance(keys, dict) and keys.get("kind", shared.get("kind")) != shared.get("kind"):
            merged = {k: v for k, v in shared.items() if k in SHARED} | keys  # another kind has other numbers
        key = table.path(n) if n in own else table.key
        kind_key = key if isinstance(keys, dict) and "kind" in keys else table.key
        whole = Table(merged, table.file, key, table.problems, table.scope)
        optimizers[n], schedule = read_optimizer(whole, kind_key)
        if schedule is not None:
            schedules[n] = schedule
    overridden = [k for k in shared if networks and all(isinstance(own.get(n), dict) and k in own[n] for n in networks)]
    for k in overridden:
        own_keys = ", ".join(table.path(f"{n}.{k}") for n in networks)
        message = "every network has its own value, so this one changes nothing"
        table.note(k, message, f"change the networks' values: {own_keys}")
    return optimizers, schedules


def read_optimizer(table: Table, kind_key: str) -> tuple[Optimizer, LearningRateSchedule | None]:
    """Read one optimiser.

    Args:
        table: shared keys of `[optimizers]` and those of one network.
        kind_key: dotted path of the table in which the kind is written.

    Returns: the optimiser, and the schedule of its learning rate; after a problem, what is only good for finding more problems.
    """
    kind = Table(table.data, table.file, kind_key, table.problems).choice("kind", KINDS)
    table.read.add("kind")
    if table.data.get("kind") != kind or _is_of_another_kind(table, kind, kind_key):
        return Adam(0.0, None, 0.0, 0.0, 1.0, ADAM_PLACES[0]), None
    optimizer = KINDS[kind].read(table, table.number("learning_rate", least=0), _clip(table))
    schedule = read_learning_rate_schedule(table)
    table.close()
    return optimizer, schedule


def _is_of_another_kind(table: Table, kind: str, kind_key: str) -> bool:
    """Returns: whether the keys are those of another kind; this is noted as one problem, where the kind is written."""
    own = KINDS[kind].numbers
    missing = [key for key in own if key not in table]
    foreign = [key for key in table.data if key not in ("kind", *SHARED, *own)]
    if len(missing) + len(foreign) <= _FEW:
        return False
    message = f"the kind '{kind}' takes {', '.join(own)}"
    message += f"; missing: {', '.join(missing)}" if missing else ""
    message += f"; not taken: {', '.join(foreign)}" if foreign else ""
    settings = " ".join(f"--set {kind_key}.{key}={own[key]}" for key in missing)
    hint = f"such as {settings}" if missing else "delete the keys that it does not take"
    table.problems.add(table.file, kind_key, message, hint)
    return True


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


class OptimizerKind(NamedTuple):
    """A kind of optimiser.

    Args:
        read: reader of its keys.
        numbers: keys that it has besides those of every kind, each with a value that messages show as an example.
    """

    read: Callable[[Table, float, Clip | None], Optimizer]
    numbers: Mapping[str, str]


KINDS = {
    "adam": OptimizerKind(_adam, {"beta1": "0.9", "beta2": "0.999", "epsilon": "1e-8", "epsilon_place": "corrected"}),
    "rmsprop": OptimizerKind(_rmsprop, {"decay": "0.99", "start": "0", "epsilon": "1e-8", "epsilon_place": "outside"}),
}


def _clip(table: Table) -> Clip | None:
    if (own := table.optional("clip", removable=True)) is None:
        return None
    clip = Clip(own.number("bound", least=0), own.choice("when", CLIP_TIMES))
    own.close()
    return clip
