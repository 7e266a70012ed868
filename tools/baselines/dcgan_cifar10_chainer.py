"""DCGAN on CIFAR-10 in plain Chainer: the generator, then the discriminator, on the same fakes.

Source: Chainer-GAN-lib, dcgan/updater.py, which the loop follows in all: the discriminator is evaluated on the fakes once,
and their graph is cut between the two updates. The minimax loss of the generator is that of Goodfellow et al. 2014,
arXiv:1406.2661, equation 1.
"""

from __future__ import annotations

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import Discriminator, Generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    loop = MinimaxLoop if system.loss.name == "minimax" else Loop
    return loop(system, images, device, Generator(**sizes(system, "G")), Discriminator(**sizes(system, "D")))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def generator_loss(self, y_fake: chainer.Variable) -> chainer.Variable:
        return F.mean(F.softplus(-y_fake))

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        y_real = self.discriminator(x_real)
        x_fake = self.generator(self.draw_z())
        y_fake = self.discriminator(x_fake)
        loss_discriminator = F.mean(F.softplus(-y_real)) + F.mean(F.softplus(y_fake))
        loss_generator = self.generator_loss(y_fake)
        update(self.generator_optimizer, loss_generator)
        x_fake.unchain_backward()
        update(self.discriminator_optimizer, loss_discriminator)
        return {"loss_D": float(loss_discriminator.array), "loss_G": float(loss_generator.array)}


class MinimaxLoop(Loop):
    """The same with the generator's minimax loss."""

    def generator_loss(self, y_fake: chainer.Variable) -> chainer.Variable:
        return -F.mean(F.softplus(y_fake))
