"""Least squares GAN on CIFAR-10 in plain Chainer: a discriminator step, then a generator step on fresh noise.

Source: Mao et al. 2017, arXiv:1611.04076, equation 9 with a = 0, b = c = 1, with the networks of Chainer-GAN-lib. As there,
fakes for the discriminator are made with a graph and unchained; the generator's step lets `backward` fill the
discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import Critic, Generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, Generator(**sizes(system, "G")), Critic(**sizes(system, "D")))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z())
        x_fake.unchain_backward()
        y_real, y_fake = self.discriminator(x_real), self.discriminator(x_fake)
        loss_discriminator = (F.mean(F.square(y_real - 1)) + F.mean(F.square(y_fake))) / 2
        update(self.discriminator_optimizer, loss_discriminator)
        y_fake = self.discriminator(self.generator(self.draw_z()))
        loss_generator = F.mean(F.square(y_fake - 1)) / 2
        update(self.generator_optimizer, loss_generator)
        return {"loss_D": float(loss_discriminator.array), "loss_G": float(loss_generator.array)}
