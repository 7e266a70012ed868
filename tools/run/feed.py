"""Batches of a data set, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

import math

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.training.ranks import Share
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.data import Dataset
from ganspec.tools.data.array_files import release
from ganspec.tools.errors import UserError


class Feed:
    """The batches of a run; calling it gives the next one.

    Every epoch goes through the images once, in a new random order; where the system says so, the first epoch in the order of the
    data. Images left over at its end, fewer than a batch, are not shown in it ("drop"), or begin a batch that the next epoch
    completes ("wrap").

    With `flip`, each image of a batch is mirrored, left to right, with probability 1/2. One bit of the stream "data/flip" at the
    number of the batch decides for each, so that it depends on the seed and on the image's place in the run alone.

    Args:
        system: system whose batch size, range of values and keys of [data] apply.
        data: images, uint8 or float in [0, 1], and labels.
        seed: seed of the order.
        dtype: dtype of the images given out, "float32" or "float64".
        batches: number of batches drawn before, from where it goes on.
        share: the part of each batch that is given out, where several processes share it; None for all.

    Raises:
        UserError: the data has fewer images than a batch, or no labels where the system needs them.
    """

    def __init__(
        self, system: System, data: Dataset, seed: int, dtype: str, batches: int = 0, share: Share | None = None
    ) -> None:
        if len(data.images) < system.run.batch:
            raise UserError(
                f"{data.source}: {len(data.images)} images are fewer than one batch of {system.run.batch}; "
                f"give more, or --set run.batch={max(1, len(data.images))}"
            )
        self.labels = data.labels if "y" in system.symbols else None
        if "y" in system.symbols:
            _check_labels(data, system.data.labels)
        self.images, self.dtype, self.batch = data.images, dtype, system.run.batch
        self.rows = share.rows(self.batch) if share else slice(0, self.batch)
        low, high = system.data.range
        self.scale = (high - low) / (255.0 if data.images.dtype == np.uint8 else 1.0)
        self.low = low
        self.streams = Streams(seed)
        self.batches = batches
        # An epoch has so many images: all, or those of its whole batches.
        whole = len(data.images) // self.batch * self.batch
        self.images_per_epoch = whole if system.data.leftover == "drop" else len(data.images)
        self.flip = system.data.flip
        self.first_in_order = system.data.first_pass == "in_order"
        self._orders: dict[int, np.ndarray] = {}  # of the epochs that the newest batch is from

    @property
    def epoch(self) -> int:
        """The number of epochs that are complete."""
        return self.batches * self.batch // self.images_per_epoch

    def batches_until(self, epoch: float) -> float:
        """Returns: the number of batches after which so many epochs are complete, counted from the beginning of the run."""
        return epoch if math.isinf(epoch) else -(-int(epoch) * self.images_per_epoch // self.batch)

    def __call__(self) -> dict[str, np.ndarray]:
        """Returns: "x", (batch, channels, height, width) in the system's range, and "y", (batch,), where it has labels.

        Of several processes each gets its own rows of the batch.
        """
        number, start = self.batches, self.batches * self.batch
        chosen = self._chosen(start, start + self.batch)[self.rows]
        self.batches += 1
        pixels = self.images[chosen]
        if self.flip:
            mirrored = self.streams.mask(0.5, "data/flip", Position(number), (self.batch,), self.rows)
            pixels[mirrored] = pixels[mirrored, :, :, ::-1]
        release(self.images)
        x = pixels.astype(self.dtype)
        x *= self.scale
        x += self.low
        return {"x": x} if self.labels is None else {"x": x, "y": self.labels[chosen]}

    def _chosen(self, start: int, end: int) -> np.ndarray:
        """Returns: which images a batch shows, given its place among all that the run shows, one epoch after the other."""
        size = self.images_per_epoch
        epochs = range(start // size, (end - 1) // size + 1)
        self._orders = {epoch: self._order(epoch) for epoch in epochs}
        parts = [self._orders[e][max(start - e * size, 0) : min(end - e * size, size)] for e in epochs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch in self._orders:
            return self._orders[epoch]
        if epoch == 0 and self.first_in_order:
            return np.arange(len(self.images))
        return self.streams.permutation("data", Position(epoch), len(self.images))


def _check_labels(data: Dataset, wanted: int) -> None:
    if data.labels is None:
        raise UserError(f"{data.source}: has no labels, and this system is conditional; give data with labels")
    if data.labels.min() < 0 or data.labels.max() >= wanted:
        raise UserError(
            f"{data.source}: has labels from {data.labels.min()} to {data.labels.max()}, expected 0 to {wanted - 1}"
        )
