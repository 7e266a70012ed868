"""Denoising feature matching on CIFAR-10 in plain Chainer: all networks move with one evaluation of each.

Source: Chainer-GAN-lib, dfm/net.py and dfm/updater.py; Warde-Farley and Bengio 2017, ICLR. As there, the
discriminator is evaluated on the fakes once, and their graph is cut between the updates, which come after all
gradients; and what the denoiser makes of the fakes' features, a constant, is evaluated with a graph that nothing
uses.
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
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop
from ganspec.tools.baselines.cifar10_networks_chainer import Generator, batch_norm, leaky, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Discriminator(chainer.Chain):
    def __init__(self, ch: int, bottom: int, channels: int, wscale: float) -> None:
        super().__init__()
        w = chainer.initializers.Normal(wscale)
        with self.init_scope():
            self.c0 = L.Convolution2D(channels, ch // 16, 3, 1, 1, initialW=w)
            self.c1, self.bn1 = L.Convolution2D(ch // 16, ch // 8, 4, 2, 1, initialW=w), batch_norm(ch // 8)
            self.c2, self.bn2 = L.Convolution2D(ch // 8, ch // 4, 4, 2, 1, initialW=w), batch_norm(ch // 4)
            self.c3, self.bn3 = L.Convolution2D(ch // 4, ch // 2, 4, 2, 1, initialW=w), batch_norm(ch // 2)
            self.c4, self.bn4 = L.Convolution2D(ch // 2, ch, 4, 2, 1, initialW=w), batch_norm(ch, use_gamma=False)
            self.l5 = L.Linear(ch * bottom**2, 1, initialW=w)

    def forward(self, x: Any) -> tuple[chainer.Variable, chainer.Variable]:
        h = leaky(self.bn1(self.c1(leaky(self.c0(x)))))
        h = leaky(self.bn3(self.c3(leaky(self.bn2(self.c2(h))))))
        feature = self.bn4(self.c4(h))
        return feature, self.l5(leaky(feature))


class Denoiser(chainer.Chain):
    def __init__(self, ch: int, bottom: int) -> None:
        super().__init__()
        units = ch * bottom**2
        with self.init_scope():
            for i in range(10):
                setattr(self, f"l{i}", L.Linear(units, units))
            for i in range(9):
                setattr(self, f"bn{i}", batch_norm(units))

    def forward(self, f: Any) -> chainer.Variable:
        h = f
        for i in range(9):
            h = leaky(self[f"bn{i}"](self[f"l{i}"](h)))
        return F.reshape(self.l9(h), f.shape)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        generator, discriminator = Generator(**sizes(system, "G")), Discriminator(**sizes(system, "D"))
        super().__init__(system, images, device, generator, discriminator)
        r = sizes(system, "R")
        self.shape = (self.batch, r["ch"], r["bottom"], r["bottom"])
        self.denoiser = self.networks["R"] = Denoiser(**r)
        self.denoiser_optimizer = self.make_optimizer(system, "R")
        self.denoiser_weight = system.loss.constants["denoiser_weight"]

    def draw_noise(self) -> Any:
        return self.device.xp.random.standard_normal(self.shape).astype(self.dtype)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        feature_real, y_real = self.discriminator(x_real)
        clean = feature_real.array
        loss_denoiser = F.mean_squared_error(self.denoiser(clean + self.draw_noise()), clean)
        x_fake = self.generator(self.draw_z())
        feature_fake, y_fake = self.discriminator(x_fake)
        with chainer.using_config("train", False):
            denoised = self.denoiser(feature_fake).array
        loss_generator = F.mean(F.softplus(-y_fake))
        loss_generator += self.denoiser_weight * F.mean_squared_error(feature_fake, denoised)
        loss_discriminator = F.mean(F.softplus(-y_real)) + F.mean(F.softplus(y_fake))

        self.denoiser.cleargrads()
        loss_denoiser.backward()
        self.generator.cleargrads()
        loss_generator.backward()
        x_fake.unchain_backward()
        self.discriminator.cleargrads()
        loss_discriminator.backward()
        self.denoiser_optimizer.update()
        self.generator_optimizer.update()
        self.discriminator_optimizer.update()
        return {
            "loss_D": float(loss_discriminator.array),
            "loss_R": float(loss_denoiser.array),
            "loss_G": float(loss_generator.array),
        }
