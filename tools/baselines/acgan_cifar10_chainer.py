"""Auxiliary classifier GAN on CIFAR-10 in plain Chainer: a discriminator step, then a generator step on fresh noise.

Source: Odena, Olah, Shlens 2017, arXiv:1610.09585, equations 2 and 3, with the networks of Chainer-GAN-lib. The paper draws
the labels of the fakes; here they are those of the real images. Fakes for the discriminator are made with a graph and
unchained; the generator's step lets `backward` fill the discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer.initializers import Normal

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import ConditionalGenerator, Features, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    generator, discriminator = ConditionalGenerator(**sizes(system, "G")), Discriminator(**sizes(system, "D"))
    return Loop(system, images, device, generator, discriminator, labels)


class Discriminator(Features):
    """Two heads on common features: real or fake, and which class."""

    def __init__(self, ch: int, bottom: int, channels: int, labels: int, wscale: float) -> None:
        super().__init__(ch, channels, wscale)
        self.heads = ("source", "class")  # the second name is a keyword of Python
        with self.init_scope():
            for name, units in zip(self.heads, (1, labels), strict=True):
                setattr(self, name, L.Linear(ch * bottom**2, units, initialW=Normal(wscale)))

    def forward(self, x: Any) -> tuple[chainer.Variable, ...]:
        h = self.features(x)
        return tuple(self[name](h) for name in self.heads)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        x_real, y = self.next_batch()
        x_fake = self.generator(self.draw_z(), y)
        x_fake.unchain_backward()
        (source_real, class_real), (source_fake, class_fake) = self.discriminator(x_real), self.discriminator(x_fake)
        loss_source = F.mean(F.softplus(-source_real)) + F.mean(F.softplus(source_fake))
        loss_class = F.softmax_cross_entropy(class_real, y) + F.softmax_cross_entropy(class_fake, y)
        loss_discriminator = loss_source + loss_class
        update(self.discriminator_optimizer, loss_discriminator)
        source, label = self.discriminator(self.generator(self.draw_z(), y))
        loss_generator = F.softmax_cross_entropy(label, y) - F.mean(F.softplus(source))
        update(self.generator_optimizer, loss_generator)
        return {
            "loss_D": float(loss_discriminator.array),
            "accuracy_real": float(F.accuracy(class_real, y).array),
            "accuracy_fake": float(F.accuracy(class_fake, y).array),
            "loss_G": float(loss_generator.array),
        }
