"""Least squares GAN on CIFAR-10 in plain PyTorch: a discriminator step, then a generator step on fresh noise.

Source: Mao et al. 2017, arXiv:1611.04076, equation 9 with a = 0, b = c = 1, with the networks of Chainer-GAN-lib. Fakes for
the discriminator are made with a graph and detached; the generator's step lets `backward` fill the discriminator's
gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import make_critic, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, make_generator(**sizes(system, "G")), make_critic(**sizes(system, "D")))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z()).detach()
        loss_real, loss_fake = (self.discriminator(x_real) - 1) ** 2, self.discriminator(x_fake) ** 2
        loss_discriminator = (loss_real.mean() + loss_fake.mean()) / 2
        update(self.discriminator_optimizer, loss_discriminator)
        y_fake = self.discriminator(self.generator(self.draw_z()))
        loss_generator = ((y_fake - 1) ** 2).mean() / 2
        update(self.generator_optimizer, loss_generator)
        return {"loss_D": loss_discriminator.item(), "loss_G": loss_generator.item()}
