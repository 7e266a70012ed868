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

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_chainer import Batches, adam, use_device


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    loop = PaperLoop if system.loss.name == "began_paper" else Loop
    return loop(system, images, device)


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
        self.device = use_device(device)
        self.batch, self.code = system.run.batch, g["code"]
        self.dtype = chainer.get_dtype()
        self.generator, self.discriminator = Decoder(**g), Autoencoder(**d)
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start
        self.networks = {"G": self.generator, "D": self.discriminator}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.next_batch = Batches(system, images, None, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.code)).astype(self.dtype)

    def reconstruction_loss(self, v: Any) -> chainer.Variable:
        return F.mean(F.absolute(v - self.discriminator(v)))

    def train(self) -> tuple[float, float, float, float]:
        """Update the discriminator, then the generator on fresh noise.

        Returns: the discriminator's loss, its parts of real images and of fakes, the generator's loss.
        """
        (x_real,) = self.next_batch()
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
        return (
            float(loss_discriminator.array),
            float(loss_real.array),
            float(loss_fake.array),
            float(loss_generator.array),
        )

    def move_k(self, real: float, fake: float) -> float:
        """Returns: M."""
        self.k = min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
        return real + abs(self.gamma * real - fake)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        loss_discriminator, real, fake, loss_generator = self.train()
        m = self.move_k(real, fake)
        return {
            "loss_D": loss_discriminator,
            "L_real": real,
            "L_fake": fake,
            "M": m,
            "k": self.k,
            "loss_G": loss_generator,
        }


class PaperLoop(Loop):
    """The same with k from the generator's loss, as the paper has it."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        loss_discriminator, real, _, loss_generator = self.train()
        m = self.move_k(real, loss_generator)
        return {"loss_D": loss_discriminator, "L_real": real, "loss_G": loss_generator, "M": m, "k": self.k}
