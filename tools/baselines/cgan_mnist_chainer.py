"""A conditional GAN on MNIST with loss-gated steps in plain Chainer.

Source: Autoencoders in Keras, part 5 (CGAN on MNIST, Keras and TensorFlow 1). As there, discriminator steps are
repeated until its loss is small enough, then generator steps until it is not, each on the next batch, and dropout
acts in every evaluation. The source holds images channels last, which orders the units of the dense layer otherwise;
it takes the first pass in order; and its RMSProp, TensorFlow's, starts its average at 1, where Chainer's starts at 0.
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
from ganspec.tools.baselines.loop_chainer import Batches, rmsprop, use_device

EPSILON = 1e-10


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Generator(chainer.Chain):
    def __init__(self, latent: int, labels: int, n: int, bottom: int, channels: int, rate: float) -> None:
        super().__init__()
        self.shape, self.rate = (2 * n, bottom, bottom), rate
        w = chainer.initializers.GlorotUniform()
        with self.init_scope():
            self.l1 = L.Linear(latent + labels, 2 * n * bottom**2, initialW=w)
            self.c1 = L.Convolution2D(2 * n, 2 * n, 5, 1, 2, initialW=w)
            self.c2 = L.Convolution2D(2 * n, n, 3, 1, 1, initialW=w)
            self.c3 = L.Convolution2D(n, channels, 5, 1, 2, initialW=w)

    def forward(self, z: Any, code: Any) -> chainer.Variable:
        h = F.dropout(F.relu(self.l1(F.concat([z, code]))), self.rate)
        h = F.unpooling_2d(F.reshape(h, (-1, *self.shape)), 2, 2, cover_all=False)
        h = F.dropout(F.relu(self.c1(h)), self.rate)
        h = F.dropout(F.relu(self.c2(h)), self.rate)
        return F.sigmoid(self.c3(F.unpooling_2d(h, 2, 2, cover_all=False)))


class Discriminator(chainer.Chain):
    def __init__(self, labels: int, n: int, bottom: int, channels: int, rate: float, slope: float) -> None:
        super().__init__()
        self.slope, self.rate = slope, rate
        w = chainer.initializers.GlorotUniform()
        with self.init_scope():
            self.c1 = L.Convolution2D(channels, n, 7, 2, 0, initialW=w)
            self.c2 = L.Convolution2D(n + labels, n, 3, 1, 1, initialW=w)
            self.l1 = L.Linear(n * bottom**2, 1, initialW=w)

    def forward(self, x: Any, code: Any) -> chainer.Variable:
        # TensorFlow's "same" padding of an even size at stride 2: two pixels before, three after.
        h = self.c1(F.pad(x, ((0, 0), (0, 0), (2, 3), (2, 3)), "constant"))
        planes = F.broadcast_to(code[:, :, None, None], (*code.shape, *h.shape[2:]))
        h = F.dropout(F.leaky_relu(F.concat([h, planes]), self.slope), self.rate)
        h = F.dropout(F.leaky_relu(self.c2(F.max_pooling_2d(h, 2, 2)), self.slope), self.rate)
        return F.sigmoid(self.l1(h))


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        self.latent, count, bottom, channels = (int(g[key]) for key in ("latent", "labels", "bottom", "channels"))
        self.device, self.dtype, self.batch = use_device(device), chainer.get_dtype(), system.run.batch
        self.codes = self.device.xp.eye(count, dtype=self.dtype)
        self.generator = Generator(self.latent, count, int(g["n"]), bottom, channels, g["rate"])
        self.discriminator = Discriminator(count, int(d["n"]), bottom, channels, d["rate"], d["slope"])
        self.networks = {"G": self.generator, "D": self.discriminator}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = rmsprop(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = rmsprop(self.discriminator, system.optimizers["D"])
        constants = system.schedule.constants
        self.max_steps = int(constants["max_steps"])
        self.good_enough, self.too_good = constants["good_enough"], constants["too_good"]
        self.next_batch = Batches(system, images, labels, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.standard_normal((self.batch, self.latent)).astype(self.dtype)

    def losses(self, train: chainer.Chain) -> tuple[chainer.Variable, chainer.Variable]:
        """Returns: the losses of both networks on the next batch, with a graph for one of them."""
        x_real, y = self.next_batch()
        code = self.codes[y]
        with chainer.using_config("enable_backprop", train is self.generator):
            x_fake = self.generator(self.draw_z(), code)
        loss_fake = -F.mean(F.log(1 - self.discriminator(x_fake, code) + EPSILON))
        with chainer.using_config("enable_backprop", train is self.discriminator):
            loss_real = -F.mean(F.log(self.discriminator(x_real, code) + EPSILON))
        return (loss_fake + loss_real) / 2, -loss_fake

    def __call__(self) -> dict[str, float]:
        """Train one iteration: discriminator steps until it is good enough, then generator steps until it is not."""
        for _ in range(self.max_steps):
            loss_discriminator, _ = self.losses(self.discriminator)
            self.discriminator.cleargrads()
            loss_discriminator.backward()
            self.discriminator_optimizer.update()
            if float(loss_discriminator.array) < self.good_enough:
                break
        for _ in range(self.max_steps):
            opponent, loss_generator = self.losses(self.generator)
            self.generator.cleargrads()
            loss_generator.backward()
            self.generator_optimizer.update()
            if float(opponent.array) > self.too_good:
                break
        numbers = {"loss_D": loss_discriminator, "L_D": opponent, "loss_G": loss_generator}
        return {key: float(value.array) for key, value in numbers.items()}
