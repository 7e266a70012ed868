"""WGAN-GP in plain Chainer, written as a stranger writes it; none of it uses ganspec but to import Chainer."""

from __future__ import annotations

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np


class Generator(chainer.Chain):
    """The MLP generator of wgan_gp_mlp_mnist."""

    def __init__(self, latent: int, width: int, pixels: int) -> None:
        super().__init__()
        with self.init_scope():
            self.l1, self.bn1 = L.Linear(latent, width), L.BatchNormalization(width, eps=1e-5)
            self.l2, self.bn2 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l3, self.bn3 = L.Linear(width, width), L.BatchNormalization(width, eps=1e-5)
            self.l4 = L.Linear(width, pixels)

    def forward(self, z):
        h = self.bn1(F.leaky_relu(self.l1(z), 0.3))
        h = self.bn2(F.leaky_relu(self.l2(h), 0.3))
        h = self.bn3(F.leaky_relu(self.l3(h), 0.3))
        return F.tanh(self.l4(h))


class Critic(chainer.Chain):
    """The MLP critic of wgan_gp_mlp_mnist."""

    def __init__(self, pixels: int, width: int, slope: float = 0.3) -> None:
        super().__init__()
        self.slope = slope
        with self.init_scope():
            self.fc1, self.fc2 = L.Linear(pixels, width), L.Linear(width, width)
            self.fc3, self.fc4 = L.Linear(width, width), L.Linear(width, 1)

    def forward(self, x):
        h = F.dropout(F.leaky_relu(self.fc1(x), self.slope), 0.5)
        h = F.dropout(F.leaky_relu(self.fc2(h), self.slope), 0.5)
        h = F.dropout(F.leaky_relu(self.fc3(h), self.slope), 0.5)
        return self.fc4(h)


class WganGp:
    """Five critic steps on one real batch, then one generator step."""

    def __init__(self, generator: chainer.Chain, critic: chainer.Chain, latent: int) -> None:
        self.generator, self.critic, self.latent = generator, critic, latent
        # Chainer's epsilon is beside the uncorrected root; this one is so small that its place does not matter.
        self.opt_g, self.opt_d = (chainer.optimizers.Adam(1e-4, beta1=0.0, beta2=0.9, eps=1e-30) for _ in range(2))
        self.opt_g.setup(generator)
        self.opt_d.setup(critic)

    def noise(self, x):
        return np.random.uniform(-1, 1, (len(x), self.latent)).astype(x.dtype)

    def norm(self, gradient):
        return F.sqrt(F.sum(F.square(gradient), axis=1))

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for _ in range(5):
            fake = self.generator(self.noise(x))
            fake.unchain_backward()
            distance = F.mean(self.critic(x)) - F.mean(self.critic(fake))
            eps = np.random.rand(len(x), 1).astype(x.dtype)
            x_hat = chainer.Variable(eps * x + (1 - eps) * fake.array)
            (gradient,) = chainer.grad([self.critic(x_hat)], [x_hat], enable_double_backprop=True)
            penalty = F.mean(F.square(self.norm(gradient) - 1))
            loss = 10 * penalty - distance
            self.critic.cleargrads()
            loss.backward()
            self.opt_d.update()
        loss_g = -F.mean(self.critic(self.generator(self.noise(x))))
        self.generator.cleargrads()
        loss_g.backward()
        self.opt_g.update()
        return {"loss_D": loss, "distance": distance, "gradient_penalty": penalty, "loss_G": loss_g}
