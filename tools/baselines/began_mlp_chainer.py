"""BEGAN with MLPs in plain Chainer.

Source: Berthelot, Schumm, Metz 2017, arXiv:1703.10717, with the batch norms of
tensorflow-generative-model-collections (hwalsuklee), BEGAN.py, whose convolutions are linear layers here. Fakes for
the discriminator are made with a graph and unchained; k moves with the values of the discriminator's step, where the
paper has those of one evaluation for both networks; the generator's step takes fresh noise, and lets `backward` fill
the discriminator's gradients too, to be cleared.
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
    def __init__(self, latent: int, width: int, pixels: int, start: float) -> None:
        super().__init__()
        w = chainer.initializers.GlorotUniform()
        with self.init_scope():
            self.l1, self.bn1 = L.Linear(latent, width, initialW=w), L.BatchNormalization(width, eps=1e-5)
            self.l2, self.bn2 = L.Linear(width, width, initialW=w), L.BatchNormalization(width, eps=1e-5)
            self.l3 = L.Linear(width, pixels, initialW=w, initial_bias=start)

    def forward(self, z: Any) -> chainer.Variable:
        h = F.relu(self.bn1(self.l1(z)))
        return F.sigmoid(self.l3(F.relu(self.bn2(self.l2(h)))))


class Autoencoder(chainer.Chain):
    def __init__(self, code: int, width: int, pixels: int, start: float) -> None:
        super().__init__()
        w = chainer.initializers.GlorotUniform()
        with self.init_scope():
            self.l1 = L.Linear(pixels, width, initialW=w)
            self.code, self.bn1 = L.Linear(width, code, initialW=w), L.BatchNormalization(code, eps=1e-5)
            self.l2, self.bn2 = L.Linear(code, width, initialW=w), L.BatchNormalization(width, eps=1e-5)
            self.l3 = L.Linear(width, pixels, initialW=w, initial_bias=start)

    def forward(self, x: Any) -> chainer.Variable:
        h = F.relu(self.bn1(self.code(F.relu(self.l1(x)))))
        return F.sigmoid(self.l3(F.relu(self.bn2(self.l2(h)))))


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        pixels = images[0].size
        self.device, self.dtype = use_device(device), chainer.get_dtype()
        self.batch, self.latent = system.run.batch, int(g["latent"])
        self.generator = Generator(self.latent, int(g["width"]), pixels, g["start"])
        self.discriminator = Autoencoder(int(d["code"]), int(d["width"]), pixels, d["start"])
        self.networks = {"G": self.generator, "D": self.discriminator}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start
        self.next_batch = Batches(system, images.reshape(len(images), pixels), None, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.latent)).astype(self.dtype)

    def reconstruction_loss(self, v: Any) -> chainer.Variable:
        return F.mean_absolute_error(self.discriminator(v), v)

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, k, then the generator's step on fresh noise."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z())
        x_fake.unchain_backward()
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
