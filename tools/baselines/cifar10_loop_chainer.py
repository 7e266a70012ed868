"""What the plain Chainer loops on CIFAR-10 share: two networks with Adam, noise, an update, a gradient penalty.

The body of an iteration stands in `__call__`, as in Chainer-GAN-lib it stands in the `update_core` of an updater.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_chainer import Batches, adam, use_device


class GanLoop:
    """A generator and its opponent, with their optimisers, and the data.

    Args:
        system: the system.
        images: uint8, (n, channels, height, width).
        device: "cpu", "cuda" or "cuda:N".
        generator: network G.
        discriminator: network D.
        labels: whole numbers, (n,); None where the loop needs none.
    """

    def __init__(
        self,
        system: System,
        images: np.ndarray,
        device: str,
        generator: chainer.Chain,
        discriminator: chainer.Chain,
        labels: np.ndarray | None = None,
    ) -> None:
        self.device, self.dtype = use_device(device), chainer.get_dtype()
        self.batch, self.latent = system.run.batch, int(system.networks["G"].constants["latent"])
        self.generator, self.discriminator = generator, discriminator
        self.networks = {"G": generator, "D": discriminator}
        self.generator_optimizer = self.make_optimizer(system, "G")
        self.discriminator_optimizer = self.make_optimizer(system, "D")
        self.next_batch = Batches(system, images, labels, self.device)

    def make_optimizer(self, system: System, name: str) -> chainer.Optimizer:
        self.networks[name].to_device(self.device)
        return adam(self.networks[name], system.optimizers[name])

    def uniform(self, low: float, shape: tuple[int, ...]) -> Any:
        return self.device.xp.random.uniform(low, 1, shape).astype(self.dtype)

    def draw_z(self) -> Any:
        return self.uniform(-1, (self.batch, self.latent))

    def draw_eps(self) -> Any:
        return self.uniform(0, (self.batch, 1, 1, 1))


def update(optimizer: chainer.Optimizer, loss: chainer.Variable) -> None:
    """Move a network against the gradient of its loss."""
    optimizer.target.cleargrads()
    loss.backward()
    optimizer.update()


def gradient_penalty(y: chainer.Variable, x: chainer.Variable, weights: Any = None) -> chainer.Variable:
    """Returns: mean((norm of the gradient of y by x - 1)^2); y counts with `weights`, which are 1 if None."""
    weights = chainer.Variable(y.xp.ones_like(y.array)) if weights is None else weights
    (gradient,) = chainer.grad([y], [x], grad_outputs=[weights], enable_double_backprop=True)
    norm = F.sqrt(F.sum(F.square(gradient), axis=(1, 2, 3)))
    return F.mean_squared_error(norm, y.xp.ones_like(norm.array))
