"""WGAN-GP with MLPs in plain Chainer.

Source: Introduction to Artificial Intelligence, chapter 11, as Chainer-GAN-lib writes WGAN-GP. Fakes for the critic are
made with a graph and unchained; the generator's step lets `backward` fill the critic's gradients too, to be cleared.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_chainer import Batches, adam, use_device


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Generator(chainer.Chain):
    def __init__(self, latent: int, width: int, pixels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        with self.init_scope():
            self.l1, self.bn1 = L.Linear(latent, width), L.BatchNormalization(width, eps=1e-5)
            self.l2, self.bn2 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l3, self.bn3 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l4 = L.Linear(width, pixels)

    def forward(self, z: Any) -> chainer.Variable:
        h = self.bn1(F.leaky_relu(self.l1(z), self.slope))
        h = self.bn2(F.leaky_relu(self.l2(h), self.slope))
        h = self.bn3(F.leaky_relu(self.l3(h), self.slope))
        return F.tanh(self.l4(h))


class Critic(chainer.Chain):
    def __init__(self, pixels: int, width: int, slope: float, dropout: float) -> None:
        super().__init__()
        self.slope, self.dropout = slope, dropout
        with self.init_scope():
            self.l1 = L.Linear(pixels, width)
            self.l2 = L.Linear(width, width)
            self.l3 = L.Linear(width, width)
            self.l4 = L.Linear(width, 1)

    def forward(self, x: Any) -> chainer.Variable:
        h = F.dropout(F.leaky_relu(self.l1(x), self.slope), self.dropout)
        h = F.dropout(F.leaky_relu(self.l2(h), self.slope), self.dropout)
        h = F.dropout(F.leaky_relu(self.l3(h), self.slope), self.dropout)
        return self.l4(h)


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        pixels = images[0].size
        self.device = use_device(device)
        self.batch, self.latent = system.run.batch, int(g["latent"])
        self.dtype = chainer.get_dtype()
        self.generator = Generator(self.latent, int(g["width"]), pixels, g["slope"])
        self.critic = Critic(pixels, int(d["width"]), d["slope"], d["dropout"])
        self.critic_steps = system.schedule.steps[0].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]
        self.networks = {"G": self.generator, "D": self.critic}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.critic_optimizer = adam(self.critic, system.optimizers["D"])
        self.next_batch = Batches(system, images.reshape(len(images), pixels), None, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.latent)).astype(self.dtype)

    def draw_eps(self) -> Any:
        return self.device.xp.random.uniform(0, 1, (self.batch, 1)).astype(self.dtype)

    def gradient_penalty(self, x_real: Any, x_fake: chainer.Variable) -> chainer.Variable:
        eps = self.draw_eps()
        x_hat = chainer.Variable(eps * x_real + (1 - eps) * x_fake.array)
        (gradient,) = chainer.grad([self.critic(x_hat)], [x_hat], enable_double_backprop=True)
        norm = F.sqrt(F.sum(F.square(gradient), axis=1))
        return F.mean_squared_error(norm, self.device.xp.ones_like(norm.array))

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's steps on one real batch, then the generator's."""
        (x_real,) = self.next_batch()
        for _ in range(self.critic_steps):
            x_fake = self.generator(self.draw_z())
            x_fake.unchain_backward()
            distance = F.mean(self.critic(x_real)) - F.mean(self.critic(x_fake))
            penalty = self.gradient_penalty(x_real, x_fake)
            loss_critic = -distance + self.penalty_weight * penalty
            self.critic.cleargrads()
            loss_critic.backward()
            self.critic_optimizer.update()
        loss_generator = -F.mean(self.critic(self.generator(self.draw_z())))
        self.generator.cleargrads()
        loss_generator.backward()
        self.generator_optimizer.update()
        return {
            "loss_D": float(loss_critic.array),
            "distance": float(distance.array),
            "gradient_penalty": float(penalty.array),
            "loss_G": float(loss_generator.array),
        }
