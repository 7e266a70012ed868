"""BEGAN in plain Chainer, with the networks of keras_BEGAN.

Source: keras_BEGAN and Berthelot, Schumm, Metz 2017, arXiv:1703.10717. Fakes for the discriminator are made without a
graph, as Keras predicts; the generator's step lets `backward` fill the discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer.dataset import concat_examples

from ganspec.spec.system import System
from ganspec.spec.training.options import device_number


def make(system: System, images: np.ndarray, device: str = "cpu") -> Loop:
    """Returns: the loop. Args: images: uint8, (n, channels, height, width)."""
    return Loop(system, images, device)


class Encoder(chainer.Chain):
    def __init__(self, n: int, channels: int, size: int, code: int) -> None:
        super().__init__()
        with self.init_scope():
            self.c1, self.c2 = L.Convolution2D(channels, n, 3, 1, 1), L.Convolution2D(n, n, 3, 2, 1)
            self.c3, self.c4 = L.Convolution2D(n, 2 * n, 3, 1, 1), L.Convolution2D(2 * n, 2 * n, 3, 2, 1)
            self.c5, self.c6 = L.Convolution2D(2 * n, 3 * n, 3, 1, 1), L.Convolution2D(3 * n, 3 * n, 3, 2, 1)
            self.c7, self.c8 = L.Convolution2D(3 * n, 4 * n, 3, 1, 1), L.Convolution2D(4 * n, 4 * n, 3, 1, 1)
            self.code = L.Linear(4 * n * (size // 8) ** 2, code)

    def forward(self, x: Any) -> chainer.Variable:
        h = F.elu(self.c2(F.elu(self.c1(x))))
        h = F.elu(self.c4(F.elu(self.c3(h))))
        h = F.elu(self.c6(F.elu(self.c5(h))))
        h = F.elu(self.c8(F.elu(self.c7(h))))
        return self.code(h)


class Decoder(chainer.Chain):
    def __init__(self, n: int, channels: int, size: int, code: int) -> None:
        super().__init__()
        self.shape = (n, size // 8, size // 8)
        with self.init_scope():
            self.l1 = L.Linear(code, n * (size // 8) ** 2)
            self.c1, self.c2 = L.Convolution2D(n, n, 3, 1, 1), L.Convolution2D(n, n, 3, 1, 1)
            self.c3, self.c4 = L.Convolution2D(n, n, 3, 1, 1), L.Convolution2D(n, n, 3, 1, 1)
            self.c5, self.c6 = L.Convolution2D(n, n, 3, 1, 1), L.Convolution2D(n, n, 3, 1, 1)
            self.c7, self.c8 = L.Convolution2D(n, n, 3, 1, 1), L.Convolution2D(n, n, 3, 1, 1)
            self.c9 = L.Convolution2D(n, channels, 3, 1, 1)

    def forward(self, z: Any) -> chainer.Variable:
        h = F.reshape(self.l1(z), (-1, *self.shape))
        h = upsample(F.elu(self.c2(F.elu(self.c1(h)))))
        h = upsample(F.elu(self.c4(F.elu(self.c3(h)))))
        h = upsample(F.elu(self.c6(F.elu(self.c5(h)))))
        h = F.elu(self.c8(F.elu(self.c7(h))))
        return self.c9(h)


def upsample(h: chainer.Variable) -> chainer.Variable:
    return F.unpooling_2d(h, 2, 2, cover_all=False)


class Autoencoder(chainer.Chain):
    def __init__(self, n: int, channels: int, size: int, code: int) -> None:
        super().__init__()
        with self.init_scope():
            self.encoder, self.decoder = Encoder(n, channels, size, code), Decoder(n, channels, size, code)

    def forward(self, x: Any) -> chainer.Variable:
        return self.decoder(self.encoder(x))


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = ({key: int(v) for key, v in system.networks[name].constants.items()} for name in ("G", "D"))
        self.device = chainer.get_device("@numpy" if device == "cpu" else f"@cupy:{device_number(device) or 0}")
        self.device.use()
        self.batch, self.code = system.run.batch, g["code"]
        self.dtype = chainer.get_dtype()
        self.generator, self.discriminator = Decoder(**g), Autoencoder(**d)
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start
        self.generator_optimizer, self.discriminator_optimizer = (
            chainer.optimizers.Adam(alpha=a.learning_rate, beta1=a.beta1, beta2=a.beta2, eps=a.epsilon)
            for a in (system.optimizers["G"], system.optimizers["D"])
        )
        self.generator.to_device(self.device)
        self.discriminator.to_device(self.device)
        self.generator_optimizer.setup(self.generator)
        self.discriminator_optimizer.setup(self.discriminator)
        low, high = system.data.range
        x = images.astype(self.dtype) / 255 * (high - low) + low
        self.batches = chainer.iterators.SerialIterator(x.astype(self.dtype), self.batch, shuffle=True)

    def next_x(self) -> Any:
        return concat_examples(self.batches.next(), self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.code)).astype(self.dtype)

    def reconstruction_loss(self, v: Any) -> chainer.Variable:
        return F.mean(F.absolute(v - self.discriminator(v)))

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, k, then the generator's step on fresh noise."""
        x_real = self.next_x()
        with chainer.no_backprop_mode():
            x_fake = self.generator(self.draw_z()).array
        loss_real, loss_fake = self.reconstruction_loss(x_real), self.reconstruction_loss(x_fake)
        loss_discriminator = loss_real - self.k * loss_fake
        self.discriminator.cleargrads()
        loss_discriminator.backward()
        self.discriminator_optimizer.update()
        loss_generator = self.reconstruction_loss(self.generator(self.draw_z()))
        self.generator.cleargrads()
        loss_generator.backward()
        self.generator_optimizer.update()
        real, fake = float(loss_real.array), float(loss_fake.array)
        self.k = min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
        return {
            "loss_D": float(loss_discriminator.array),
            "L_real": real,
            "L_fake": fake,
            "M": real + abs(self.gamma * real - fake),
            "k": self.k,
            "loss_G": float(loss_generator.array),
        }
