"""DCGAN with spectral norm on CIFAR-10 in plain Chainer: the generator, then discriminator steps on new images and noise.

Source: Chainer-GAN-lib, stdgan/updater.py, which the loop follows in all; Miyato et al. 2018, arXiv:1802.05957. Fakes for
the discriminator are made with a graph and unchained; the generator's step lets `backward` fill the discriminator's
gradients too, to be cleared.
"""

from __future__ import annotations

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import Generator, SNDiscriminator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        networks = Generator(**sizes(system, "G")), SNDiscriminator(**sizes(system, "D"))
        super().__init__(system, images, device, *networks)
        self.discriminator_steps = system.schedule.steps[1].repeat

    def discriminator_loss(self, y_real: chainer.Variable, y_fake: chainer.Variable) -> chainer.Variable:
        return F.mean(F.softplus(-y_real)) + F.mean(F.softplus(y_fake))

    def generator_loss(self, y_fake: chainer.Variable) -> chainer.Variable:
        return F.mean(F.softplus(-y_fake))

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        loss_generator = self.generator_loss(self.discriminator(self.generator(self.draw_z())))
        update(self.generator_optimizer, loss_generator)
        for _ in range(self.discriminator_steps):
            (x_real,) = self.next_batch()
            y_real = self.discriminator(x_real)
            x_fake = self.generator(self.draw_z())
            y_fake = self.discriminator(x_fake)
            x_fake.unchain_backward()
            loss_discriminator = self.discriminator_loss(y_real, y_fake)
            update(self.discriminator_optimizer, loss_discriminator)
        return {"loss_G": float(loss_generator.array), "loss_D": float(loss_discriminator.array)}
