"""WGAN-GP on CIFAR-10 in plain Chainer: the generator moves with the first of the critic's steps.

Source: Chainer-GAN-lib, wgan_gp/updater.py; Gulrajani et al. 2017, arXiv:1704.00028. The source, older than Chainer's
double backprop, writes the critic's backward pass by hand, which `chainer.grad` does here; the critic's two losses are one
sum with one `backward`. The rest is as there.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_chainer import Critic, Generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device, Generator(**sizes(system, "G")), Critic(**sizes(system, "D")))


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(
        self, system: System, images: np.ndarray, device: str, generator: chainer.Chain, critic: chainer.Chain
    ) -> None:
        super().__init__(system, images, device, generator, critic)
        self.critic = critic
        self.critic_steps = 1 + system.schedule.steps[1].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]

    def penalty(self, x_real: Any, x_fake: Any) -> chainer.Variable:
        eps = self.draw_eps()
        x_hat = chainer.Variable(eps * x_real + (1 - eps) * x_fake)
        return gradient_penalty(self.critic(x_hat), x_hat)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        for i in range(self.critic_steps):
            (x_real,) = self.next_batch()
            y_real = self.critic(x_real)
            x_fake = self.generator(self.draw_z())
            y_fake = self.critic(x_fake)
            distance = F.mean(y_real) - F.mean(y_fake)
            if i == 0:
                loss_generator = -F.mean(y_fake)
                update(self.generator_optimizer, loss_generator)
            x_fake.unchain_backward()
            penalty = self.penalty(x_real, x_fake.array)
            loss_critic = -distance + self.penalty_weight * penalty
            update(self.discriminator_optimizer, loss_critic)
        return {
            "loss_D": float(loss_critic.array),
            "loss_G": float(loss_generator.array),
            "distance": float(distance.array),
            "gradient_penalty": float(penalty.array),
        }
