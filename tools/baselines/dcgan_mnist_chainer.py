"""DCGAN on 32x32 digits in plain Chainer: a discriminator with dropout, and its step before the generator's.

Source: the discriminator of Keras, examples/mnist_acgan.py, the generator and the manner of Chainer-GAN-lib; Radford,
Metz, Chintala 2016, arXiv:1511.06434. Fakes for the discriminator are made with a graph and unchained; the
generator's step draws fresh noise, and lets `backward` fill the discriminator's gradients too, to be cleared.
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
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import Generator, leaky, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    d = system.networks["D"].constants
    numbers = (int(d[key]) for key in ("ch", "size", "channels", "outputs"))
    return Loop(system, images, device, Generator(**sizes(system, "G")), Discriminator(*numbers, d["rate"]))


class Convolutions(chainer.Chain):
    """Four convolutions, each with dropout; the first three halve the image."""

    def __init__(self, ch: int, channels: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        w = chainer.initializers.GlorotUniform()
        with self.init_scope():
            self.c1 = L.Convolution2D(channels, ch, 3, 2, 1, initialW=w)
            self.c2 = L.Convolution2D(ch, 2 * ch, 3, 2, 1, initialW=w)
            self.c3 = L.Convolution2D(2 * ch, 4 * ch, 3, 2, 1, initialW=w)
            self.c4 = L.Convolution2D(4 * ch, 8 * ch, 3, 1, 1, initialW=w)

    def features(self, x: Any) -> chainer.Variable:
        h = F.dropout(leaky(self.c1(x)), self.rate)
        h = F.dropout(leaky(self.c2(h)), self.rate)
        h = F.dropout(leaky(self.c3(h)), self.rate)
        return F.dropout(leaky(self.c4(h)), self.rate)


class Discriminator(Convolutions):
    def __init__(self, ch: int, size: int, channels: int, outputs: int, rate: float) -> None:
        super().__init__(ch, channels, rate)
        with self.init_scope():
            w = chainer.initializers.GlorotUniform()
            self.l5 = L.Linear(8 * ch * (size // 8) ** 2, outputs, initialW=w)

    def forward(self, x: Any) -> chainer.Variable:
        return self.l5(self.features(x))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z())
        x_fake.unchain_backward()
        loss_discriminator = F.mean(F.softplus(-self.discriminator(x_real)))
        loss_discriminator += F.mean(F.softplus(self.discriminator(x_fake)))
        update(self.discriminator_optimizer, loss_discriminator)
        loss_generator = F.mean(F.softplus(-self.discriminator(self.generator(self.draw_z()))))
        update(self.generator_optimizer, loss_generator)
        return {"loss_D": float(loss_discriminator.array), "loss_G": float(loss_generator.array)}
