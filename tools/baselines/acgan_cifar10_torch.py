"""Auxiliary classifier GAN on CIFAR-10 in plain PyTorch: a discriminator step, then a generator step on fresh noise.

Source: Odena, Olah, Shlens 2017, arXiv:1610.09585, equations 2 and 3, with the networks of Chainer-GAN-lib. The paper draws
the labels of the fakes; here they are those of the real images. Fakes for the discriminator are made with a graph and
detached; the generator's step lets `backward` fill the discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, accuracy, update
from ganspec.tools.baselines.cifar10_networks_torch import ConditionalGenerator, convolutions, initialise, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    generator, discriminator = ConditionalGenerator(**sizes(system, "G")), Discriminator(**sizes(system, "D"))
    return Loop(system, images, device, generator, discriminator, labels)


class Discriminator(nn.Module):
    """Two heads on common features: real or fake, and which class."""

    def __init__(self, ch: int, bottom: int, channels: int, labels: int, wscale: float) -> None:
        super().__init__()
        self.features = nn.Sequential(*convolutions(ch, channels, normalised=range(1, 7)))
        self.source, self.label = nn.Linear(ch * bottom**2, 1), nn.Linear(ch * bottom**2, labels)
        initialise(self, wscale)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.features(x)
        return self.source(h), self.label(h)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        x_real, y = self.next_batch()
        x_fake = self.generator(self.draw_z(), y).detach()
        (source_real, class_real), (source_fake, class_fake) = self.discriminator(x_real), self.discriminator(x_fake)
        loss_source = softplus(-source_real).mean() + softplus(source_fake).mean()
        loss_discriminator = loss_source + cross_entropy(class_real, y) + cross_entropy(class_fake, y)
        update(self.discriminator_optimizer, loss_discriminator)
        source, label = self.discriminator(self.generator(self.draw_z(), y))
        loss_generator = cross_entropy(label, y) - softplus(source).mean()
        update(self.generator_optimizer, loss_generator)
        return {
            "loss_D": loss_discriminator.item(),
            "accuracy_real": accuracy(class_real, y).item(),
            "accuracy_fake": accuracy(class_fake, y).item(),
            "loss_G": loss_generator.item(),
        }
