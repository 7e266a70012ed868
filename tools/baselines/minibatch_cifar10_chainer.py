"""GAN with minibatch discrimination on CIFAR-10 in plain Chainer.

Source: Chainer-GAN-lib, minibatch_discrimination. It makes a batch norm for the last convolution that it never calls;
here there is none. Its updater is dcgan's, and so is the loop.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer.initializers import Normal

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_networks_chainer import Features, Generator, sizes
from ganspec.tools.baselines.dcgan_cifar10_chainer import Loop


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, Generator(**sizes(system, "G")), Discriminator(**sizes(system, "D")))


class Discriminator(Features):
    """Beside its features, each image's closeness to the others of the batch."""

    def __init__(self, ch: int, bottom: int, channels: int, kernels: int, dimensions: int, wscale: float) -> None:
        super().__init__(ch, channels, wscale, last_batch_norm=False)
        self.shape = (kernels, dimensions)
        with self.init_scope():
            self.md = L.Linear(ch * bottom**2, kernels * dimensions, initialW=Normal(wscale))
            self.l4 = L.Linear(ch * bottom**2 + kernels, 1, initialW=Normal(wscale))

    def forward(self, x: Any) -> chainer.Variable:
        n = len(x)
        features = F.reshape(self.features(x), (n, -1))
        m = F.broadcast_to(F.reshape(self.md(features), (n, 1, *self.shape)), (n, n, *self.shape))
        distance = F.sum(F.absolute(m - F.swapaxes(m, 0, 1)), axis=3)
        closeness = F.sum(F.exp(-distance), axis=1) - 1  # without the image itself
        return self.l4(F.concat([features, closeness], axis=1))
