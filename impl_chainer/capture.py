"""Whole iterations of a trainer on a CUDA device, done again as one graph that was captured, without a word of Python.

A small GAN is bound by the launching of kernels: an iteration has thousands of them, a few microseconds of work each. A CUDA
graph launches all of them at once. It does again what was captured, on the same memory. So what changes from one iteration to the
next lies in arrays that stay where they are (`spec.training.inputs`), and those are filled before the graph is launched; carried
numbers, which each iteration makes anew, are brought back to where the next one reads them.

The first iterations of each kind are done as ever, so that libraries have chosen and loaded their kernels. They count as all
others do.

CuPy refuses to call cuBLAS while a stream is captured (cupy/cupy#6290, open; version 14.2 does), and every network multiplies
matrices. As long as it does, the first capture ends with that reason, and iterations are done one operation after the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import chainer
import numpy as np

from ganspec.impl_chainer.arrays import Array
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.inputs import Slot, repeats_of, values_of, why_host_decides
from ganspec.spec.training.state import recalled_reports
from ganspec.spec.training.streams import Position

WARM_UP = 3  # iterations of each kind before one is captured
MAX_KINDS = 8  # graphs of one stage of growth: each holds the memory of an iteration


class Graph:
    """What a device does in one call of a function, to be done again."""

    def __init__(self) -> None:
        self._cuda = chainer.backends.cuda.cupy.cuda
        # Arrays of the graph come from memory of its own, which nobody else is given while the graph lives.
        self._pool = self._cuda.MemoryPool(_allocate)
        self._graph: Any = None

    def record(self, function: Callable[[], None]) -> bool:
        """Record what a function does. Returns: whether it is done, too; a CUDA device only notes it.

        Raises:
            RuntimeError: the function does something that a graph cannot hold, such as waiting for the device.
        """
        stream = self._cuda.Stream(non_blocking=True)
        self._cuda.Device().synchronize()
        with self._cuda.using_allocator(self._pool.malloc), stream:
            stream.begin_capture()
            try:
                function()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # the capture is ended, whatever became of it
                    stream.end_capture()
                raise
            self._graph = stream.end_capture()
        return False

    def replay(self) -> None:
        """Do again what was recorded, on the same memory."""
        self._graph.launch()


@dataclass
class Kind:
    """One kind of iteration: the same steps, as often, in the same stage of growth.

    Args:
        slots: what it asks the host for.
        done: number of iterations of this kind that were done.
        graph: what the device does in it, once that is captured.
        names: names of its recorded numbers.
        recorded: vector of these.
    """

    slots: list[Slot[Array]] = field(default_factory=list)
    done: int = 0
    graph: Any = None
    names: tuple[str, ...] = ()
    recorded: Any = None


class Capture:
    """Does the iterations of a trainer, and captures them.

    Args:
        trainer: trainer whose iterations they are.
        graph: function that makes a graph.
    """

    def __init__(self, trainer: Any, graph: Callable[[], Any] = Graph) -> None:
        self.trainer, self.reason = trainer, ""
        self._make_graph = graph
        self._kinds: dict[tuple[int, ...], Kind] = {}
        self._static: dict[tuple[str, str], Array] = {}
        self._staging = Staging()
        self._counter: list[Slot[Array]] = []  # the number of the iteration, where numbers are drawn on the device
        if trainer.draws.counters is not None:
            number = Array(trainer.context.xp.zeros(1, dtype=np.int64), requires_grad=False)
            self._counter.append(Slot(Position(), lambda at: {"": np.array([at.iteration])}, {"": number}))

    @classmethod
    def of(cls, trainer: Any) -> Capture:
        """Returns: the capture of a trainer; its `reason` says why iterations cannot be captured, if they cannot."""
        made = cls(trainer)
        if trainer.ranks is not None:
            made.reason = "several processes exchange numbers in the middle of an iteration"
        else:
            made.reason = why_host_decides(trainer.system)
        return made

    def iterate(self, next_batch: NextBatch) -> dict[str, Array]:
        """Train one iteration. Returns: its recorded numbers, on the device."""
        with self.trainer.context.current():
            kind = self._kind()
            if kind is None:
                return self.trainer.iterate_eagerly(next_batch)
            self._settle()
            if not kind.done:
                return self._first(kind, next_batch)
            self._fill(kind, next_batch)
            if kind.graph is not None:
                self._replay(kind)
            elif kind.done >= WARM_UP:
                self._record(kind, next_batch)
            else:
                self._eagerly(kind, next_batch)
            kind.done += 1
            assert kind.recorded is not None
            numbers = self.trainer.context.split(Array(kind.recorded.copy(), requires_grad=False))
            return {name: Array(a, requires_grad=False) for name, a in zip(kind.names, numbers, strict=True)}

    def _kind(self) -> Kind | None:
        """Returns: the kind of the coming iteration; None where it is not to be captured."""
        if self.reason:
            return None
        key = repeats_of(self.trainer.system, self.trainer.iteration)
        if key not in self._kinds:
            self._kinds = {other: kind for other, kind in self._kinds.items() if other[0] == key[0]}
            if len(self._kinds) == MAX_KINDS:
                return None
            self._kinds[key] = Kind()
        return self._kinds[key]

    def _settle(self) -> None:
        """See to it that numbers which outlive an iteration are where a captured one reads them."""
        for (of, name), kept in self._kept().items():
            numbers = getattr(self.trainer, of)
            if numbers[name] is not kept:  # another state was loaded, or an iteration was observed
                kept.array[...] = numbers[name].array
                numbers[name] = kept

    def _kept(self) -> Mapping[tuple[str, str], Array]:
        if not self._static:
            trainer = self.trainer
            names = [("carried", name) for name in trainer.carried]
            names += [("reports", name) for name in recalled_reports(trainer.system)]
            arrays = {(of, name): getattr(trainer, of)[name].array.copy() for of, name in names}
            self._static = {key: Array(array, requires_grad=False) for key, array in arrays.items()}
        return self._static

    def _first(self, kind: Kind, next_batch: NextBatch) -> dict[str, Array]:
        """Do the first iteration of a kind, and list what it asks the host for."""
        slots: list[Slot[Array]] = []
        with self.trainer.draws.inputs.listing(slots):
            recorded: dict[str, Array] = self.trainer.iterate_eagerly(next_batch)
        kind.slots, kind.done = slots, 1
        return recorded

    def _fill(self, kind: Kind, next_batch: NextBatch) -> None:
        """Ask for everything that the iteration needs, and put it where the iteration reads it."""
        self.trainer.take_batches(next_batch)
        updates = {name: self.trainer.networks[name].optimizer.updates for name in self.trainer.system.optimizers}
        try:
            values = values_of([*self._counter, *kind.slots], self.trainer.iteration)
        except BaseException:  # nothing is done yet, and so nothing is counted
            for name, count in updates.items():
                self.trainer.networks[name].optimizer.updates = count
            raise
        self._staging.start()
        for slot, given in zip([*self._counter, *kind.slots], values, strict=True):
            for name, array in slot.arrays.items():
                self._staging.copy(given[name], array, slot, name)
        self._staging.finish()

    def _eagerly(self, kind: Kind, next_batch: NextBatch) -> None:
        """Do an iteration of a kind from its slots."""
        with self.trainer.draws.inputs.filled(kind.slots), self._followed():
            recorded = self.trainer.iterate_eagerly(next_batch)
        for (of, name), kept in self._static.items():
            kept.array[...] = getattr(self.trainer, of)[name].array
            getattr(self.trainer, of)[name] = kept
        kind.names = tuple(recorded)
        arrays = [value.array.reshape(()) for value in recorded.values()]
        kind.recorded = chainer.backend.get_array_module(*arrays).stack(arrays)

    @contextlib.contextmanager
    def _followed(self) -> Iterator[None]:
        """While in force, numbers that are drawn on the device are those of the iteration whose number lies there."""
        for slot in self._counter:
            array = slot.arrays[""]
            self.trainer.draws.follow(array.array)
        try:
            yield
        finally:
            if self._counter:
                self.trainer.draws.follow(None)

    def _record(self, kind: Kind, next_batch: NextBatch) -> None:
        """Capture an iteration and do it; where it cannot be captured, do it as ever, and no longer try."""
        iteration, graph = self.trainer.iteration, self._make_graph()
        try:
            done = graph.record(lambda: self._eagerly(kind, next_batch))
        except Exception as error:  # a framework raises what it likes; the iteration itself is not to blame
            refused = isinstance(error, NotImplementedError)
            why = "it cannot be captured" if refused else f"the capture failed: {type(error).__name__}"
            self.reason = f"{why}: {str(error).partition(chr(10))[0]}"
            self.trainer.iteration = iteration
            for (of, name), kept in self._static.items():
                getattr(self.trainer, of)[name] = kept
            self._eagerly(kind, next_batch)
            self._kinds.clear()
            return
        kind.graph = graph
        if not done:
            graph.replay()

    def _replay(self, kind: Kind) -> None:
        iteration = self.trainer.iteration
        kind.graph.replay()
        self.trainer.iteration = iteration + 1


class Staging:
    """Copies values to a device without waiting for it: from memory from which the device copies by itself.

    There are two sets of it, in turns, so that the host can fill one while the device still copies from the other.
    """

    def __init__(self) -> None:
        self._round = 0
        self._copied: list[Any] = [None, None]

    def start(self) -> None:
        """Wait until the set whose turn it is has been copied from."""
        self._round = 1 - self._round
        if self._copied[self._round] is not None:
            self._copied[self._round].synchronize()

    def copy(self, values: np.ndarray, array: Array, slot: Slot[Array], name: str) -> None:
        """Copy values into one of the arrays of a slot."""
        if array.xp is np:
            array.array[...] = values
            return
        key = (self._round, name)
        if key not in slot.staged:
            slot.staged[key] = _pinned(array.shape, array.dtype)
        slot.staged[key][...] = values
        array.array.set(slot.staged[key])

    def finish(self) -> None:
        """Note that all of a set are on their way."""
        if chainer.backends.cuda.available:
            self._copied[self._round] = chainer.backends.cuda.cupy.cuda.Event(block=False, disable_timing=True)
            self._copied[self._round].record()


def _allocate(size: int) -> Any:
    # A pool whose memory is at an end frees what lies unused in it, and asks again. The graph reads and writes just that.
    cuda = chainer.backends.cuda.cupy.cuda
    try:
        return cuda.MemoryPointer(cuda.Memory(size), 0)
    except cuda.runtime.CUDARuntimeError as error:
        raise MemoryError(f"there is no memory for the arrays of a graph: {error}") from None


def _pinned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Returns: an array of NumPy in memory from which a device copies by itself."""
    size = int(np.prod(shape, dtype=np.int64))
    memory = chainer.backends.cuda.cupy.cuda.alloc_pinned_memory(size * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype, size).reshape(shape)
