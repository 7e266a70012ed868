"""The DCGAN networks of Chainer-GAN-lib for CIFAR-10, in plain Chainer.

Source: Chainer-GAN-lib (pfnet-research/chainer-gan-lib), common/net.py and common/sn; ac_wgan_gp's generator is the one of
the blog on it. As there, spectral norm is links of its own, not the hook that later Chainers have.
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

SLOPE = 0.2
EPSILON = 1e-12  # of the power iteration


def sizes(system: System, name: str) -> dict[str, int | float]:
    """Returns: the numbers of a network, by the names of its class's arguments."""
    return {key: v if key == "wscale" else int(v) for key, v in system.networks[name].constants.items()}


def batch_norm(size: int, use_gamma: bool = True) -> chainer.Link:
    return L.BatchNormalization(size, decay=0.9, eps=2e-5, use_gamma=use_gamma)


def leaky(h: Any) -> chainer.Variable:
    return F.leaky_relu(h, SLOPE)


class PlainGenerator(chainer.Chain):
    """The generator without batch norm."""

    def __init__(self, latent: int, ch: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        self.shape = (ch, bottom, bottom)
        w = Normal(wscale)
        with self.init_scope():
            self.l0 = L.Linear(latent, ch * bottom**2, initialW=w)
            self.dc1 = L.Deconvolution2D(ch, ch // 2, 4, 2, 1, initialW=w)
            self.dc2 = L.Deconvolution2D(ch // 2, ch // 4, 4, 2, 1, initialW=w)
            self.dc3 = L.Deconvolution2D(ch // 4, ch // 8, 4, 2, 1, initialW=w)
            self.dc4 = L.Deconvolution2D(ch // 8, channels, 3, 1, 1, initialW=w)

    def forward(self, z: Any) -> chainer.Variable:
        h = F.reshape(F.relu(self.l0(z)), (-1, *self.shape))
        h = F.relu(self.dc2(F.relu(self.dc1(h))))
        return F.tanh(self.dc4(F.relu(self.dc3(h))))


class Generator(PlainGenerator):
    def __init__(self, latent: int, ch: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__(latent, ch, bottom, channels, wscale)
        with self.init_scope():
            self.bn0, self.bn1 = batch_norm(ch * bottom**2), batch_norm(ch // 2)
            self.bn2, self.bn3 = batch_norm(ch // 4), batch_norm(ch // 8)

    def forward(self, z: Any) -> chainer.Variable:
        h = F.reshape(F.relu(self.bn0(self.l0(z))), (-1, *self.shape))
        h = F.relu(self.bn1(self.dc1(h)))
        h = F.relu(self.bn2(self.dc2(h)))
        h = F.relu(self.bn3(self.dc3(h)))
        return F.tanh(self.dc4(h))


class ConditionalGenerator(chainer.Chain):
    """The label stands beside the latent: +1 at its place and -1 at the others."""

    def __init__(self, latent: int, labels: int, ch: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        self.labels, self.shape = labels, (ch, bottom, bottom)
        w = Normal(wscale)
        with self.init_scope():
            self.l0 = L.Linear(latent + labels, ch * bottom**2, initialW=w)
            self.dc1, self.bn1 = L.Deconvolution2D(ch, ch // 2, 4, 2, 1, initialW=w), batch_norm(ch // 2)
            self.dc2, self.bn2 = L.Deconvolution2D(ch // 2, ch // 4, 4, 2, 1, initialW=w), batch_norm(ch // 4)
            self.dc3, self.bn3 = L.Deconvolution2D(ch // 4, ch // 8, 4, 2, 1, initialW=w), batch_norm(ch // 8)
            self.dc4 = L.Deconvolution2D(ch // 8, channels, 3, 1, 1, initialW=w)

    def forward(self, z: Any, y: Any) -> chainer.Variable:
        code = 2 * self.xp.eye(self.labels, dtype=z.dtype)[y] - 1
        h = F.reshape(leaky(self.l0(F.concat([z, code], axis=1))), (-1, *self.shape))
        h = leaky(self.bn1(self.dc1(h)))
        h = leaky(self.bn2(self.dc2(h)))
        h = leaky(self.bn3(self.dc3(h)))
        return F.tanh(self.dc4(h))


class Critic(chainer.Chain):
    def __init__(self, ch: int, bottom: int, channels: int, outputs: int, wscale: float) -> None:
        super().__init__()
        w = Normal(wscale)
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
        h = leaky(self.c1(leaky(self.c0(x))))
        h = leaky(self.c2(leaky(self.c1_0(h))))
        h = leaky(self.c3(leaky(self.c2_0(h))))
        return self.l4(leaky(self.c3_0(h)))


class Features(chainer.Chain):
    """Seven convolutions with batch norm, without gamma, after all but the first."""

    def __init__(self, ch: int, channels: int, wscale: float, last_batch_norm: bool = True) -> None:
        super().__init__()
        w, no = Normal(wscale), False
        with self.init_scope():
            self.c0_0 = L.Convolution2D(channels, ch // 8, 3, 1, 1, initialW=w)
            self.c0_1, self.bn0_1 = L.Convolution2D(ch // 8, ch // 4, 4, 2, 1, initialW=w), batch_norm(ch // 4, no)
            self.c1_0, self.bn1_0 = L.Convolution2D(ch // 4, ch // 4, 3, 1, 1, initialW=w), batch_norm(ch // 4, no)
            self.c1_1, self.bn1_1 = L.Convolution2D(ch // 4, ch // 2, 4, 2, 1, initialW=w), batch_norm(ch // 2, no)
            self.c2_0, self.bn2_0 = L.Convolution2D(ch // 2, ch // 2, 3, 1, 1, initialW=w), batch_norm(ch // 2, no)
            self.c2_1, self.bn2_1 = L.Convolution2D(ch // 2, ch, 4, 2, 1, initialW=w), batch_norm(ch, no)
            self.c3_0 = L.Convolution2D(ch, ch, 3, 1, 1, initialW=w)
            if last_batch_norm:
                self.bn3_0 = batch_norm(ch, no)

    def features(self, x: Any) -> chainer.Variable:
        h = leaky(self.bn0_1(self.c0_1(leaky(self.c0_0(x)))))
        h = leaky(self.bn1_1(self.c1_1(leaky(self.bn1_0(self.c1_0(h))))))
        h = leaky(self.bn2_1(self.c2_1(leaky(self.bn2_0(self.c2_0(h))))))
        h = self.c3_0(h)
        return leaky(self.bn3_0(h) if hasattr(self, "bn3_0") else h)


class Discriminator(Features):
    def __init__(self, ch: int, bottom: int, channels: int, outputs: int, wscale: float) -> None:
        super().__init__(ch, channels, wscale)
        with self.init_scope():
            self.l4 = L.Linear(ch * bottom**2, outputs, initialW=Normal(wscale))

    def forward(self, x: Any) -> chainer.Variable:
        return self.l4(self.features(x))


class SNConvolution2D(L.Convolution2D):
    """Convolution by a weight that is divided by an estimate of its largest singular value."""

    def __init__(self, in_channels: int, out_channels: int, ksize: int, stride: int, pad: int, initialW: Any) -> None:
        super().__init__(in_channels, out_channels, ksize, stride, pad, initialW=initialW)
        self.add_persistent("u", np.random.normal(size=out_channels).astype(chainer.get_dtype()))

    def forward(self, x: Any) -> chainer.Variable:
        return F.convolution_2d(x, normalised_weight(self), self.b, self.stride, self.pad)


class SNLinear(L.Linear):
    """Linear layer by a weight that is divided by an estimate of its largest singular value."""

    def __init__(self, in_size: int, out_size: int, initialW: Any) -> None:
        super().__init__(in_size, out_size, initialW=initialW)
        self.add_persistent("u", np.random.normal(size=out_size).astype(chainer.get_dtype()))

    def forward(self, x: Any) -> chainer.Variable:
        return F.linear(x, normalised_weight(self), self.b, n_batch_axes=1)


def normalised_weight(link: Any) -> chainer.Variable:
    """Make one power iteration; its vectors count as constants. Returns: the link's weight over the singular value."""
    matrix = F.reshape(link.W, (len(link.W), -1))
    v = unit(link.u @ matrix.array)
    link.u = unit(matrix.array @ v)
    sigma = F.matmul(F.matmul(link.u, matrix), v)
    return link.W / F.broadcast_to(sigma, link.W.shape)


def unit(v: Any) -> Any:
    return v / ((v * v).sum() ** 0.5 + EPSILON)


class SNDiscriminator(chainer.Chain):
    def __init__(self, ch: int, bottom: int, channels: int, outputs: int, wscale: float) -> None:
        super().__init__()
        w = Normal(wscale)
        with self.init_scope():
            self.c0_0 = SNConvolution2D(channels, ch // 8, 3, 1, 1, w)
            self.c0_1 = SNConvolution2D(ch // 8, ch // 4, 4, 2, 1, w)
            self.c1_0 = SNConvolution2D(ch // 4, ch // 4, 3, 1, 1, w)
            self.c1_1 = SNConvolution2D(ch // 4, ch // 2, 4, 2, 1, w)
            self.c2_0 = SNConvolution2D(ch // 2, ch // 2, 3, 1, 1, w)
            self.c2_1 = SNConvolution2D(ch // 2, ch, 4, 2, 1, w)
            self.c3_0 = SNConvolution2D(ch, ch, 3, 1, 1, w)
            self.l4 = SNLinear(ch * bottom**2, outputs, w)

    def forward(self, x: Any) -> chainer.Variable:
        h = leaky(self.c0_1(leaky(self.c0_0(x))))
        h = leaky(self.c1_1(leaky(self.c1_0(h))))
        h = leaky(self.c2_1(leaky(self.c2_0(h))))
        return self.l4(leaky(self.c3_0(h)))
