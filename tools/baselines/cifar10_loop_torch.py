"""What the plain PyTorch loops on CIFAR-10 share: two networks with Adam, noise, an update, a gradient penalty."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, adam


class GanLoop:
    """A generator and its opponent, with their optimisers, and the data.

    Args:
        system: the system.
        images: uint8, (n, channels, height, width).
        device: "cpu", "cuda" or "cuda:N".
        generator: network G.
        discriminator: network D.
        labels: whole numbers, (n,); None where the loop needs none.
    """

    def __init__(
        self,
        system: System,
        images: np.ndarray,
        device: str,
        generator: nn.Module,
        discriminator: nn.Module,
        labels: np.ndarray | None = None,
    ) -> None:
        self.device, self.batch, self.latent = device, system.run.batch, int(system.networks["G"].constants["latent"])
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.generator_optimizer = self.make_optimizer(system, "G")
        self.discriminator_optimizer = self.make_optimizer(system, "D")
        self.next_batch = Batches(system, images, labels, device)

    def make_optimizer(self, system: System, name: str) -> torch.optim.Optimizer:
        return adam(self.networks[name], system.optimizers[name])

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def draw_eps(self) -> torch.Tensor:
        return torch.rand(self.batch, 1, 1, 1, device=self.device)


def update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Move a network against the gradient of its loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def gradient_penalty(y: torch.Tensor, x: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Returns: mean((norm of the gradient of y by x - 1)^2); y counts with `weights`, which are 1 if None."""
    weights = torch.ones_like(y) if weights is None else weights
    (gradient,) = torch.autograd.grad(y, x, grad_outputs=weights, create_graph=True)
    return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Returns: the share of the right labels."""
    return (logits.argmax(dim=1) == y).to(logits.dtype).mean()
