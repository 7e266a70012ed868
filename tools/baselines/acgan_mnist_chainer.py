"""ACGAN on 32x32 digits in plain Chainer: one discriminator says whether an image is real, and what its label is.

Source: Odena, Olah, Shlens 2017, arXiv:1610.09585, equations 2 and 3; the discriminator of Keras,
examples/mnist_acgan.py, and the generator of the blog on Chainer-GAN-lib. Fakes are unchained for the discriminator,
in whose step Keras takes them from a generator in inference, and have the labels of the real batch, where the paper
draws them. The generator's loss is the paper's, which saturates; Keras' does not.
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
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_chainer import ConditionalGenerator, sizes
from ganspec.tools.baselines.dcgan_mnist_chainer import Convolutions


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    d = system.networks["D"].constants
    numbers = (int(d[key]) for key in ("ch", "size", "channels", "labels"))
    discriminator = Discriminator(*numbers, d["rate"])
    return Loop(system, images, device, ConditionalGenerator(**sizes(system, "G")), discriminator, labels)


class Discriminator(Convolutions):
    def __init__(self, ch: int, size: int, channels: int, labels: int, rate: float) -> None:
        super().__init__(ch, channels, rate)
        features, w = 8 * ch * (size // 8) ** 2, chainer.initializers.GlorotUniform()
        self.add_link("source", L.Linear(features, 1, initialW=w))
        self.add_link("class", L.Linear(features, labels, initialW=w))

    def forward(self, x: Any) -> tuple[chainer.Variable, chainer.Variable]:
        h = self.features(x)
        return self["source"](h), self["class"](h)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, then the generator's on fresh noise."""
        x_real, y = self.next_batch()
        x_fake = self.generator(self.draw_z(), y)
        x_fake.unchain_backward()
        (source_real, class_real), (source_fake, class_fake) = self.discriminator(x_real), self.discriminator(x_fake)
        loss_discriminator = F.mean(F.softplus(-source_real)) + F.mean(F.softplus(source_fake))
        loss_discriminator += F.softmax_cross_entropy(class_real, y) + F.softmax_cross_entropy(class_fake, y)
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
