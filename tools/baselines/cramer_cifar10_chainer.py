"""Cramer GAN on CIFAR-10 in plain Chainer: the generator moves with the first of the critic's steps.

Source: Chainer-GAN-lib, cramer/updater.py; Bellemare et al. 2017, arXiv:1705.10743, algorithm 1 and second version.
Chainer-GAN-lib, older than Chainer's double backprop, writes the backward passes of the critic and its network by hand,
which `chainer.grad` does here. The critic's two losses are one sum with one `backward`, and what `loss_surrogate` makes
large there is made small here with the other sign. The rest is as there.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np
from chainer import Variable

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_chainer import Critic, Generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    loops = {"cramer": Loop, "cramer_paper": PaperLoop, "cramer_v2": SecondLoop}
    return loops[system.loss.name](system, images, device)


def norm(h: Variable) -> Variable:
    return F.sqrt(F.sum(F.square(h), axis=1))


def critic(h: Variable, h_2: Any) -> Variable:
    return norm(h - h_2) - norm(h)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run, with the penalty and the critic of Chainer-GAN-lib."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        networks = Generator(**sizes(system, "G")), Critic(**sizes(system, "D"))
        super().__init__(system, images, device, *networks)
        self.transform = self.discriminator
        self.critic_steps = 1 + system.schedule.steps[1].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]

    def draw_z2(self) -> Any:
        return self.uniform(-1, (self.batch, self.latent))

    def interpolate(self, x_real: Any, x_fake: Any) -> Variable:
        eps = self.draw_eps()
        return Variable(eps * x_real + (1 - eps) * x_fake)

    def surrogate(self, h_real: Variable, h_1: Variable, h_2: Variable) -> Variable:
        return F.mean(critic(h_1, h_2) - critic(h_real, h_2))

    def penalty(self, x_mid: Variable, h_real: Any, h_1: Any, h_2: Any) -> Variable:
        """Returns: the penalty, in which the critic's gradient by its features counts as a constant."""
        h_mid = self.transform(x_mid)
        h = Variable(h_mid.array)
        (weights,) = chainer.grad([F.sum(critic(h, h_2))], [h])
        return gradient_penalty(h_mid, x_mid, weights)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        for i in range(self.critic_steps):
            (x_real,) = self.next_batch()
            x_1, x_2 = self.generator(self.draw_z()), self.generator(self.draw_z2())
            h_real, h_1, h_2 = self.transform(x_real), self.transform(x_1), self.transform(x_2)
            surrogate = self.surrogate(h_real, h_1, h_2)
            if i == 0:
                loss_generator = F.mean(norm(h_real - h_1) + norm(h_real - h_2) - norm(h_1 - h_2))
                update(self.generator_optimizer, loss_generator)
            x_1.unchain_backward()
            x_2.unchain_backward()
            penalty = self.penalty(self.interpolate(x_real, x_1.array), h_real.array, h_1.array, h_2.array)
            loss_critic = surrogate + self.penalty_weight * penalty
            update(self.discriminator_optimizer, loss_critic)
        return {
            "loss_D": float(loss_critic.array),
            "loss_G": float(loss_generator.array),
            "gradient_penalty": float(penalty.array),
        }


class PaperLoop(Loop):
    """The same as the paper has it: h_2 is a constant, and nothing else."""

    def surrogate(self, h_real: Variable, h_1: Variable, h_2: Variable) -> Variable:
        return super().surrogate(h_real, h_1, h_2.array)

    def penalty(self, x_mid: Variable, h_real: Any, h_1: Any, h_2: Any) -> Variable:
        return gradient_penalty(critic(self.transform(x_mid), h_2), x_mid)


class SecondLoop(PaperLoop):
    """The paper's second version: the penalty is on the direction between fake and real."""

    def penalty(self, x_mid: Variable, h_real: Any, h_1: Any, h_2: Any) -> Variable:
        h_mid = self.transform(x_mid)
        return gradient_penalty(norm(h_mid - h_1) - norm(h_mid - h_real), x_mid)
