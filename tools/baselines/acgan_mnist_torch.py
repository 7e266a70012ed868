"""ACGAN on 32x32 digits in plain PyTorch: one discriminator says whether an image is real, and what its label is.

Source: Odena, Olah, Shlens 2017, arXiv:1610.09585, equations 2 and 3; the discriminator of Keras,
examples/mnist_acgan.py, and the generator of the blog on Chainer-GAN-lib. Fakes are detached for the discriminator,
in whose step Keras takes them from a generator in inference, and have the labels of the real batch, where the paper
draws them. The generator's loss is the paper's, which saturates; Keras' does not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import ConditionalGenerator, sizes
from ganspec.tools.baselines.dcgan_mnist_torch import convolutions
from ganspec.tools.baselines.loop_torch import start_as_keras


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    d = system.networks["D"].constants
    numbers = (int(d[key]) for key in ("ch", "size", "channels", "labels"))
    discriminator = Discriminator(*numbers, d["rate"])
    return Loop(system, images, device, ConditionalGenerator(**sizes(system, "G")), discriminator, labels)


class Discriminator(nn.Module):
    def __init__(self, ch: int, size: int, channels: int, labels: int, rate: float) -> None:
        super().__init__()
        self.features = nn.Sequential(*convolutions(ch, channels, rate))
        self.source = nn.Linear(8 * ch * (size // 8) ** 2, 1)
        self.label = nn.Linear(8 * ch * (size // 8) ** 2, labels)
        start_as_keras(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.features(x)
        return self.source(h), self.label(h)


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (logits.argmax(dim=1) == y).to(logits.dtype).mean()


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, then the generator's on fresh noise."""
        x_real, y = self.next_batch()
        x_fake = self.generator(self.draw_z(), y).detach()
        (source_real, class_real), (source_fake, class_fake) = self.discriminator(x_real), self.discriminator(x_fake)
        loss_source = softplus(-source_real).mean() + softplus(source_fake).mean()
        loss_discriminator = loss_source + cross_entropy(class_real, y) + cross_entropy(class_fake, y)
        update(self.discriminator_optimizer, loss_discriminator)
        source, label = self.discriminator(self.generator(self.draw_z(), y))
        loss_generator = cross_entropy(label, y) - softplus(source).mean()
        update(self.generator_optimizer, loss_generator)
        return {
            "loss_D": loss_discriminator.item(),
            "accuracy_real": accuracy(class_real, y).item(),
            "accuracy_fake": accuracy(class_fake, y).item(),
            "loss_G": loss_generator.item(),
        }
