"""The batches that both train on: random images, a data set, or what his own iterator gives.

ganspec's trainer reads images in the system's range, float64. His updater reads examples from an iterator, as Chainer gives them:
a list of images, or of (image, label).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.layers import format_shape
from ganspec.spec.system import System
from ganspec.tools.agreement.given import random_feed
from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.errors import UserError

_LEVELS = 2.0**11  # of a random image; with noise of 2^12 steps its products are exact in float32
Batch = Mapping[str, np.ndarray]


@dataclass
class Batches:
    """Batches in order, kept, so that every run gets the same.

    Args:
        system: the system.
        source: function that gives the next batch for ganspec, and the examples for his updater.
    """

    system: System
    source: Callable[[], tuple[Batch, list[Any]]]
    _made: list[tuple[Batch, list[Any]]] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def feed(self) -> Callable[[], Batch]:
        """Returns: a function that gives the batches from the first."""
        counter = iter(range(2**31))
        return lambda: self.at(next(counter))[0]

    def at(self, number: int) -> tuple[Batch, list[Any]]:
        """Returns: a batch for ganspec, and the examples of the same for his updater."""
        while number >= len(self._made):
            batch, examples = self.source()
            self._known[_mark(batch["x"])] = len(self._made)
            self._made.append((batch, examples))
        return self._made[number]

    def examples(self, x: np.ndarray) -> list[Any]:
        """Returns: the examples of the batch whose images are x."""
        return self._made[self._known[_mark(x)]][1]


def _mark(x: np.ndarray) -> bytes:
    return np.ascontiguousarray(x, dtype=np.float32).tobytes()


def own_batches(
    system: System,
    seed: int,
    next_batch: Callable[[], Batch] | None = None,
    image_range: Sequence[float] | None = None,
    shape: Sequence[int] | None = None,
) -> Batches:
    """Make batches of ganspec's: random images, or those of a data set.

    Args:
        system: the system, whose range, shape and batch size apply.
        seed: seed of random images.
        next_batch: function that gives the batches of a data set; None for random images.
        image_range: range in which his updater expects images; None for the system's.
        shape: shape in which it expects one image; None for the system's.

    Raises:
        UserError: an image of the system has not as many numbers.
    """
    own = int(np.prod(system.data.shape))
    if shape is not None and int(np.prod(shape)) != own:
        said = format_shape(system.data.shape)
        raise UserError(
            f"--x-shape: an image of {system.name} is {said}; give sizes whose product is {own}, such as {own}"
        )
    given = next_batch or random_feed(system, seed)
    low, high = system.data.range
    theirs_low, theirs_high = image_range or (low, high)

    def source() -> tuple[Batch, list[Any]]:
        batch = dict(given())
        u = (batch["x"] - low) / (high - low)
        u = u if next_batch else np.round(u * _LEVELS) / _LEVELS
        # Exact in float32: his code may turn images to it.
        theirs = (theirs_low + (theirs_high - theirs_low) * u).astype(np.float32).astype(np.float64)
        same = (theirs_low, theirs_high) == (low, high)
        batch["x"] = theirs if same else low + (high - low) * (theirs - theirs_low) / (theirs_high - theirs_low)
        images = theirs.reshape(len(theirs), *shape) if shape is not None else theirs
        labels = batch.get("y")
        examples = list(images) if labels is None else [(x, np.int32(y)) for x, y in zip(images, labels, strict=True)]
        return batch, examples

    return Batches(system, source)


def his_batches(system: System, iterator: Any, image_range: Sequence[float] | None = None) -> Batches:
    """Make batches of what his own iterator gives.

    Args:
        system: the system.
        iterator: an iterator of Chainer's, or a data set, of which a `SerialIterator` is made.
        image_range: range of its images; None for the system's.

    Raises:
        UserError: it is neither.
    """
    if not hasattr(iterator, "next") and not hasattr(iterator, "__next__"):
        if not hasattr(iterator, "__getitem__") or not hasattr(iterator, "__len__"):
            kind = type(iterator).__name__
            raise UserError(f"--iterator: it gives a {kind}, expected an iterator of Chainer's or a data set")
        if not len(iterator):
            raise UserError("--iterator: the data set is empty; give one with images")
        iterator = chainer.iterators.SerialIterator(iterator, system.run.batch, shuffle=False)
    low, high = system.data.range
    theirs_low, theirs_high = image_range or (low, high)

    def source() -> tuple[Batch, list[Any]]:
        try:
            examples = list(iterator.next() if hasattr(iterator, "next") else next(iterator))
        except StopIteration:
            raise UserError(
                "--iterator: the iterator has no more batches; make it with repeat=True, or compare fewer --iterations"
            ) from None
        pairs = [e if isinstance(e, tuple) else (e,) for e in examples]
        x = np.asarray([np.asarray(p[0], np.float64) for p in pairs])
        wanted = (system.run.batch, *system.data.shape)
        if x.size != np.prod(wanted):
            found = f"{len(x)} images of shape {format_shape(x.shape[1:])}"
            raise UserError(
                f"--iterator: a batch has {found}, {system.name} takes {wanted[0]} of {format_shape(wanted[1:])};"
                f" change the iterator, or --batch {len(x)}"
            )
        x = low + (high - low) * (x - theirs_low) / (theirs_high - theirs_low) if image_range else x
        batch = {"x": x.reshape(wanted)}
        if "y" in system.symbols:
            if any(len(p) < 2 for p in pairs):
                raise UserError(f"--iterator: the examples have no labels, which {system.name} needs: (image, label)")
            batch["y"] = np.asarray([int(p[1]) for p in pairs])
        return batch, examples

    return Batches(system, source)


class Replayed(chainer.dataset.Iterator):  # type: ignore[misc]
    """The iterator that his updater reads. Each iteration's batches are given to it by `fill`."""

    epoch, is_new_epoch, epoch_detail, previous_epoch_detail = 0, False, 0.0, 0.0

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.dataset, self.repeat, self.taken = batch_size, (), True, 0
        self.lines: list[str] = []
        self._next: Callable[[], list[Any]] = list
        self._fail: Callable[[str], ConformanceError] = ConformanceError

    def fill(self, next_examples: Callable[[], list[Any] | None], fail: Callable[[str], ConformanceError]) -> None:
        """Take over the batches of an iteration.

        Args:
            next_examples: function that gives the examples of the next batch; None where the iteration has no more.
            fail: function that makes the error to raise.
        """
        self._next, self._fail, self.taken, self.lines = next_examples, fail, 0, []  # type: ignore[assignment]

    def __next__(self) -> list[Any]:
        examples = self._next()
        line = calling_line()
        if examples is None:
            raise self._fail(
                f"{line}: takes a second batch in this iteration; the system's schedule keeps one for the whole iteration"
                ' (redraw.data = "iteration"); compare with a system whose schedule redraws data, such as'
                " --set schedule=..."
            )
        self.taken += 1
        self.lines.append(line)
        return examples

    next = __next__
