"""GAN with minibatch discrimination on CIFAR-10 in plain PyTorch.

Source: Chainer-GAN-lib, minibatch_discrimination. It makes a batch norm for the last convolution that it never calls;
here there is none. Its updater is dcgan's, and so is the loop.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_networks_torch import convolutions, initialise, make_generator, sizes
from ganspec.tools.baselines.dcgan_cifar10_torch import Loop


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, make_generator(**sizes(system, "G")), Discriminator(**sizes(system, "D")))


class Discriminator(nn.Module):
    """Beside its features, each image's closeness to the others of the batch."""

    def __init__(self, ch: int, bottom: int, channels: int, kernels: int, dimensions: int, wscale: float) -> None:
        super().__init__()
        self.shape = (kernels, dimensions)
        self.features = nn.Sequential(*convolutions(ch, channels, normalised=range(1, 6)))
        self.project = nn.Linear(ch * bottom**2, kernels * dimensions)
        self.last = nn.Linear(ch * bottom**2 + kernels, 1)
        initialise(self, wscale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.features(x)
        m = self.project(features).unflatten(1, self.shape)
        distance = (m[:, None] - m[None, :]).abs().sum(dim=3)
        closeness = torch.exp(-distance).sum(dim=1) - 1  # without the image itself
        return self.last(torch.cat([features, closeness], dim=1))
