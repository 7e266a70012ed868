"""A conditional GAN on MNIST with loss-gated steps in plain PyTorch.

Source: Autoencoders in Keras, part 5 (CGAN on MNIST, Keras and TensorFlow 1). As there, discriminator steps are
repeated until its loss is small enough, then generator steps until it is not, each on the next batch, and dropout
acts in every evaluation. The source holds images channels last, which orders the units of the dense layer otherwise;
it takes the first pass in order; and its RMSProp, TensorFlow's, adds epsilon inside of the root, and starts its
average at 1, where PyTorch's adds it outside and starts at 0.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, rmsprop, start_as_keras

EPSILON = 1e-10


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Generator(nn.Module):
    def __init__(self, latent: int, labels: int, n: int, bottom: int, channels: int, rate: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent + labels, 2 * n * bottom**2), nn.ReLU(), nn.Dropout(rate),
            nn.Unflatten(1, (2 * n, bottom, bottom)), nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * n, 2 * n, 5, padding=2), nn.ReLU(), nn.Dropout(rate),
            nn.Conv2d(2 * n, n, 3, padding=1), nn.ReLU(), nn.Dropout(rate),
            nn.Upsample(scale_factor=2), nn.Conv2d(n, channels, 5, padding=2), nn.Sigmoid(),
        )  # fmt: skip
        start_as_keras(self)

    def forward(self, z: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.layers(torch.cat([z, code], dim=1))
        return images


class Discriminator(nn.Module):
    def __init__(self, labels: int, n: int, bottom: int, channels: int, rate: float, slope: float) -> None:
        super().__init__()
        # TensorFlow's "same" padding of an even size at stride 2: two pixels before, three after.
        self.pad, self.conv = nn.ZeroPad2d((2, 3, 2, 3)), nn.Conv2d(channels, n, 7, stride=2)
        self.layers = nn.Sequential(
            nn.LeakyReLU(slope), nn.Dropout(rate), nn.MaxPool2d(2),
            nn.Conv2d(n + labels, n, 3, padding=1), nn.LeakyReLU(slope), nn.Dropout(rate),
            nn.Flatten(), nn.Linear(n * bottom**2, 1), nn.Sigmoid(),
        )  # fmt: skip
        start_as_keras(self)

    def forward(self, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        h = self.conv(self.pad(x))
        planes = code[:, :, None, None].expand(-1, -1, *h.shape[2:])
        probability: torch.Tensor = self.layers(torch.cat([h, planes], dim=1))
        return probability


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        self.latent, self.labels, bottom, channels = (int(g[key]) for key in ("latent", "labels", "bottom", "channels"))
        self.device, self.batch = device, system.run.batch
        self.generator = Generator(self.latent, self.labels, int(g["n"]), bottom, channels, g["rate"]).to(device)
        discriminator = Discriminator(self.labels, int(d["n"]), bottom, channels, d["rate"], d["slope"])
        self.discriminator = discriminator.to(device)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.generator_optimizer = rmsprop(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = rmsprop(self.discriminator, system.optimizers["D"])
        constants = system.schedule.constants
        self.max_steps = int(constants["max_steps"])
        self.good_enough, self.too_good = constants["good_enough"], constants["too_good"]
        self.next_batch = Batches(system, images, labels, device)

    def draw_z(self) -> torch.Tensor:
        return torch.randn(self.batch, self.latent, device=self.device)

    def losses(self, train: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns: the losses of both networks on the next batch, with a graph for one of them."""
        x_real, y = self.next_batch()
        code = F.one_hot(y, self.labels).to(x_real.dtype)
        with torch.set_grad_enabled(train is self.generator):
            x_fake = self.generator(self.draw_z(), code)
        loss_fake = -torch.log(1 - self.discriminator(x_fake, code) + EPSILON).mean()
        with torch.set_grad_enabled(train is self.discriminator):
            loss_real = -torch.log(self.discriminator(x_real, code) + EPSILON).mean()
        return (loss_fake + loss_real) / 2, -loss_fake

    def __call__(self) -> dict[str, float]:
        """Train one iteration: discriminator steps until it is good enough, then generator steps until it is not."""
        for _ in range(self.max_steps):
            loss_discriminator, _ = self.losses(self.discriminator)
            self.discriminator_optimizer.zero_grad()
            loss_discriminator.backward()
            self.discriminator_optimizer.step()
            if loss_discriminator.item() < self.good_enough:
                break
        for _ in range(self.max_steps):
            opponent, loss_generator = self.losses(self.generator)
            self.generator_optimizer.zero_grad()
            loss_generator.backward()
            self.generator_optimizer.step()
            if opponent.item() > self.too_good:
                break
        return {"loss_D": loss_discriminator.item(), "L_D": opponent.item(), "loss_G": loss_generator.item()}
