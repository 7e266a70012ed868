"""WGAN-GP with residual networks on CIFAR-10 in plain Chainer.

Source: Chainer-GAN-lib, common/net.py: ResnetGenerator, ResnetDiscriminator; the loop, and what differs there, is
wgan_gp_cifar10's. The discriminator's blocks are chains there.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer.initializers import LeCunNormal, Normal

from ganspec.spec.system import System
from ganspec.tools.baselines import wgan_gp_cifar10_chainer
from ganspec.tools.baselines.cifar10_networks_chainer import batch_norm, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, Generator(**sizes(system, "G")), Critic(**sizes(system, "D")))


class Loop(wgan_gp_cifar10_chainer.Loop):
    """Networks, optimisers and data of one training run."""

    def draw_z(self) -> Any:
        return self.device.xp.random.normal(0, 1, (self.batch, self.latent)).astype(self.dtype)


def double(h: Any) -> chainer.Variable:
    return F.unpooling_2d(h, 2, 2, cover_all=False)


class UpBlock(chainer.Chain):
    """Residual block that doubles the image."""

    def __init__(self, width: int, wscale: float) -> None:
        super().__init__()
        w = Normal(wscale)
        with self.init_scope():
            self.bn0, self.c0 = batch_norm(width), L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.bn1, self.c1 = batch_norm(width), L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.cs = L.Convolution2D(width, width, 3, 1, 1, initialW=w)

    def forward(self, x: Any) -> chainer.Variable:
        h = self.c0(double(F.relu(self.bn0(x))))
        h = self.c1(F.relu(self.bn1(h)))
        return h + self.cs(double(x))


class Generator(chainer.Chain):
    def __init__(self, latent: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        self.shape = (latent, bottom, bottom)
        with self.init_scope():
            self.l0 = L.Linear(latent, latent * bottom**2, initialW=LeCunNormal())
            self.r0, self.r1, self.r2 = UpBlock(latent, wscale), UpBlock(latent, wscale), UpBlock(latent, wscale)
            self.bn2, self.c3 = batch_norm(latent), L.Convolution2D(latent, channels, 3, 1, 1, initialW=Normal(wscale))

    def forward(self, z: Any) -> chainer.Variable:
        h = F.reshape(F.relu(self.l0(z)), (-1, *self.shape))
        h = self.r2(self.r1(self.r0(h)))
        return F.tanh(self.c3(self.bn2(F.relu(h))))


class Critic(chainer.Chain):
    def __init__(self, width: int, bottom: int, channels: int, outputs: int, wscale: float) -> None:
        super().__init__()
        w = Normal(wscale)
        with self.init_scope():
            self.r0_c0 = L.Convolution2D(channels, width, 3, 1, 1, initialW=w)
            self.r0_c1 = L.Convolution2D(width, width, 4, 2, 1, initialW=w)
            self.r0_cs = L.Convolution2D(channels, width, 4, 2, 1, initialW=w)
            self.r1_c0 = L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.r1_c1 = L.Convolution2D(width, width, 4, 2, 1, initialW=w)
            self.r1_cs = L.Convolution2D(width, width, 4, 2, 1, initialW=w)
            self.r2_c0 = L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.r2_c1 = L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.r3_c0 = L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.r3_c1 = L.Convolution2D(width, width, 3, 1, 1, initialW=w)
            self.l4 = L.Linear(width * bottom**2, outputs, initialW=w)

    def forward(self, x: Any) -> chainer.Variable:
        h = self.r0_c1(F.relu(self.r0_c0(x))) + self.r0_cs(x)
        h = self.r1_c1(F.relu(self.r1_c0(F.relu(h)))) + self.r1_cs(h)
        h = self.r2_c1(F.relu(self.r2_c0(F.relu(h)))) + h
        h = self.r3_c1(F.relu(self.r3_c0(F.relu(h)))) + h
        return self.l4(F.relu(h))
