"""A conditional WGAN-GP with MLPs in plain Chainer.

Source: Introduction to Artificial Intelligence, chapter 11, written as Chainer-GAN-lib writes WGAN-GP: the source is
in PyTorch, and Adam here is Chainer's, which adds epsilon to the uncorrected square root. Fakes for the critic are
made with a graph and unchained; the generator's step draws labels of its own, and lets `backward` fill the critic's
gradients too, to be cleared.
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
    return Loop(system, images, labels, device)


class Generator(chainer.Chain):
    def __init__(self, latent: int, labels: int, code: int, width: int, pixels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        with self.init_scope():
            self.embedding = L.EmbedID(labels, code)
            self.l1, self.bn1 = L.Linear(latent + code, width), L.BatchNormalization(width, eps=1e-5)
            self.l2, self.bn2 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l3, self.bn3 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l4 = L.Linear(width, pixels)

    def forward(self, z: Any, y: Any) -> chainer.Variable:
        h = F.concat([z, self.embedding(y)])
        h = self.bn1(F.leaky_relu(self.l1(h), self.slope))
        h = self.bn2(F.leaky_relu(self.l2(h), self.slope))
        h = self.bn3(F.leaky_relu(self.l3(h), self.slope))
        return F.tanh(self.l4(h))


class Critic(chainer.Chain):
    def __init__(self, labels: int, code: int, width: int, pixels: int, slope: float, dropout: float) -> None:
        super().__init__()
        self.slope, self.dropout = slope, dropout
        with self.init_scope():
            self.embedding = L.EmbedID(labels, code)
            self.l1 = L.Linear(pixels + code, width)
            self.l2 = L.Linear(width, width)
            self.l3 = L.Linear(width, width)
            self.l4 = L.Linear(width, 1)

    def forward(self, x: Any, y: Any) -> chainer.Variable:
        h = F.concat([x, self.embedding(y)])
        h = F.dropout(F.leaky_relu(self.l1(h), self.slope), self.dropout)
        h = F.dropout(F.leaky_relu(self.l2(h), self.slope), self.dropout)
        h = F.dropout(F.leaky_relu(self.l3(h), self.slope), self.dropout)
        return self.l4(h)


def make_networks(system: System, pixels: int) -> tuple[Generator, Critic]:
    """Returns: generator and critic in the sizes of a system."""
    g, d = (system.networks[name].constants for name in ("G", "D"))
    labels = int(g["labels"])
    generator = Generator(int(g["latent"]), labels, int(g["code"]), int(g["width"]), pixels, g["slope"])
    return generator, Critic(labels, int(d["code"]), int(d["width"]), pixels, d["slope"], d["dropout"])


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        pixels = images[0].size
        self.device, self.dtype = use_device(device), chainer.get_dtype()
        self.batch, self.labels = system.run.batch, int(system.data.labels)
        self.latent = int(system.networks["G"].constants["latent"])
        self.generator, self.critic = make_networks(system, pixels)
        self.networks = {"G": self.generator, "D": self.critic}
        for network in self.networks.values():
            network.to_device(self.device)
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.critic_optimizer = adam(self.critic, system.optimizers["D"])
        self.critic_steps = system.schedule.steps[0].repeat
        self.penalty_weight = system.loss.constants["penalty_weight"]
        self.next_batch = Batches(system, images.reshape(len(images), pixels), labels, self.device)

    def draw_z(self) -> Any:
        return self.device.xp.random.uniform(-1, 1, (self.batch, self.latent)).astype(self.dtype)

    def draw_c(self) -> Any:
        return self.device.xp.random.randint(0, self.labels, self.batch).astype(np.int32)

    def draw_eps(self) -> Any:
        return self.device.xp.random.uniform(0, 1, (self.batch, 1)).astype(self.dtype)

    def gradient_penalty(self, x_real: Any, x_fake: chainer.Variable, y: Any) -> chainer.Variable:
        eps = self.draw_eps()
        x_hat = chainer.Variable(eps * x_real + (1 - eps) * x_fake.array)
        (gradient,) = chainer.grad([self.critic(x_hat, y)], [x_hat], enable_double_backprop=True)
        norm = F.sqrt(F.sum(F.square(gradient), axis=1))
        return F.mean_squared_error(norm, self.device.xp.ones_like(norm.array))

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's steps on one real batch, then the generator's with labels of its own."""
        x_real, y = self.next_batch()
        for _ in range(self.critic_steps):
            x_fake = self.generator(self.draw_z(), y)
            x_fake.unchain_backward()
            distance = F.mean(self.critic(x_real, y)) - F.mean(self.critic(x_fake, y))
            penalty = self.gradient_penalty(x_real, x_fake, y)
            loss_critic = -distance + self.penalty_weight * penalty
            self.critic.cleargrads()
            loss_critic.backward()
            self.critic_optimizer.update()
        c = self.draw_c()
        loss_generator = -F.mean(self.critic(self.generator(self.draw_z(), c), c))
        self.generator.cleargrads()
        loss_generator.backward()
        self.generator_optimizer.update()
        return {
            "loss_D": float(loss_critic.array),
            "distance": float(distance.array),
            "gradient_penalty": float(penalty.array),
            "loss_G": float(loss_generator.array),
        }
