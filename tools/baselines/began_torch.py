"""BEGAN in plain PyTorch, with the networks of keras_BEGAN.

Source: keras_BEGAN and Berthelot, Schumm, Metz 2017, arXiv:1703.10717. Fakes for the discriminator are made without a
graph, as Keras predicts; the generator's step lets `backward` fill the discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, adam


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    loop = PaperLoop if system.loss.name == "began_paper" else Loop
    return loop(system, images, device)


def make_encoder(n: int, channels: int, size: int, code: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, n, 3, padding=1), nn.ELU(), nn.Conv2d(n, n, 3, stride=2, padding=1), nn.ELU(),
        nn.Conv2d(n, 2 * n, 3, padding=1), nn.ELU(), nn.Conv2d(2 * n, 2 * n, 3, stride=2, padding=1), nn.ELU(),
        nn.Conv2d(2 * n, 3 * n, 3, padding=1), nn.ELU(), nn.Conv2d(3 * n, 3 * n, 3, stride=2, padding=1), nn.ELU(),
        nn.Conv2d(3 * n, 4 * n, 3, padding=1), nn.ELU(), nn.Conv2d(4 * n, 4 * n, 3, padding=1), nn.ELU(),
        nn.Flatten(), nn.Linear(4 * n * (size // 8) ** 2, code),
    )  # fmt: skip


def make_decoder(n: int, channels: int, size: int, code: int) -> nn.Module:
    start = size // 8
    return nn.Sequential(
        nn.Linear(code, n * start**2), nn.Unflatten(1, (n, start, start)),
        nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Upsample(scale_factor=2),
        nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Upsample(scale_factor=2),
        nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Upsample(scale_factor=2),
        nn.Conv2d(n, n, 3, padding=1), nn.ELU(), nn.Conv2d(n, n, 3, padding=1), nn.ELU(),
        nn.Conv2d(n, channels, 3, padding=1),
    )  # fmt: skip


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = ({key: int(v) for key, v in system.networks[name].constants.items()} for name in ("G", "D"))
        self.device, self.batch, self.code = device, system.run.batch, g["code"]
        self.generator = make_decoder(**g).to(device)
        self.discriminator = nn.Sequential(make_encoder(**d), make_decoder(**d)).to(device)
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.next_batch = Batches(system, images, None, device)

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.code, device=self.device) * 2 - 1

    def reconstruction_loss(self, v: torch.Tensor) -> torch.Tensor:
        return (v - self.discriminator(v)).abs().mean()

    def train(self) -> tuple[float, float, float, float]:
        """Update the discriminator, then the generator on fresh noise.

        Returns: the discriminator's loss, its parts of real images and of fakes, the generator's loss.
        """
        (x_real,) = self.next_batch()
        with torch.no_grad():
            x_fake = self.generator(self.draw_z())
        loss_real, loss_fake = self.reconstruction_loss(x_real), self.reconstruction_loss(x_fake)
        loss_discriminator = loss_real - self.k * loss_fake
        self.discriminator_optimizer.zero_grad()
        loss_discriminator.backward()
        self.discriminator_optimizer.step()
        loss_generator = self.reconstruction_loss(self.generator(self.draw_z()))
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        return loss_discriminator.item(), loss_real.item(), loss_fake.item(), loss_generator.item()

    def move_k(self, real: float, fake: float) -> float:
        """Returns: M."""
        self.k = min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
        return real + abs(self.gamma * real - fake)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        loss_discriminator, real, fake, loss_generator = self.train()
        m = self.move_k(real, fake)
        return {
            "loss_D": loss_discriminator,
            "L_real": real,
            "L_fake": fake,
            "M": m,
            "k": self.k,
            "loss_G": loss_generator,
        }


class PaperLoop(Loop):
    """The same with k from the generator's loss, as the paper has it."""

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        loss_discriminator, real, _, loss_generator = self.train()
        m = self.move_k(real, loss_generator)
        return {"loss_D": loss_discriminator, "L_real": real, "loss_G": loss_generator, "M": m, "k": self.k}
