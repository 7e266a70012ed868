"""DRAGAN on CIFAR-10 in plain Chainer: the generator moves with the first of the discriminator's steps.

Source: Chainer-GAN-lib, dragan/updater.py; Kodali et al. 2017, arXiv:1705.07215, whose own code has one deviation for all
pixels and a random point on the line to the noisy image. Chainer-GAN-lib, older than Chainer's double backprop, writes the
discriminator's backward pass by hand, which `chainer.grad` does here; the discriminator's two losses are one sum with one
`backward`. The rest is as there.
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
    return (OfficialLoop if system.loss.name == "dragan_official" else Loop)(system, images, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        networks = Generator(**sizes(system, "G")), Critic(**sizes(system, "D"))
        super().__init__(system, images, device, *networks)
        self.discriminator_steps = 1 + system.schedule.steps[1].repeat
        self.penalty_weight, self.spread = system.loss.constants["penalty_weight"], system.loss.constants["spread"]
        self.shape = (self.batch, *system.data.shape)

    def draw_u(self) -> Any:
        return self.uniform(0, self.shape)

    def perturb(self, x_real: Any) -> Any:
        return x_real + self.spread * self.draw_u() * x_real.std(axis=0)

    def penalty(self, x_real: Any) -> chainer.Variable:
        x_hat = chainer.Variable(self.perturb(x_real))
        return gradient_penalty(self.discriminator(x_hat), x_hat)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        for i in range(self.discriminator_steps):
            (x_real,) = self.next_batch()
            y_real = self.discriminator(x_real)
            x_fake = self.generator(self.draw_z())
            y_fake = self.discriminator(x_fake)
            penalty = self.penalty(x_real)
            loss_discriminator = F.mean(F.softplus(-y_real)) + F.mean(F.softplus(y_fake))
            loss_discriminator += self.penalty_weight * penalty
            if i == 0:
                loss_generator = F.mean(F.softplus(-y_fake))
                update(self.generator_optimizer, loss_generator)
            x_fake.unchain_backward()
            update(self.discriminator_optimizer, loss_discriminator)
        return {
            "loss_D": float(loss_discriminator.array),
            "loss_G": float(loss_generator.array),
            "gradient_penalty": float(penalty.array),
        }


class OfficialLoop(Loop):
    """The same with the penalty of DRAGAN's authors."""

    def draw_alpha(self) -> Any:
        return self.uniform(0, (self.batch, 1, 1, 1))

    def perturb(self, x_real: Any) -> Any:
        noise = self.spread * x_real.std() * self.draw_u()
        return x_real + self.draw_alpha() * noise
