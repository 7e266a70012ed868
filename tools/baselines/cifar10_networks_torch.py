"""The DCGAN networks of Chainer-GAN-lib for CIFAR-10, in plain PyTorch.

Source: Chainer-GAN-lib (pfnet-research/chainer-gan-lib), common/net.py and common/sn; ac_wgan_gp's generator is the one of
the blog on it. PyTorch's batch norm has a shift without a scale only as one whose scale stays 1, as here.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from ganspec.spec.system import System

BATCH_NORM = {"eps": 2e-5, "momentum": 0.1}  # Chainer's
SLOPE = 0.2


def sizes(system: System, name: str) -> dict[str, int | float]:
    """Returns: the numbers of a network, by the names of its `make_` function."""
    return {key: v if key == "wscale" else int(v) for key, v in system.networks[name].constants.items()}


def initialise(network: nn.Module, wscale: float) -> nn.Module:
    """Draw the weights from N(0, wscale^2), and set the biases to 0. Returns: the network."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, wscale)
            nn.init.zeros_(module.bias)
    return network


def double(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)


def make_generator(
    latent: int, ch: int, bottom: int, channels: int, wscale: float, batch_norm: bool = True
) -> nn.Module:
    def normalise(kind: type[nn.Module], size: int) -> nn.Module:
        return kind(size, **BATCH_NORM) if batch_norm else nn.Identity()

    network = nn.Sequential(
        nn.Linear(latent, ch * bottom**2), normalise(nn.BatchNorm1d, ch * bottom**2), nn.ReLU(),
        nn.Unflatten(1, (ch, bottom, bottom)),
        double(ch, ch // 2), normalise(nn.BatchNorm2d, ch // 2), nn.ReLU(),
        double(ch // 2, ch // 4), normalise(nn.BatchNorm2d, ch // 4), nn.ReLU(),
        double(ch // 4, ch // 8), normalise(nn.BatchNorm2d, ch // 8), nn.ReLU(),
        nn.ConvTranspose2d(ch // 8, channels, 3, padding=1), nn.Tanh(),
    )  # fmt: skip
    return initialise(network, wscale)


class ConditionalGenerator(nn.Module):
    """The label stands beside the latent: +1 at its place and -1 at the others."""

    def __init__(self, latent: int, labels: int, ch: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        self.labels = labels
        self.layers = nn.Sequential(
            nn.Linear(latent + labels, ch * bottom**2), nn.LeakyReLU(SLOPE), nn.Unflatten(1, (ch, bottom, bottom)),
            double(ch, ch // 2), nn.BatchNorm2d(ch // 2, **BATCH_NORM), nn.LeakyReLU(SLOPE),
            double(ch // 2, ch // 4), nn.BatchNorm2d(ch // 4, **BATCH_NORM), nn.LeakyReLU(SLOPE),
            double(ch // 4, ch // 8), nn.BatchNorm2d(ch // 8, **BATCH_NORM), nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(ch // 8, channels, 3, padding=1), nn.Tanh(),
        )  # fmt: skip
        initialise(self, wscale)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        code = 2 * F.one_hot(y, self.labels).to(z.dtype) - 1
        return self.layers(torch.cat([z, code], dim=1))


class ShiftBatchNorm2d(nn.BatchNorm2d):
    """Batch norm without a scale."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, **BATCH_NORM)
        self.weight.requires_grad_(False)


class SNConv2d(nn.Conv2d):
    """Convolution by a weight that is divided by an estimate of its largest singular value."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding)
        self.register_buffer("u", torch.randn(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sigma, self.u = largest_singular_value(self.weight.flatten(1), self.u)
        return F.conv2d(x, self.weight / sigma, self.bias, self.stride, self.padding)


class SNLinear(nn.Linear):
    """Linear layer by a weight that is divided by an estimate of its largest singular value."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.register_buffer("u", torch.randn(out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sigma, self.u = largest_singular_value(self.weight, self.u)
        return F.linear(x, self.weight / sigma, self.bias)


def largest_singular_value(matrix: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns: an estimate after one power iteration from `u`, and the new `u`; both vectors count as constants."""
    with torch.no_grad():
        v = F.normalize(u @ matrix, dim=0, eps=1e-12)
        u = F.normalize(matrix @ v, dim=0, eps=1e-12)
    return u @ matrix @ v, u


def convolutions(
    ch: int, channels: int, conv: type[nn.Conv2d] = nn.Conv2d, normalised: range = range(0)
) -> list[nn.Module]:
    """Returns: seven convolutions, of which every second halves the image, some with batch norm, then flattened."""
    widths = (channels, ch // 8, ch // 4, ch // 4, ch // 2, ch // 2, ch, ch)
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        halve = i % 2 == 1
        layers.append(conv(before, after, 4 if halve else 3, stride=2 if halve else 1, padding=1))
        if i in normalised:
            layers.append(ShiftBatchNorm2d(after))
        layers.append(nn.LeakyReLU(SLOPE))
    return [*layers, nn.Flatten()]


def make_critic(ch: int, bottom: int, channels: int, outputs: int, wscale: float) -> nn.Module:
    return initialise(nn.Sequential(*convolutions(ch, channels), nn.Linear(ch * bottom**2, outputs)), wscale)


def make_discriminator(ch: int, bottom: int, channels: int, outputs: int, wscale: float) -> nn.Module:
    layers = convolutions(ch, channels, normalised=range(1, 7))
    return initialise(nn.Sequential(*layers, nn.Linear(ch * bottom**2, outputs)), wscale)


def make_sn_discriminator(ch: int, bottom: int, channels: int, outputs: int, wscale: float) -> nn.Module:
    layers = convolutions(ch, channels, SNConv2d)
    return initialise(nn.Sequential(*layers, SNLinear(ch * bottom**2, outputs)), wscale)
