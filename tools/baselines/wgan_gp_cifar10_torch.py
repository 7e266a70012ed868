"""WGAN-GP on CIFAR-10 in plain PyTorch: the generator moves with the first of the critic's steps.

Source: Chainer-GAN-lib, wgan_gp/updater.py; Gulrajani et al. 2017, arXiv:1704.00028. It writes the critic's backward pass
by hand, which `autograd.grad` does here, and evaluates the critic on the fakes of the first step once; here the critic is
evaluated again on the detached fakes. The critic's two losses are one sum with one `backward`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_torch import make_critic, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, make_generator(**sizes(system, "G")), make_critic(**sizes(system, "D")))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(
        self, system: System, images: np.ndarray, device: str, generator: nn.Module, critic: nn.Module
    ) -> None:
        super().__init__(system, images, device, generator, critic)
        self.critic = critic
        self.critic_steps = 1 + system.schedule.steps[1].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]

    def penalty(self, x_real: torch.Tensor, x_fake: torch.Tensor) -> torch.Tensor:
        eps = self.draw_eps()
        x_hat = (eps * x_real + (1 - eps) * x_fake).requires_grad_(True)
        return gradient_penalty(self.critic(x_hat), x_hat)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        for i in range(self.critic_steps):
            (x_real,) = self.next_batch()
            x_fake = self.generator(self.draw_z())
            if i == 0:
                loss_generator = -self.critic(x_fake).mean()
                update(self.generator_optimizer, loss_generator)
            x_fake = x_fake.detach()
            distance = self.critic(x_real).mean() - self.critic(x_fake).mean()
            penalty = self.penalty(x_real, x_fake)
            loss_critic = -distance + self.penalty_weight * penalty
            update(self.discriminator_optimizer, loss_critic)
        return {
            "loss_D": loss_critic.item(),
            "loss_G": loss_generator.item(),
            "distance": distance.item(),
            "gradient_penalty": penalty.item(),
        }
