"""WGAN-GP with MLPs in plain PyTorch.

Source: Introduction to Artificial Intelligence, chapter 11. Fakes for the critic are made with a graph and
detached; the generator's step lets `backward` fill the critic's gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np
import torch
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
        nn.Linear(width, width), nn.LeakyReLU(slope), nn.BatchNorm1d(width),
        nn.Linear(width, pixels), nn.Tanh(),
    )  # fmt: skip


def make_critic(pixels: int, width: int, slope: float, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(pixels, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(width, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(width, width), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(width, 1),
    )  # fmt: skip


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        pixels = images[0].size
        self.device, self.batch, self.latent = device, system.run.batch, int(g["latent"])
        self.generator = make_generator(self.latent, int(g["width"]), pixels, g["slope"]).to(device)
        self.critic = make_critic(pixels, int(d["width"]), d["slope"], d["dropout"]).to(device)
        self.critic_steps = system.schedule.steps[0].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]
        self.networks = {"G": self.generator, "D": self.critic}
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.critic_optimizer = adam(self.critic, system.optimizers["D"])
        self.next_batch = Batches(system, images.reshape(len(images), pixels), None, device)

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def draw_eps(self) -> torch.Tensor:
        return torch.rand(self.batch, 1, device=self.device)

    def gradient_penalty(self, x_real: torch.Tensor, x_fake: torch.Tensor) -> torch.Tensor:
        eps = self.draw_eps()
        x_hat = (eps * x_real + (1 - eps) * x_fake).requires_grad_(True)
        score = self.critic(x_hat)
        (gradient,) = torch.autograd.grad(
            outputs=score, inputs=x_hat, grad_outputs=torch.ones_like(score), create_graph=True, retain_graph=True
        )
        return ((gradient.norm(2, dim=1) - 1) ** 2).mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's steps on one real batch, then the generator's."""
        (x_real,) = self.next_batch()
        for _ in range(self.critic_steps):
            x_fake = self.generator(self.draw_z()).detach()
            distance = self.critic(x_real).mean() - self.critic(x_fake).mean()
            penalty = self.gradient_penalty(x_real, x_fake)
            loss_critic = -distance + self.penalty_weight * penalty
            self.critic_optimizer.zero_grad()
            loss_critic.backward()
            self.critic_optimizer.step()
        loss_generator = -self.critic(self.generator(self.draw_z())).mean()
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        return {
            "loss_D": loss_critic.item(),
            "distance": distance.item(),
            "gradient_penalty": penalty.item(),
            "loss_G": loss_generator.item(),
        }
