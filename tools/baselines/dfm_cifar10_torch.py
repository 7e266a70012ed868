"""Denoising feature matching on CIFAR-10 in plain PyTorch: all networks move with one evaluation of each.

Source: Chainer-GAN-lib, dfm/net.py and dfm/updater.py; Warde-Farley and Bengio 2017, ICLR. As there, the
discriminator is evaluated on the fakes once; where the source cuts the graph of the fakes between the updates, here
the discriminator's `backward` is for its parameters alone. What the denoiser makes of the fakes' features, a
constant, is evaluated without a graph, which the source builds and leaves unused.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss, softplus

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import (
    BATCH_NORM,
    SLOPE,
    ShiftBatchNorm2d,
    initialise,
    make_generator,
    sizes,
)


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


def halve(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1)


class Discriminator(nn.Module):
    def __init__(self, ch: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, ch // 16, 3, padding=1), nn.LeakyReLU(SLOPE),
            halve(ch // 16, ch // 8), nn.BatchNorm2d(ch // 8, **BATCH_NORM), nn.LeakyReLU(SLOPE),
            halve(ch // 8, ch // 4), nn.BatchNorm2d(ch // 4, **BATCH_NORM), nn.LeakyReLU(SLOPE),
            halve(ch // 4, ch // 2), nn.BatchNorm2d(ch // 2, **BATCH_NORM), nn.LeakyReLU(SLOPE),
            halve(ch // 2, ch), ShiftBatchNorm2d(ch),
        )  # fmt: skip
        self.logit = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Flatten(), nn.Linear(ch * bottom**2, 1))
        initialise(self, wscale)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        feature = self.features(x)
        return feature, self.logit(feature)


def make_denoiser(ch: int, bottom: int) -> nn.Module:
    units, layers = ch * bottom**2, []
    for _ in range(9):
        layers += [nn.Linear(units, units), nn.BatchNorm1d(units, **BATCH_NORM), nn.LeakyReLU(SLOPE)]
    network = nn.Sequential(nn.Flatten(), *layers, nn.Linear(units, units), nn.Unflatten(1, (ch, bottom, bottom)))
    return initialise(network, units**-0.5)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        generator, discriminator = make_generator(**sizes(system, "G")), Discriminator(**sizes(system, "D"))
        super().__init__(system, images, device, generator, discriminator)
        r = sizes(system, "R")
        self.shape = (self.batch, r["ch"], r["bottom"], r["bottom"])
        self.denoiser = self.networks["R"] = make_denoiser(**r).to(device)
        self.denoiser_optimizer = self.make_optimizer(system, "R")
        self.denoiser_weight = system.loss.constants["denoiser_weight"]

    def draw_noise(self) -> torch.Tensor:
        return torch.randn(self.shape, device=self.device)

    def denoised(self, feature: torch.Tensor) -> torch.Tensor:
        """Returns: what the denoiser makes of features in inference, a constant."""
        self.denoiser.eval()
        with torch.no_grad():
            denoised: torch.Tensor = self.denoiser(feature)
        self.denoiser.train()
        return denoised

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        feature_real, y_real = self.discriminator(x_real)
        clean = feature_real.detach()
        loss_denoiser = mse_loss(self.denoiser(clean + self.draw_noise()), clean)
        feature_fake, y_fake = self.discriminator(self.generator(self.draw_z()))
        matching = mse_loss(feature_fake, self.denoised(feature_fake))
        loss_generator = softplus(-y_fake).mean() + self.denoiser_weight * matching
        loss_discriminator = softplus(-y_real).mean() + softplus(y_fake).mean()

        update(self.denoiser_optimizer, loss_denoiser)
        self.generator_optimizer.zero_grad()
        loss_generator.backward(retain_graph=True)
        self.discriminator_optimizer.zero_grad()
        loss_discriminator.backward(inputs=[p for p in self.discriminator.parameters() if p.requires_grad])
        self.generator_optimizer.step()
        self.discriminator_optimizer.step()
        return {
            "loss_D": loss_discriminator.item(),
            "loss_R": loss_denoiser.item(),
            "loss_G": loss_generator.item(),
        }
