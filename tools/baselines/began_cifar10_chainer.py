"""BEGAN on CIFAR-10 in plain Chainer: both networks move with one evaluation of each.

Source: Chainer-GAN-lib, began/net.py and began/updater.py; Berthelot, Schumm, Metz 2017, arXiv:1703.10717. As there,
the discriminator is evaluated on the fakes once, and their graph is cut between the two updates. It differs from the
source in that k is a number of Python, not of the device.
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
from ganspec.tools.baselines.cifar10_networks_chainer import PlainGenerator, leaky, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Autoencoder(chainer.Chain):
    def __init__(self, ch: int, bottom: int, channels: int, code: int, wscale: float) -> None:
        super().__init__()
        self.shape = (ch, bottom, bottom)
        w = chainer.initializers.Normal(wscale)
        with self.init_scope():
            self.c0 = L.Convolution2D(channels, ch // 8, 3, 1, 1, initialW=w)
            self.c1 = L.Convolution2D(ch // 8, ch // 4, 4, 2, 1, initialW=w)
            self.c2 = L.Convolution2D(ch // 4, ch // 2, 4, 2, 1, initialW=w)
            self.c3 = L.Convolution2D(ch // 2, ch, 4, 2, 1, initialW=w)
            self.l4 = L.Linear(ch * bottom**2, code, initialW=w)
            self.l5 = L.Linear(code, ch * bottom**2, initialW=w)
            self.dc3 = L.Deconvolution2D(ch, ch // 2, 4, 2, 1, initialW=w)
            self.dc2 = L.Deconvolution2D(ch // 2, ch // 4, 4, 2, 1, initialW=w)
            self.dc1 = L.Deconvolution2D(ch // 4, ch // 8, 4, 2, 1, initialW=w)
            self.dc0 = L.Deconvolution2D(ch // 8, channels, 3, 1, 1, initialW=w)

    def forward(self, x: Any) -> chainer.Variable:
        h = leaky(self.c1(leaky(self.c0(x))))
        h = leaky(self.c3(leaky(self.c2(h))))
        h = leaky(self.l5(leaky(self.l4(h))))
        h = leaky(self.dc3(F.reshape(h, (-1, *self.shape))))
        h = leaky(self.dc1(leaky(self.dc2(h))))
        return F.tanh(self.dc0(h))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        generator, discriminator = PlainGenerator(**sizes(system, "G")), Autoencoder(**sizes(system, "D"))
        super().__init__(system, images, device, generator, discriminator)
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start

    def reconstruction_loss(self, v: Any) -> chainer.Variable:
        return F.mean_absolute_error(self.discriminator(v), v)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        loss_real = self.reconstruction_loss(x_real)
        x_fake = self.generator(self.draw_z())
        loss_fake = self.reconstruction_loss(x_fake)
        loss_discriminator = loss_real - self.k * loss_fake
        real, fake = float(loss_real.array), float(loss_fake.array)
        self.k = min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
        update(self.generator_optimizer, loss_fake)
        x_fake.unchain_backward()
        update(self.discriminator_optimizer, loss_discriminator)
        return {
            "loss_D": float(loss_discriminator.array),
            "loss_G": fake,
            "L_real": real,
            "L_fake": fake,
            "M": real + abs(self.gamma * real - fake),
            "k": self.k,
        }
