"""Generators and critic of Chainer-GAN-lib, common/net.py, in plain Chainer."""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L


class Generator(chainer.Chain):
    """DCGANGenerator; `batch_norm` is its `use_bn`."""

    def __init__(
        self, latent: int, ch: int, bottom: int, channels: int, wscale: float, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.shape, self.batch_norm = (ch, bottom, bottom), batch_norm
        w = chainer.initializers.Normal(wscale)
        with self.init_scope():
            self.l0 = L.Linear(latent, ch * bottom**2, initialW=w)
            self.dc1 = L.Deconvolution2D(ch, ch // 2, 4, 2, 1, initialW=w)
            self.dc2 = L.Deconvolution2D(ch // 2, ch // 4, 4, 2, 1, initialW=w)
            self.dc3 = L.Deconvolution2D(ch // 4, ch // 8, 4, 2, 1, initialW=w)
            self.dc4 = L.Deconvolution2D(ch // 8, channels, 3, 1, 1, initialW=w)
            if batch_norm:
                self.bn0 = L.BatchNormalization(ch * bottom**2)
                self.bn1 = L.BatchNormalization(ch // 2)
                self.bn2 = L.BatchNormalization(ch // 4)
                self.bn3 = L.BatchNormalization(ch // 8)

    def forward(self, z: Any) -> chainer.Variable:
        if not self.batch_norm:
            h = F.reshape(F.relu(self.l0(z)), (-1, *self.shape))
            h = F.relu(self.dc3(F.relu(self.dc2(F.relu(self.dc1(h))))))
            return F.tanh(self.dc4(h))
        h = F.reshape(F.relu(self.bn0(self.l0(z))), (-1, *self.shape))
        h = F.relu(self.bn1(self.dc1(h)))
        h = F.relu(self.bn2(self.dc2(h)))
        h = F.relu(self.bn3(self.dc3(h)))
        return F.tanh(self.dc4(h))


class Critic(chainer.Chain):
    """WGANDiscriminator."""

    def __init__(self, ch: int, bottom: int, channels: int, wscale: float, outputs: int = 1) -> None:
        super().__init__()
        w = chainer.initializers.Normal(wscale)
        with self.init_scope():
            self.c0 = L.Convolution2D(channels, ch // 8, 3, 1, 1, initialW=w)
            self.c1 = L.Convolution2D(ch // 8, ch // 4, 4, 2, 1, initialW=w)
            self.c1_0 = L.Convolution2D(ch // 4, ch // 4, 3, 1, 1, initialW=w)
            self.c2 = L.Convolution2D(ch // 4, ch // 2, 4, 2, 1, initialW=w)
            self.c2_0 = L.Convolution2D(ch // 2, ch // 2, 3, 1, 1, initialW=w)
            self.c3 = L.Convolution2D(ch // 2, ch, 4, 2, 1, initialW=w)
            self.c3_0 = L.Convolution2D(ch, ch, 3, 1, 1, initialW=w)
            self.l4 = L.Linear(ch * bottom**2, outputs, initialW=w)

    def forward(self, x: Any) -> chainer.Variable:
        h = F.leaky_relu(self.c0(x))
        h = F.leaky_relu(self.c1_0(F.leaky_relu(self.c1(h))))
        h = F.leaky_relu(self.c2_0(F.leaky_relu(self.c2(h))))
        h = F.leaky_relu(self.c3_0(F.leaky_relu(self.c3(h))))
        return self.l4(h)
