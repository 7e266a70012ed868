"""A conditional GAN with MLPs in plain Chainer.

Source: Mirza and Osindero 2014, arXiv:1411.1784, equation 2, with the networks of `cwgan_gp_chainer`, and softplus of
logits as Chainer-GAN-lib writes losses. It differs from the paper in the networks, and in that fakes have the labels
of the real batch. Fakes for the discriminator are made with a graph and unchained; the generator's step lets
`backward` fill the discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cwgan_gp_chainer import make_networks
from ganspec.tools.baselines.loop_chainer import Batches, adam, use_device


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        pixels = images[0].size
        self.device, self.dtype = use_device(device), chainer.get_dtype()
        self.batch, self.latent = system.run.batch, int(system.networks["G"].constants["latent"])
        self.generator, self.discriminator = make_networks(system, pixels)
        self.networks = {"G": self.generator, "D": self.discriminator}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.next_batch = Batches(system, images.reshape(len(images), pixels), labels, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.latent)).astype(self.dtype)

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, then the generator's on fresh noise."""
        x_real, y = self.next_batch()
        x_fake = self.generator(self.draw_z(), y)
        x_fake.unchain_backward()
        loss_real = F.mean(F.softplus(-self.discriminator(x_real, y)))
        loss_discriminator = loss_real + F.mean(F.softplus(self.discriminator(x_fake, y)))
        self.discriminator.cleargrads()
        loss_discriminator.backward()
        self.discriminator_optimizer.update()
        loss_generator = -F.mean(F.softplus(self.discriminator(self.generator(self.draw_z(), y), y)))
        self.generator.cleargrads()
        loss_generator.backward()
        self.generator_optimizer.update()
        return {"loss_D": float(loss_discriminator.array), "loss_G": float(loss_generator.array)}
