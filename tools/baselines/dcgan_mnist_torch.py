"""DCGAN on 32x32 digits in plain PyTorch: a discriminator with dropout, and its step before the generator's.

Source: the discriminator of Keras, examples/mnist_acgan.py, the generator of Chainer-GAN-lib, and the loop of
PyTorch's own example of a DCGAN after Radford, Metz, Chintala 2016, arXiv:1511.06434: binary cross-entropy, and fakes
detached for the discriminator. It differs from that example in that the generator's step draws fresh noise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, update
from ganspec.tools.baselines.cifar10_networks_torch import SLOPE, make_generator, sizes
from ganspec.tools.baselines.loop_torch import start_as_keras


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    d = system.networks["D"].constants
    ch, size, channels, outputs = (int(d[key]) for key in ("ch", "size", "channels", "outputs"))
    discriminator = nn.Sequential(*convolutions(ch, channels, d["rate"]), nn.Linear(8 * ch * (size // 8) ** 2, outputs))
    start_as_keras(discriminator)
    return Loop(system, images, device, make_generator(**sizes(system, "G")), discriminator)


def convolutions(ch: int, channels: int, rate: float) -> list[nn.Module]:
    """Returns: four convolutions, each with dropout; the first three halve the image."""
    return [
        nn.Conv2d(channels, ch, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE), nn.Dropout(rate),
        nn.Conv2d(ch, 2 * ch, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE), nn.Dropout(rate),
        nn.Conv2d(2 * ch, 4 * ch, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE), nn.Dropout(rate),
        nn.Conv2d(4 * ch, 8 * ch, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Dropout(rate), nn.Flatten(),
    ]  # fmt: skip


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z()).detach()
        y_real, y_fake = self.discriminator(x_real), self.discriminator(x_fake)
        ones, zeros = torch.ones_like(y_real), torch.zeros_like(y_fake)
        loss_discriminator = binary_cross_entropy_with_logits(y_real, ones)
        loss_discriminator = loss_discriminator + binary_cross_entropy_with_logits(y_fake, zeros)
        update(self.discriminator_optimizer, loss_discriminator)
        fooled = self.discriminator(self.generator(self.draw_z()))
        loss_generator = binary_cross_entropy_with_logits(fooled, ones)
        update(self.generator_optimizer, loss_generator)
        return {"loss_D": loss_discriminator.item(), "loss_G": loss_generator.item()}
