"""A GAN with MLPs and a discriminator of two classes in plain Chainer.

Source: Introduction to Artificial Intelligence, chapter 11; Goodfellow et al. 2014, arXiv:1406.2661. The source is
written in PyTorch; here its `detach` is a `Variable` of the images, and Adam is Chainer's, which adds epsilon to the
uncorrected square root. As there, the generator is evaluated once.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_chainer import Batches, adam, use_device


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Generator(chainer.Chain):
    def __init__(self, latent: int, width: int, pixels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        with self.init_scope():
            self.l1, self.bn1 = L.Linear(latent, width), L.BatchNormalization(width, eps=1e-5)
            self.l2, self.bn2 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l3 = L.Linear(width, pixels)

    def forward(self, z: Any) -> chainer.Variable:
        h = self.bn1(F.leaky_relu(self.l1(z), self.slope))
        h = self.bn2(F.leaky_relu(self.l2(h), self.slope))
        return F.tanh(self.l3(h))


class Discriminator(chainer.Chain):
    def __init__(self, pixels: int, width: int, slope: float, dropout: float) -> None:
        super().__init__()
        self.slope, self.dropout = slope, dropout
        with self.init_scope():
            self.l1 = L.Linear(pixels, width)
            self.l2 = L.Linear(width, width)
            self.l3 = L.Linear(width, width)
            self.l4 = L.Linear(width, 2)

    def forward(self, x: Any) -> chainer.Variable:
        h = F.dropout(F.leaky_relu(self.l1(x), self.slope), self.dropout)
        h = F.dropout(F.leaky_relu(self.l2(h), self.slope), self.dropout)
        h = F.dropout(F.leaky_relu(self.l3(h), self.slope), self.dropout)
        return self.l4(h)


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        pixels = images[0].size
        self.device, self.dtype = use_device(device), chainer.get_dtype()
        self.batch, self.latent = system.run.batch, int(g["latent"])
        self.generator = Generator(self.latent, int(g["width"]), pixels, g["slope"])
        self.discriminator = Discriminator(pixels, int(d["width"]), d["slope"], d["dropout"])
        self.networks = {"G": self.generator, "D": self.discriminator}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.ones, self.zeros = (self.device.xp.full(self.batch, label, np.int32) for label in (1, 0))
        self.next_batch = Batches(system, images.reshape(len(images), pixels), None, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.latent)).astype(self.dtype)

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, then the generator's on the same noise."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z())
        real, fake = self.discriminator(x_real), self.discriminator(x_fake.array)
        loss_discriminator = F.softmax_cross_entropy(real, self.ones) + F.softmax_cross_entropy(fake, self.zeros)
        self.discriminator.cleargrads()
        loss_discriminator.backward()
        self.discriminator_optimizer.update()
        fooled = self.discriminator(x_fake)
        loss_generator = F.softmax_cross_entropy(fooled, self.ones)
        self.generator.cleargrads()
        loss_generator.backward()
        self.generator_optimizer.update()
        accuracy = (F.accuracy(real, self.ones) + F.accuracy(fake, self.zeros)) / 2
        return {
            "loss_D": float(loss_discriminator.array),
            "accuracy_D": float(accuracy.array),
            "loss_G": float(loss_generator.array),
            "accuracy_G": float(F.accuracy(fooled, self.ones).array),
        }
