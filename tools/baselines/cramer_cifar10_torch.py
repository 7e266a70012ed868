"""Cramer GAN on CIFAR-10 in plain PyTorch: the generator moves with the first of the critic's steps.

Source: Chainer-GAN-lib, cramer/updater.py; Bellemare et al. 2017, arXiv:1705.10743, algorithm 1 and second version.
Chainer-GAN-lib writes the backward passes of the critic and its network by hand, which `autograd.grad` does here. It
evaluates the network on the images and fakes of the first step once; here it is evaluated again for the critic, with the
fakes detached. Its two losses are one sum with one `backward`, and what its `loss_surrogate` makes large is made small with
the other sign.
"""

from __future__ import annotations

import numpy as np
import torch

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_torch import make_critic, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    loops = {"cramer": Loop, "cramer_paper": PaperLoop, "cramer_v2": SecondLoop}
    return loops[system.loss.name](system, images, device)


def norm(h: torch.Tensor) -> torch.Tensor:
    return h.norm(2, dim=1)


def critic(h: torch.Tensor, h_2: torch.Tensor) -> torch.Tensor:
    return norm(h - h_2) - norm(h)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run, with the penalty and the critic of Chainer-GAN-lib."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        networks = make_generator(**sizes(system, "G")), make_critic(**sizes(system, "D"))
        super().__init__(system, images, device, *networks)
        self.transform = self.discriminator
        self.critic_steps = 1 + system.schedule.steps[1].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]

    def draw_z2(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def interpolate(self, x_real: torch.Tensor, x_fake: torch.Tensor) -> torch.Tensor:
        eps = self.draw_eps()
        return (eps * x_real + (1 - eps) * x_fake).requires_grad_(True)

    def generator_loss(self, x_real: torch.Tensor, x_1: torch.Tensor, x_2: torch.Tensor) -> torch.Tensor:
        """Returns: the energy distance."""
        h_real, h_1, h_2 = self.transform(x_real), self.transform(x_1), self.transform(x_2)
        return (norm(h_real - h_1) + norm(h_real - h_2) - norm(h_1 - h_2)).mean()

    def surrogate(self, h_real: torch.Tensor, h_1: torch.Tensor, h_2: torch.Tensor) -> torch.Tensor:
        return (critic(h_1, h_2) - critic(h_real, h_2)).mean()

    def penalty(self, x_mid: torch.Tensor, h_real: torch.Tensor, h_1: torch.Tensor, h_2: torch.Tensor) -> torch.Tensor:
        """Returns: the penalty, in which the critic's gradient by its features counts as a constant."""
        h_mid = self.transform(x_mid)
        h = h_mid.detach().requires_grad_(True)
        (weights,) = torch.autograd.grad(critic(h, h_2.detach()).sum(), h)
        return gradient_penalty(h_mid, x_mid, weights)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        for i in range(self.critic_steps):
            (x_real,) = self.next_batch()
            x_1, x_2 = self.generator(self.draw_z()), self.generator(self.draw_z2())
            if i == 0:
                loss_generator = self.generator_loss(x_real, x_1, x_2)
                update(self.generator_optimizer, loss_generator)
            x_1, x_2 = x_1.detach(), x_2.detach()
            h_real, h_1, h_2 = self.transform(x_real), self.transform(x_1), self.transform(x_2)
            penalty = self.penalty(self.interpolate(x_real, x_1), h_real, h_1, h_2)
            loss_critic = self.surrogate(h_real, h_1, h_2) + self.penalty_weight * penalty
            update(self.discriminator_optimizer, loss_critic)
        return {
            "loss_D": loss_critic.item(),
            "loss_G": loss_generator.item(),
            "gradient_penalty": penalty.item(),
        }


class PaperLoop(Loop):
    """The same as the paper has it: h_2 is a constant, and nothing else."""

    def surrogate(self, h_real: torch.Tensor, h_1: torch.Tensor, h_2: torch.Tensor) -> torch.Tensor:
        return super().surrogate(h_real, h_1, h_2.detach())

    def penalty(self, x_mid: torch.Tensor, h_real: torch.Tensor, h_1: torch.Tensor, h_2: torch.Tensor) -> torch.Tensor:
        return gradient_penalty(critic(self.transform(x_mid), h_2.detach()), x_mid)


class SecondLoop(PaperLoop):
    """The paper's second version: the penalty is on the direction between fake and real."""

    def penalty(self, x_mid: torch.Tensor, h_real: torch.Tensor, h_1: torch.Tensor, h_2: torch.Tensor) -> torch.Tensor:
        h_mid = self.transform(x_mid)
        return gradient_penalty(norm(h_mid - h_1.detach()) - norm(h_mid - h_real.detach()), x_mid)
