"""A GAN with MLPs and a discriminator of two classes in plain PyTorch.

Source: Introduction to Artificial Intelligence, chapter 11; Goodfellow et al. 2014, arXiv:1406.2661. As there, the
generator is evaluated once: the discriminator sees its images detached, and the generator's loss, under the updated
discriminator, flows back through them. It differs from the source in nothing but names and the way in which data is
read.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, adam


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


def make_generator(latent: int, width: int, pixels: int, slope: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(latent, width), nn.LeakyReLU(slope), nn.BatchNorm1d(width),
        nn.Linear(width, width), nn.LeakyReLU(slope), nn.BatchNorm1d(width),
        nn.Linear(width, pixels), nn.Tanh(),
    )  # fmt: skip


def make_discriminator(pixels: int, width: int, slope: float, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(pixels, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(width, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(width, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(width, 2),
    )  # fmt: skip


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        pixels = images[0].size
        self.device, self.batch, self.latent = device, system.run.batch, int(g["latent"])
        self.generator = make_generator(self.latent, int(g["width"]), pixels, g["slope"]).to(device)
        self.discriminator = make_discriminator(pixels, int(d["width"]), d["slope"], d["dropout"]).to(device)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.ones = torch.ones(self.batch, dtype=torch.int64, device=device)
        self.zeros = torch.zeros(self.batch, dtype=torch.int64, device=device)
        self.next_batch = Batches(system, images.reshape(len(images), pixels), None, device)

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def accuracy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (logits.argmax(dim=1) == labels).to(logits.dtype).mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, then the generator's on the same noise."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z())
        real, fake = self.discriminator(x_real), self.discriminator(x_fake.detach())
        loss_discriminator = F.cross_entropy(real, self.ones) + F.cross_entropy(fake, self.zeros)
        self.discriminator_optimizer.zero_grad()
        loss_discriminator.backward()
        self.discriminator_optimizer.step()
        fooled = self.discriminator(x_fake)
        loss_generator = F.cross_entropy(fooled, self.ones)
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        accuracy = (self.accuracy(real, self.ones) + self.accuracy(fake, self.zeros)) / 2
        return {
            "loss_D": loss_discriminator.item(),
            "accuracy_D": accuracy.item(),
            "loss_G": loss_generator.item(),
            "accuracy_G": self.accuracy(fooled, self.ones).item(),
        }
