"""DRAGAN on CIFAR-10 in plain PyTorch: the generator moves with the first of the discriminator's steps.

Source: Chainer-GAN-lib, dragan/updater.py; Kodali et al. 2017, arXiv:1705.07215, whose own code has one deviation for all
pixels and a random point on the line to the noisy image. Chainer-GAN-lib writes the discriminator's backward pass by hand,
which `autograd.grad` does here, and evaluates the discriminator on the fakes of the first step once; here it is evaluated
again on the detached fakes. The discriminator's two losses are one sum with one `backward`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import softplus

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_torch import make_critic, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return (OfficialLoop if system.loss.name == "dragan_official" else Loop)(system, images, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        networks = make_generator(**sizes(system, "G")), make_critic(**sizes(system, "D"))
        super().__init__(system, images, device, *networks)
        self.discriminator_steps = 1 + system.schedule.steps[1].repeat
        self.penalty_weight, self.spread = system.loss.constants["penalty_weight"], system.loss.constants["spread"]
        self.shape = (self.batch, *system.data.shape)

    def draw_u(self) -> torch.Tensor:
        return torch.rand(self.shape, device=self.device)

    def perturb(self, x_real: torch.Tensor) -> torch.Tensor:
        return x_real + self.spread * self.draw_u() * x_real.std(dim=0, correction=0)

    def penalty(self, x_real: torch.Tensor) -> torch.Tensor:
        x_hat = self.perturb(x_real).requires_grad_(True)
        return gradient_penalty(self.discriminator(x_hat), x_hat)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        for i in range(self.discriminator_steps):
            (x_real,) = self.next_batch()
            x_fake = self.generator(self.draw_z())
            if i == 0:
                loss_generator = softplus(-self.discriminator(x_fake)).mean()
                update(self.generator_optimizer, loss_generator)
            y_real, y_fake = self.discriminator(x_real), self.discriminator(x_fake.detach())
            penalty = self.penalty(x_real)
            loss_discriminator = softplus(-y_real).mean() + softplus(y_fake).mean() + self.penalty_weight * penalty
            update(self.discriminator_optimizer, loss_discriminator)
        return {
            "loss_D": loss_discriminator.item(),
            "loss_G": loss_generator.item(),
            "gradient_penalty": penalty.item(),
        }


class OfficialLoop(Loop):
    """The same with the penalty of DRAGAN's authors."""

    def draw_alpha(self) -> torch.Tensor:
        return torch.rand(self.batch, 1, 1, 1, device=self.device)

    def perturb(self, x_real: torch.Tensor) -> torch.Tensor:
        noise = self.spread * x_real.std(correction=0) * self.draw_u()
        return x_real + self.draw_alpha() * noise
