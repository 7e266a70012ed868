"""Batches of a data set, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError


class Feed:
    """The batches of a run; calling it gives the next one.

    Every epoch goes through the images once in a new random order; images left over at its end, fewer than a batch, are
    not shown in it.

    Args:
        system: whose batch size and range of values apply.
        data: the images, uint8 or float in [0, 1].
        seed: of the order.
        dtype: of the images given out.
        batches: how many batches were drawn before, to go on from there.

    Raises:
        UserError: the data has fewer images than a batch, or no labels where the system needs them.
    """

    def __init__(self, system: System, data: Dataset, seed: int, dtype: str, batches: int = 0) -> None:
        if len(data.images) < system.run.batch:
            raise UserError(
                f"{data.source}: {len(data.images)} images are fewer than one batch of {system.run.batch}; "
                f"give more, or --set run.batch={max(1, len(data.images))}"
            )
        self.labels = data.labels if "y" in system.symbols else None
        if "y" in system.symbols:
            _check_labels(data, system.data.labels)
        self.images, self.dtype, self.batch = data.images, dtype, system.run.batch
        low, high = system.data.range
        self.scale = (high - low) / (255.0 if data.images.dtype == np.uint8 else 1.0)
        self.low = low
        self.streams = Streams(seed)
        self.batches = batches
        self.per_epoch = len(data.images) // self.batch
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    @property
    def epoch(self) -> int:
        """How many epochs are complete."""
        return self.batches // self.per_epoch

    def __call__(self) -> dict[str, np.ndarray]:
        """Returns: "x", (batch, channels, height, width) in the system's range, and "y", (batch,), where it has labels."""
        epoch, place = divmod(self.batches, self.per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self.streams.permutation("data", Position(epoch), len(self.images)))
        self.batches += 1
        chosen = self._order[1][place * self.batch : (place + 1) * self.batch]
        x = self.images[chosen].astype(self.dtype)
        x *= self.scale
        x += self.low
        return {"x": x} if self.labels is None else {"x": x, "y": self.labels[chosen]}


def _check_labels(data: Dataset, wanted: int) -> None:
    if data.labels is None:
        raise UserError(f"{data.source}: has no labels, and this system is conditional; give data with labels")
    if data.labels.min() < 0 or data.labels.max() >= wanted:
        raise UserError(
            f"{data.source}: has labels from {data.labels.min()} to {data.labels.max()}, expected 0 to {wanted - 1}"
        )
