"""What the plain Chainer loops share: batches without end, and the optimiser of a network."""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np
from chainer.dataset import concat_examples

from ganspec.spec.parts.optimizers import Adam, RMSProp
from ganspec.spec.system import System
from ganspec.spec.training.options import device_number


def use_device(name: str) -> Any:
    """Make a device, "cpu", "cuda" or "cuda:N", the current one. Returns: Chainer's name of it."""
    device = chainer.get_device("@numpy" if name == "cpu" else f"@cupy:{device_number(name) or 0}")
    device.use()
    return device


class Batches:
    """Shuffled batches, pass after pass.

    Args:
        system: the system, which gives the batch and the range of the images.
        images: uint8, (n, ...).
        labels: whole numbers, (n,); None where the loop needs none.
        device: device of the batches.
    """

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: Any) -> None:
        low, high = system.data.range
        dtype = chainer.get_dtype()
        x = (images.astype(dtype) / 255 * (high - low) + low).astype(dtype)
        arrays = [x] if labels is None else [x, labels.astype(np.int32)]
        dataset = chainer.datasets.TupleDataset(*arrays)
        self.device = device
        self.iterator = chainer.iterators.SerialIterator(dataset, system.run.batch, shuffle=True)

    def __call__(self) -> tuple[Any, ...]:
        """Returns: the next images, and their labels where there are some."""
        batch: tuple[Any, ...] = concat_examples(self.iterator.next(), self.device)
        return batch


def adam(network: chainer.Chain, numbers: Adam) -> chainer.Optimizer:
    """Returns: Chainer's Adam for a network, which adds epsilon to the uncorrected square root."""
    optimizer = chainer.optimizers.Adam(
        alpha=numbers.learning_rate, beta1=numbers.beta1, beta2=numbers.beta2, eps=numbers.epsilon
    )
    optimizer.setup(network)
    return optimizer


def rmsprop(network: chainer.Chain, numbers: RMSProp) -> chainer.Optimizer:
    """Returns: Chainer's RMSProp for a network, which starts its average at 0."""
    optimizer = chainer.optimizers.RMSprop(
        lr=numbers.learning_rate,
        alpha=numbers.decay,
        eps=numbers.epsilon,
        eps_inside_sqrt=numbers.epsilon_place == "inside",
    )
    optimizer.setup(network)
    return optimizer
