"""WGAN with weight clipping on CIFAR-10 in plain Chainer.

Source: Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, and the authors' code, which is for PyTorch, with
the networks of Chainer-GAN-lib. As in that code, fakes for the critic are made without a graph; unlike there, the critic's
loss is one sum with one `backward`, and the generator's step lets `backward` fill the critic's gradients too, to be cleared:
Chainer has no switch to spare them. The paper clips after the critic's step, the authors' code before it.
"""

from __future__ import annotations

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import Critic, Generator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        self.critic = Critic(**sizes(system, "D"))
        super().__init__(system, images, device, Generator(**sizes(system, "G")), self.critic)
        self.repeat, self.warmup = system.schedule.steps[0].repeat, system.schedule.steps[0].repeat_override
        self.clip = system.optimizers["D"].clip
        self.iteration = 0

    def make_optimizer(self, system: System, name: str) -> chainer.Optimizer:
        numbers = system.optimizers[name]
        optimizer = chainer.optimizers.RMSprop(lr=numbers.learning_rate, alpha=numbers.decay, eps=numbers.epsilon)
        optimizer.setup(self.networks[name].to_device(self.device))
        return optimizer

    def critic_steps(self) -> int:
        often = self.iteration < self.warmup.first or self.iteration % self.warmup.every == 0
        return self.warmup.repeat if often else self.repeat

    def clip_weights(self) -> None:
        for parameter in self.critic.params():
            self.device.xp.clip(parameter.array, -self.clip.bound, self.clip.bound, out=parameter.array)

    def critic_step(self) -> chainer.Variable:
        if self.clip.when == "before":
            self.clip_weights()
        (x_real,) = self.next_batch()
        with chainer.no_backprop_mode():
            x_fake = self.generator(self.draw_z()).array
        loss = F.mean(self.critic(x_fake)) - F.mean(self.critic(x_real))
        update(self.discriminator_optimizer, loss)
        if self.clip.when == "after":
            self.clip_weights()
        return loss

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's steps, each on new images and noise, then the generator's."""
        for _ in range(self.critic_steps()):
            loss_critic = self.critic_step()
        loss_generator = -F.mean(self.critic(self.generator(self.draw_z())))
        update(self.generator_optimizer, loss_generator)
        self.iteration += 1
        return {"loss_D": float(loss_critic.array), "loss_G": float(loss_generator.array)}
