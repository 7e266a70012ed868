"""Whole iterations of a trainer on a CUDA device, done again as one graph that was captured, without a word of Python.

A small GAN is bound by the launching of kernels: an iteration has thousands of them, a few microseconds of work each. A CUDA
graph launches all of them at once. It does again what was captured, on the same memory. So what changes from one iteration to the
next lies in arrays that stay where they are (`inputs`), and those are filled before the graph is launched. So do carried numbers,
which each iteration makes anew: what it made is copied out with what it recorded, and in where the next one reads it. Nobody else
ever has an array that a graph reads or writes.

The first iterations of each kind are done as ever, so that libraries have chosen and loaded their kernels. They count as all
others do. What a framework does of this is its `Graph` and its `Copier`, in each backend's `capture.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.inputs import Slot, repeats_of, values_of, why_host_decides
from ganspec.spec.training.state import recalled_reports
from ganspec.spec.training.streams import Position

Array = TypeVar("Array")
WARM_UP = 3  # iterations of each kind before one is captured
KINDS_HELD = 8  # graphs of one stage of growth: each holds the memory of an iteration


class Graph(Protocol):
    """What a device does in one call of a function, to be done again."""

    def record(self, function: Callable[[], None]) -> bool:
        """Record what a function does. Returns: whether it is done, too; a CUDA device only notes it.

        Raises:
            Exception: the function does something that a graph cannot hold, such as waiting for the device.
            NotImplementedError: the framework cannot record what it does.
        """

    def replay(self) -> None:
        """Do again what was recorded, on the same memory."""


class Event(Protocol):
    """A place in the work of a device."""

    def synchronize(self) -> Any:
        """Wait until the device has come so far."""


class Copier(Protocol[Array]):
    """How numbers come to memory that stays where it is, and away from it; the device is not waited for."""

    def stack(self, numbers: Sequence[Array]) -> Array:
        """Returns: a vector of arrays of one number each."""

    def unstack(self, vector: Array) -> Sequence[Array]:
        """Returns: copies of a vector's numbers, arrays without axes."""

    def write(self, source: Array, target: Array) -> None:
        """Copy an array into another one on the same device."""

    def send(self, values: np.ndarray, target: Array, pinned: Any) -> Any:
        """Copy values of the host into an array.

        Args:
            values: values, of the shape of the target.
            target: array on the device.
            pinned: what this returned when it last copied into the target from the same side of the staging, or None.

        Returns: memory of the host from which the device copies by itself, and which is needed until it has done so; None where
            the target lies on the host, too.
        """

    def event(self) -> Event | None:
        """Returns: the end of all work that the device was given so far; None where there is no such device."""


@dataclass
class Kind(Generic[Array]):
    """One kind of iteration: the same steps, as often, in the same stage of growth.

    Args:
        slots: what it asks the host for.
        done: number of iterations of this kind that were done.
        graph: what the device does in it, once that is captured.
        names: names of its recorded numbers.
        recorded: vector of these, and behind them the numbers that outlive it.
    """

    slots: list[Slot[Array]] = field(default_factory=list)
    done: int = 0
    graph: Graph | None = None
    names: tuple[str, ...] = ()
    recorded: Array | None = None


class Capture(Generic[Array]):
    """Does the iterations of a trainer, and captures them; its `reason` says why it cannot, if it cannot.

    Args:
        trainer: trainer of a backend whose iterations they are.
        graph: function that makes a graph.
        copier: copies arrays of the trainer.
    """

    def __init__(self, trainer: Any, graph: Callable[[], Graph], copier: Copier[Array]) -> None:
        several = "several processes exchange numbers in the middle of an iteration"
        self.reason = several if trainer.ranks is not None else why_host_decides(trainer.system)
        self.trainer = trainer
        self._make_graph, self._copier, self._staging = graph, copier, Staging(copier)
        self._kinds: dict[tuple[int, ...], Kind[Array]] = {}
        # Numbers that outlive an iteration, where a captured one reads them.
        self._kept: dict[tuple[str, str], Array] = {}
        self._counter: list[Slot[Array]] = []  # the number of the iteration, where numbers are drawn on the device
        if trainer.draws.counters is not None:
            number = trainer.context.array(np.zeros(1, np.int64))
            self._counter.append(Slot(Position(), lambda at: {"": np.array([at.iteration])}, {"": number}))

    def iterate(self, next_batch: NextBatch) -> dict[str, Array]:
        """Train one iteration. Returns: its recorded numbers, on the device."""
        with self.trainer.context.current():
            kind = self._kind()
            if kind is None:
                return dict(self.trainer.iterate_eagerly(next_batch))
            if not kind.done:
                return self._first(kind, next_batch)
            self._fill(kind, next_batch)
            self._put_kept()
            if kind.graph is not None:
                self._replay(kind.graph)
            elif kind.done >= WARM_UP:
                self._record(kind, next_batch)
            else:
                self._eagerly(kind, next_batch)
            kind.done += 1
            return self._taken(kind)

    def _kind(self) -> Kind[Array] | None:
        """Returns: the kind of the coming iteration; None where it is not to be captured."""
        if self.reason:
            return None
        key = repeats_of(self.trainer.system, self.trainer.iteration)
        if key not in self._kinds:
            self._kinds = {other: kind for other, kind in self._kinds.items() if other[0] == key[0]}
            if len(self._kinds) == KINDS_HELD:
                return None
            self._kinds[key] = Kind()
        return self._kinds[key]

    def _put_kept(self) -> None:
        """Put the numbers that outlive an iteration where a captured one reads them."""
        for (of, name), kept in self._kept.items():
            self._copier.write(getattr(self.trainer, of)[name], kept)
            getattr(self.trainer, of)[name] = kept

    def _taken(self, kind: Kind[Array]) -> dict[str, Array]:
        """Take copies of what an iteration left. Returns: its recorded numbers; the trainer has those that outlive it."""
        assert kind.recorded is not None
        numbers = iter(self._copier.unstack(kind.recorded))
        recorded = {name: next(numbers) for name in kind.names}
        for (of, name), number in zip(self._kept, numbers, strict=True):
            getattr(self.trainer, of)[name] = number
        return recorded

    def _first(self, kind: Kind[Array], next_batch: NextBatch) -> dict[str, Array]:
        """Do the first iteration of a kind, and list what it asks the host for."""
        if not self._kept:
            self._kept = self._copies()
        slots: list[Slot[Array]] = []
        with self.trainer.draws.inputs.listing(slots):
            recorded = dict(self.trainer.iterate_eagerly(next_batch))
        kind.slots, kind.done = slots, 1
        return recorded

    def _copies(self) -> dict[tuple[str, str], Array]:
        """Returns: copies of the numbers that outlive an iteration, by the trainer's attribute and their name there."""
        places = [("carried", name) for name in self.trainer.carried]
        places += [("reports", name) for name in recalled_reports(self.trainer.system)]
        if not places:
            return {}
        vector = self._copier.stack([getattr(self.trainer, of)[name] for of, name in places])
        return dict(zip(places, self._copier.unstack(vector), strict=True))

    def _fill(self, kind: Kind[Array], next_batch: NextBatch) -> None:
        """Ask for everything that the iteration needs, and put it where the iteration reads it."""
        self.trainer.take_batches(next_batch)
        slots = [*self._counter, *kind.slots]
        optimizers = [self.trainer.networks[name].optimizer for name in self.trainer.system.optimizers]
        updates = [optimizer.updates for optimizer in optimizers]
        try:
            values = values_of(slots, self.trainer.iteration)
        except BaseException:  # nothing is done yet, and so nothing is counted
            for optimizer, count in zip(optimizers, updates, strict=True):
                optimizer.updates = count
            raise
        self._staging.fill(slots, values)

    def _eagerly(self, kind: Kind[Array], next_batch: NextBatch) -> None:
        """Do an iteration of a kind from its slots."""
        with self.trainer.draws.inputs.filled(kind.slots), self._followed():
            recorded = dict(self.trainer.iterate_eagerly(next_batch))
        lasting = [getattr(self.trainer, of)[name] for of, name in self._kept]
        kind.names, kind.recorded = tuple(recorded), self._copier.stack([*recorded.values(), *lasting])

    @contextlib.contextmanager
    def _followed(self) -> Iterator[None]:
        """While in force, numbers that are drawn on the device are those of the iteration whose number lies there."""
        for slot in self._counter:
            self.trainer.draws.follow(slot.arrays[""])
        try:
            yield
        finally:
            if self._counter:
                self.trainer.draws.follow(None)

    def _record(self, kind: Kind[Array], next_batch: NextBatch) -> None:
        """Capture an iteration and do it; where it cannot be captured, do it as ever, and no longer try."""
        iteration, graph = self.trainer.iteration, self._make_graph()
        try:
            done = graph.record(lambda: self._eagerly(kind, next_batch))
        except Exception as error:  # a framework raises what it likes; the iteration itself is not to blame
            refused = isinstance(error, NotImplementedError)
            why = "it cannot be captured" if refused else f"the capture failed: {type(error).__name__}"
            self.reason = f"{why}: {str(error).partition(chr(10))[0]}"
            self.trainer.iteration = iteration
            for (of, name), kept in self._kept.items():
                getattr(self.trainer, of)[name] = kept
            self._eagerly(kind, next_batch)
            self._kinds.clear()
            return
        kind.graph = graph
        if not done:
            graph.replay()

    def _replay(self, graph: Graph) -> None:
        iteration = self.trainer.iteration
        graph.replay()
        self.trainer.iteration = iteration + 1


class Staging(Generic[Array]):
    """Copies values to a device without waiting for it: from memory from which the device copies by itself.

    It has two sides, in turns, so that the host can fill one while the device still copies from the other.

    Args:
        copier: copies the values.
    """

    def __init__(self, copier: Copier[Array]) -> None:
        self._copier = copier
        self._side = 0
        self._copied: list[Event | None] = [None, None]

    def fill(self, slots: Sequence[Slot[Array]], values: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Copy the values of each slot into its arrays."""
        self._side = 1 - self._side
        if (copied := self._copied[self._side]) is not None:
            copied.synchronize()  # what this side held before is still on its way
        for slot, given in zip(slots, values, strict=True):
            for name, array in slot.arrays.items():
                key = (self._side, name)
                slot.staged[key] = self._copier.send(given[name], array, slot.staged.get(key))
        self._copied[self._side] = self._copier.event()
