"""Generators and critic of Chainer-GAN-lib, common/net.py, in plain PyTorch. Numbers of batch norm are Chainer's."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def make_generator(
    latent: int,
    ch: int,
    bottom: int,
    channels: int,
    wscale: float,
    batch_norm: bool = True,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Module:
    """Returns: DCGANGenerator; `batch_norm` is its `use_bn`."""

    def norm(kind: Callable[..., nn.Module], features: int) -> list[nn.Module]:
        return [kind(features, eps=2e-5, momentum=0.1)] if batch_norm else []

    layers = [nn.Linear(latent, ch * bottom**2), *norm(nn.BatchNorm1d, ch * bottom**2), activation()]
    layers += [nn.Unflatten(1, (ch, bottom, bottom))]
    for width in (ch, ch // 2, ch // 4):
        layers += [nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1)]
        layers += [*norm(nn.BatchNorm2d, width // 2), activation()]
    layers += [nn.ConvTranspose2d(ch // 8, channels, 3, stride=1, padding=1), nn.Tanh()]
    return start(nn.Sequential(*layers), wscale)


def make_critic(ch: int, bottom: int, channels: int, wscale: float, outputs: int = 1) -> nn.Module:
    """Returns: WGANDiscriminator."""
    layers: list[nn.Module] = [nn.Conv2d(channels, ch // 8, 3, stride=1, padding=1), nn.LeakyReLU(0.2)]
    for width in (ch // 8, ch // 4, ch // 2):
        layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(2 * width, 2 * width, 3, stride=1, padding=1), nn.LeakyReLU(0.2)]
    return start(nn.Sequential(*layers, nn.Flatten(), nn.Linear(ch * bottom**2, outputs)), wscale)


def start(network: nn.Module, wscale: float) -> nn.Module:
    """Draw all weights from N(0, wscale^2), and let biases start at 0. Returns: the network."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, wscale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
