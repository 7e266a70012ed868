"""WGAN-GP with residual networks on CIFAR-10 in plain PyTorch.

Source: Chainer-GAN-lib, common/net.py: ResnetGenerator, ResnetDiscriminator; the loop, and what differs there, is
wgan_gp_cifar10's. The source's activations are not in place, and neither are these.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from ganspec.spec.system import System
from ganspec.tools.baselines import wgan_gp_cifar10_torch
from ganspec.tools.baselines.cifar10_networks_torch import BATCH_NORM, initialise, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, Generator(**sizes(system, "G")), Critic(**sizes(system, "D")))


class Loop(wgan_gp_cifar10_torch.Loop):
    """Networks, optimisers and data of one training run."""

    def draw_z(self) -> torch.Tensor:
        return torch.randn(self.batch, self.latent, device=self.device)


class UpBlock(nn.Module):
    """Residual block that doubles the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn0, self.c0 = nn.BatchNorm2d(width, **BATCH_NORM), nn.Conv2d(width, width, 3, padding=1)
        self.bn1, self.c1 = nn.BatchNorm2d(width, **BATCH_NORM), nn.Conv2d(width, width, 3, padding=1)
        self.cs = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.c0(interpolate(relu(self.bn0(x)), scale_factor=2))
        h = self.c1(relu(self.bn1(h)))
        return h + self.cs(interpolate(x, scale_factor=2))


class Generator(nn.Module):
    def __init__(self, latent: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        self.shape = (latent, bottom, bottom)
        self.l0 = nn.Linear(latent, latent * bottom**2)
        self.blocks = nn.Sequential(UpBlock(latent), UpBlock(latent), UpBlock(latent))
        self.bn2, self.c3 = nn.BatchNorm2d(latent, **BATCH_NORM), nn.Conv2d(latent, channels, 3, padding=1)
        initialise(self, wscale)
        nn.init.normal_(self.l0.weight, 0, latent**-0.5)  # Chainer's default

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        h = self.blocks(relu(self.l0(z)).unflatten(1, self.shape))
        return torch.tanh(self.c3(self.bn2(relu(h))))


class DownBlock(nn.Module):
    """Residual block that halves the image, or leaves its size; the first block has no ReLU before it."""

    def __init__(self, in_channels: int, width: int, halve: bool = True, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.c0 = nn.Conv2d(in_channels, width, 3, padding=1)
        self.c1 = nn.Conv2d(width, width, 4, stride=2, padding=1) if halve else nn.Conv2d(width, width, 3, padding=1)
        self.cs = nn.Conv2d(in_channels, width, 4, stride=2, padding=1) if halve else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.c0(x if self.first else relu(x))
        return self.c1(relu(h)) + self.cs(x)


class Critic(nn.Sequential):
    def __init__(self, width: int, bottom: int, channels: int, outputs: int, wscale: float) -> None:
        super().__init__(
            DownBlock(channels, width, first=True), DownBlock(width, width),
            DownBlock(width, width, halve=False), DownBlock(width, width, halve=False),
            nn.ReLU(), nn.Flatten(), nn.Linear(width * bottom**2, outputs),
        )  # fmt: skip
        initialise(self, wscale)
