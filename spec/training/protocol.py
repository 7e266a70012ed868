"""What a backend is: the protocol that `impl_torch`, `impl_chainer`, the reference and anybody's own keep, and how it is found.

A backend is a module. Its `Trainer` executes the plan of a system, and that is all that the programs and comparisons know of it:
there is no base class. docs/backends.md tells how one is written, and shows one in JAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # programs that compute nothing start without NumPy
    import numpy as np

    from ganspec.spec.parts.settings import Decay
    from ganspec.spec.system import System
    from ganspec.spec.training.batches import NextBatch
    from ganspec.spec.training.results import StepResult
    from ganspec.spec.training.state import TrainingState

GROUP = "ganspec.backends"  # of entry points: name of a backend = its module
BACKENDS = ("torch", "chainer")  # those that ship with ganspec and train
REFERENCE = "reference"  # ships with ganspec, too, and computes all but whole gradients: so it cannot train alone
HOMES = {**{name: f"ganspec.impl_{name}" for name in BACKENDS}, REFERENCE: "ganspec.spec.reference"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")  # a run's folder has it in its name


class Executor(Protocol):
    """Computes one system, a repeat of a step at a time.

    It is made with `Trainer(system, seed, state=None, *, dtype, device, draws)`, as `impl_torch.Trainer` documents these. It
    raises `ValueError` for an option that has none of its values, the backend's `DeviceError` for a device that is not there,
    `StateError` for a state of another system, and `NotImplementedError` for a system that it does not cover; each says why.
    An iteration is done so:

        for step, repeat in executor.repeats():
            result = executor.compute(step, repeat, next_batch)
            executor.update(result)
        executor.end_iteration()

    The reference keeps this protocol, but `update` takes the gradients from elsewhere: `update(result, gradients)`.
    """

    system: System

    @property
    def iteration(self) -> int:
        """The number of iterations that are done."""

    def repeats(self) -> Iterator[tuple[int, int]]:
        """Yields: every repeat of every step of an iteration, as (step, repeat); each must be done before the next."""

    def compute(self, step: int, repeat: int, next_batch: NextBatch, *, keep_layers: bool = False) -> StepResult:
        """Compute one repeat of a step: values, and gradients if the backend has them.

        Running statistics move; parameters do not, but for weight clipping that comes "before".

        Args:
            step, repeat: number of the step in the schedule and of its repeat, from 0, as `repeats` gives them.
            next_batch: function that gives the next batch; called where this repeat draws one, and not otherwise.
            keep_layers: whether the result holds what every layer of every evaluation gave.

        Raises:
            BatchError: the batch is not one of this system.
            ValueError: an iteration has no such step or repeat.
        """

    def end_iteration(self) -> None:
        """Move the moving averages, and go on to the next iteration."""

    def generate(self, *inputs: np.ndarray) -> np.ndarray:
        """Evaluate the network G, or its moving average where one is kept, in inference mode; training is not disturbed.

        Args:
            inputs: values of each input of G, (N, ...), labels (N,).

        Returns: the first output, (N, ...).

        Raises:
            InputError: the inputs do not fit G.
        """

    def state(self) -> TrainingState:
        """Returns: a copy of the whole state, as NumPy arrays."""

    def load(self, state: TrainingState) -> None:
        """Take over a state, also between the repeats of an iteration: then it differs from the own one by rounding only.

        Raises:
            StateError: it is not a state of this system; then nothing is changed.
        """


class Trainer(Executor, Protocol):
    """Trains one system: an executor that computes gradients."""

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each trained network, now, before `System.rate_factor` multiplies it."""

    def update(self, result: StepResult) -> Mapping[str, Any]:
        """Move the parameters and carried numbers as a result says, which stays as it is. Returns: its recorded numbers."""

    def iterate(
        self, next_batch: NextBatch, observe: Callable[[StepResult], None] | None = None, *, keep_layers: bool = False
    ) -> Mapping[str, Any]:
        """Train one iteration. Returns: the recorded numbers; of several repeats the last.

        Args:
            next_batch: function that gives the next batch.
            observe: function that is shown the result of every repeat of every step, before its parameters move.
            keep_layers: whether these results hold what every layer gave.
        """

    def scale_learning_rates(self, decay: Decay) -> None:
        """Shrink every learning rate as a decay says: rate <- `decay.shrunk(rate)`."""


class Backend(Protocol):
    """A module that executes systems; one that trains has a `Trainer` that keeps the protocol of that name.

    It may have a tuple `LACKS` of kinds of quantity that it does not compute, such as "layer gradient". A comparison leaves them
    out for this backend; everything else that it lacks is a disagreement. It may have a function `to_numbers`, which gives rows
    of recorded numbers (dictionaries of arrays, as `iterate` gives them) as plain numbers, and waits for a device once for all.
    """

    Trainer: Callable[..., Any]
    DeviceError: type[Exception]

    def to_numpy(self, array: Any) -> np.ndarray:
        """Returns: the values of one of the backend's arrays, or of a plain number, on the host; a copy with its dtype."""


EXECUTES = ("repeats", "compute", "update", "end_iteration", "generate", "state", "load")  # methods of every `Trainer`
TRAINS = ("iterate", "scale_learning_rates")  # further methods of one that trains


def other_backends() -> dict[str, list[EntryPoint]]:
    """Returns: the entry points of backends that other packages install, by name, in the order of names.

    A name that ganspec's own backends have, or that no folder could have, is left out. Two packages may offer the same name.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name not in HOMES and _NAME.fullmatch(point.name):
            found.setdefault(point.name, []).append(point)
    return found


def training_backends() -> tuple[str, ...]:
    """Returns: the names under which a run may be started: ganspec's own backends that train, then those of other packages."""
    return (*BACKENDS, *other_backends())
