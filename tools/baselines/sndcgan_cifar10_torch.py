"""DCGAN with spectral norm on CIFAR-10 in plain PyTorch: the generator, then discriminator steps on new images and noise.

Source: Chainer-GAN-lib, stdgan/updater.py, which the loop follows in all; Miyato et al. 2018, arXiv:1802.05957.
Fakes for the discriminator are made with a graph and detached; the generator's step lets `backward` fill the
discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import softplus

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import make_generator, make_sn_discriminator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        networks = make_generator(**sizes(system, "G")), make_sn_discriminator(**sizes(system, "D"))
        super().__init__(system, images, device, *networks)
        self.discriminator_steps = system.schedule.steps[1].repeat

    def discriminator_loss(self, y_real: torch.Tensor, y_fake: torch.Tensor) -> torch.Tensor:
        return softplus(-y_real).mean() + softplus(y_fake).mean()

    def generator_loss(self, y_fake: torch.Tensor) -> torch.Tensor:
        return softplus(-y_fake).mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        loss_generator = self.generator_loss(self.discriminator(self.generator(self.draw_z())))
        update(self.generator_optimizer, loss_generator)
        for _ in range(self.discriminator_steps):
            (x_real,) = self.next_batch()
            x_fake = self.generator(self.draw_z()).detach()
            loss_discriminator = self.discriminator_loss(self.discriminator(x_real), self.discriminator(x_fake))
            update(self.discriminator_optimizer, loss_discriminator)
        return {"loss_G": loss_generator.item(), "loss_D": loss_discriminator.item()}
