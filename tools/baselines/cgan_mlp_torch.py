"""A conditional GAN with MLPs in plain PyTorch.

Source: Mirza and Osindero 2014, arXiv:1411.1784, equation 2, with the networks of `cwgan_gp_torch`. The loss is the
binary cross-entropy of logits, as PyTorch's examples write it, and the generator minimises the minimax value. It
differs from the paper in the networks, and in that fakes have the labels of the real batch. Fakes for the
discriminator are made with a graph and detached; the generator's step lets `backward` fill the discriminator's
gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ganspec.spec.system import System
from ganspec.tools.baselines.cwgan_gp_torch import make_networks
from ganspec.tools.baselines.loop_torch import Batches, adam


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        pixels = images[0].size
        self.device, self.batch = device, system.run.batch
        self.latent = int(system.networks["G"].constants["latent"])
        self.generator, self.discriminator = (network.to(device) for network in make_networks(system, pixels))
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.ones = torch.ones(self.batch, 1, device=device)
        self.zeros = torch.zeros(self.batch, 1, device=device)
        self.next_batch = Batches(system, images.reshape(len(images), pixels), labels, device)

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, then the generator's on fresh noise."""
        x_real, y = self.next_batch()
        x_fake = self.generator(self.draw_z(), y).detach()
        loss_real = F.binary_cross_entropy_with_logits(self.discriminator(x_real, y), self.ones)
        loss_fake = F.binary_cross_entropy_with_logits(self.discriminator(x_fake, y), self.zeros)
        loss_discriminator = loss_real + loss_fake
        self.discriminator_optimizer.zero_grad()
        loss_discriminator.backward()
        self.discriminator_optimizer.step()
        fooled = self.discriminator(self.generator(self.draw_z(), y), y)
        loss_generator = -F.binary_cross_entropy_with_logits(fooled, self.zeros)
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        return {"loss_D": loss_discriminator.item(), "loss_G": loss_generator.item()}
