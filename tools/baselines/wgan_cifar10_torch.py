"""WGAN with weight clipping on CIFAR-10 in plain PyTorch.

Source: Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, and the authors' code, with the networks of
Chainer-GAN-lib. As in that code, fakes for the critic are made without a graph, and the critic's weights need no gradient
in the generator's step; unlike there, the critic's loss is one sum with one `backward`. The paper clips after the critic's
step, the authors' code before it.
"""

from __future__ import annotations

import numpy as np
import torch

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import make_critic, make_generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        self.critic = make_critic(**sizes(system, "D"))
        super().__init__(system, images, device, make_generator(**sizes(system, "G")), self.critic)
        self.repeat, self.warmup = system.schedule.steps[0].repeat, system.schedule.steps[0].repeat_override
        self.clip = system.optimizers["D"].clip
        self.iteration = 0

    def make_optimizer(self, system: System, name: str) -> torch.optim.Optimizer:
        numbers = system.optimizers[name]
        parameters = self.networks[name].parameters()
        return torch.optim.RMSprop(parameters, lr=numbers.learning_rate, alpha=numbers.decay, eps=numbers.epsilon)

    def critic_steps(self) -> int:
        often = self.iteration < self.warmup.first or self.iteration % self.warmup.every == 0
        return self.warmup.repeat if often else self.repeat

    @torch.no_grad()
    def clip_weights(self) -> None:
        for parameter in self.critic.parameters():
            parameter.clamp_(-self.clip.bound, self.clip.bound)

    def critic_step(self) -> torch.Tensor:
        if self.clip.when == "before":
            self.clip_weights()
        (x_real,) = self.next_batch()
        with torch.no_grad():
            x_fake = self.generator(self.draw_z())
        loss = self.critic(x_fake).mean() - self.critic(x_real).mean()
        update(self.discriminator_optimizer, loss)
        if self.clip.when == "after":
            self.clip_weights()
        return loss

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's steps, each on new images and noise, then the generator's."""
        for _ in range(self.critic_steps()):
            loss_critic = self.critic_step()
        self.critic.requires_grad_(False)
        loss_generator = -self.critic(self.generator(self.draw_z())).mean()
        update(self.generator_optimizer, loss_generator)
        self.critic.requires_grad_(True)
        self.iteration += 1
        return {"loss_D": loss_critic.item(), "loss_G": loss_generator.item()}
