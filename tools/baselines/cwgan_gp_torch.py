"""A conditional WGAN-GP with MLPs in plain PyTorch.

Source: Introduction to Artificial Intelligence, chapter 11. As there, each network embeds the labels beside its
input; fakes for the critic are made with a graph and detached; the generator's step draws labels of its own, and lets
`backward` fill the critic's gradients too, to be cleared. It differs from the source in nothing but names and the way
in which data is read.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, adam


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Generator(nn.Module):
    def __init__(self, latent: int, labels: int, code: int, width: int, pixels: int, slope: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, code)
        self.layers = nn.Sequential(
            nn.Linear(latent + code, width), nn.LeakyReLU(slope), nn.BatchNorm1d(width),
            nn.Linear(width, width), nn.LeakyReLU(slope), nn.BatchNorm1d(width),
            nn.Linear(width, width), nn.LeakyReLU(slope), nn.BatchNorm1d(width),
            nn.Linear(width, pixels), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.layers(torch.cat([z, self.embedding(y)], dim=1))
        return images


class Critic(nn.Module):
    def __init__(self, labels: int, code: int, width: int, pixels: int, slope: float, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, code)
        self.layers = nn.Sequential(
            nn.Linear(pixels + code, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
            nn.Linear(width, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
            nn.Linear(width, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        score: torch.Tensor = self.layers(torch.cat([x, self.embedding(y)], dim=1))
        return score


def make_networks(system: System, pixels: int) -> tuple[Generator, Critic]:
    """Returns: generator and critic in the sizes of a system."""
    g, d = (system.networks[name].constants for name in ("G", "D"))
    labels = int(g["labels"])
    generator = Generator(int(g["latent"]), labels, int(g["code"]), int(g["width"]), pixels, g["slope"])
    return generator, Critic(labels, int(d["code"]), int(d["width"]), pixels, d["slope"], d["dropout"])


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        pixels = images[0].size
        self.device, self.batch, self.labels = device, system.run.batch, int(system.data.labels)
        self.latent = int(system.networks["G"].constants["latent"])
        self.generator, self.critic = (network.to(device) for network in make_networks(system, pixels))
        self.networks = {"G": self.generator, "D": self.critic}
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.critic_optimizer = adam(self.critic, system.optimizers["D"])
        self.critic_steps = system.schedule.steps[0].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]
        self.next_batch = Batches(system, images.reshape(len(images), pixels), labels, device)

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def draw_c(self) -> torch.Tensor:
        return torch.randint(self.labels, (self.batch,), device=self.device)

    def draw_eps(self) -> torch.Tensor:
        return torch.rand(self.batch, 1, device=self.device)

    def gradient_penalty(self, x_real: torch.Tensor, x_fake: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        eps = self.draw_eps()
        x_hat = (eps * x_real + (1 - eps) * x_fake).requires_grad_(True)
        score = self.critic(x_hat, y)
        (gradient,) = torch.autograd.grad(
            outputs=score, inputs=x_hat, grad_outputs=torch.ones_like(score), create_graph=True, retain_graph=True
        )
        return ((gradient.norm(2, dim=1) - 1) ** 2).mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's steps on one real batch, then the generator's with labels of its own."""
        x_real, y = self.next_batch()
        for _ in range(self.critic_steps):
            x_fake = self.generator(self.draw_z(), y).detach()
            distance = self.critic(x_real, y).mean() - self.critic(x_fake, y).mean()
            penalty = self.gradient_penalty(x_real, x_fake, y)
            loss_critic = -distance + self.penalty_weight * penalty
            self.critic_optimizer.zero_grad()
            loss_critic.backward()
            self.critic_optimizer.step()
        c = self.draw_c()
        loss_generator = -self.critic(self.generator(self.draw_z(), c), c).mean()
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        return {
            "loss_D": loss_critic.item(),
            "distance": distance.item(),
            "gradient_penalty": penalty.item(),
            "loss_G": loss_generator.item(),
        }
