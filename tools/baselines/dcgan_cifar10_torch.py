"""DCGAN on CIFAR-10 in plain PyTorch: the generator, then the discriminator, on the same fakes.

Source: Chainer-GAN-lib, dcgan/updater.py. It evaluates the discriminator on the fakes once, and cuts their graph between
the two updates; as in PyTorch's own example of a DCGAN, here the discriminator is evaluated again on the detached fakes.
The minimax loss of the generator is that of Goodfellow et al. 2014, arXiv:1406.2661, equation 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import softplus

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import make_discriminator, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    loop = MinimaxLoop if system.loss.name == "minimax" else Loop
    return loop(system, images, device, make_generator(**sizes(system, "G")), make_discriminator(**sizes(system, "D")))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def generator_loss(self, y_fake: torch.Tensor) -> torch.Tensor:
        return softplus(-y_fake).mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z())
        loss_generator = self.generator_loss(self.discriminator(x_fake))
        update(self.generator_optimizer, loss_generator)
        y_real, y_fake = self.discriminator(x_real), self.discriminator(x_fake.detach())
        loss_discriminator = softplus(-y_real).mean() + softplus(y_fake).mean()
        update(self.discriminator_optimizer, loss_discriminator)
        return {"loss_D": loss_discriminator.item(), "loss_G": loss_generator.item()}


class MinimaxLoop(Loop):
    """The same with the generator's minimax loss."""

    def generator_loss(self, y_fake: torch.Tensor) -> torch.Tensor:
        return -softplus(y_fake).mean()
