"""BEGAN on CIFAR-10 in plain PyTorch: both networks move with one evaluation of each.

Source: Chainer-GAN-lib, began/net.py and began/updater.py; Berthelot, Schumm, Metz 2017, arXiv:1703.10717. As there,
the discriminator is evaluated on the fakes once; where the source cuts the graph of the fakes between the two
updates, here the discriminator's `backward` is for its parameters alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop
from ganspec.tools.baselines.cifar10_networks_torch import SLOPE, double, initialise, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


def halve(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1)


def make_autoencoder(ch: int, bottom: int, channels: int, code: int, wscale: float) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(channels, ch // 8, 3, padding=1), nn.LeakyReLU(SLOPE),
        halve(ch // 8, ch // 4), nn.LeakyReLU(SLOPE),
        halve(ch // 4, ch // 2), nn.LeakyReLU(SLOPE),
        halve(ch // 2, ch), nn.LeakyReLU(SLOPE),
        nn.Flatten(), nn.Linear(ch * bottom**2, code), nn.LeakyReLU(SLOPE),
        nn.Linear(code, ch * bottom**2), nn.LeakyReLU(SLOPE), nn.Unflatten(1, (ch, bottom, bottom)),
        double(ch, ch // 2), nn.LeakyReLU(SLOPE),
        double(ch // 2, ch // 4), nn.LeakyReLU(SLOPE),
        double(ch // 4, ch // 8), nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(ch // 8, channels, 3, padding=1), nn.Tanh(),
    )  # fmt: skip
    return initialise(network, wscale)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        generator = make_generator(**sizes(system, "G"), batch_norm=False)
        super().__init__(system, images, device, generator, make_autoencoder(**sizes(system, "D")))
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start

    def reconstruction_loss(self, v: torch.Tensor) -> torch.Tensor:
        return (v - self.discriminator(v)).abs().mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        loss_real = self.reconstruction_loss(x_real)
        loss_fake = self.reconstruction_loss(self.generator(self.draw_z()))
        loss_discriminator = loss_real - self.k * loss_fake
        self.generator_optimizer.zero_grad()
        loss_fake.backward(retain_graph=True)
        self.discriminator_optimizer.zero_grad()
        loss_discriminator.backward(inputs=list(self.discriminator.parameters()))
        self.generator_optimizer.step()
        self.discriminator_optimizer.step()
        real, fake = loss_real.item(), loss_fake.item()
        self.k = min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
        return {
            "loss_D": loss_discriminator.item(),
            "loss_G": fake,
            "L_real": real,
            "L_fake": fake,
            "M": real + abs(self.gamma * real - fake),
            "k": self.k,
        }
