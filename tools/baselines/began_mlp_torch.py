"""BEGAN with MLPs in plain PyTorch.

Source: Berthelot, Schumm, Metz 2017, arXiv:1703.10717, with the batch norms of
tensorflow-generative-model-collections (hwalsuklee), BEGAN.py, whose convolutions are linear layers here. Fakes for
the discriminator are made with a graph and detached; k moves with the values of the discriminator's step, where the
paper has those of one evaluation for both networks; the generator's step takes fresh noise, and lets `backward` fill
the discriminator's gradients too, to be cleared.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, adam, start_as_keras


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


def make_generator(latent: int, width: int, pixels: int, start: float) -> nn.Module:
    network = nn.Sequential(
        nn.Linear(latent, width), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Linear(width, pixels), nn.Sigmoid(),
    )  # fmt: skip
    start_as_keras(network)
    nn.init.constant_(network[-2].bias, start)
    return network


def make_autoencoder(code: int, width: int, pixels: int, start: float) -> nn.Module:
    network = nn.Sequential(
        nn.Linear(pixels, width), nn.ReLU(),
        nn.Linear(width, code), nn.BatchNorm1d(code), nn.ReLU(),
        nn.Linear(code, width), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Linear(width, pixels), nn.Sigmoid(),
    )  # fmt: skip
    start_as_keras(network)
    nn.init.constant_(network[-2].bias, start)
    return network


class Loop:
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        pixels = images[0].size
        self.device, self.batch, self.latent = device, system.run.batch, int(g["latent"])
        self.generator = make_generator(self.latent, int(g["width"]), pixels, g["start"]).to(device)
        self.discriminator = make_autoencoder(int(d["code"]), int(d["width"]), pixels, d["start"]).to(device)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.discriminator_optimizer = adam(self.discriminator, system.optimizers["D"])
        self.gamma, self.lambda_k = system.loss.constants["gamma"], system.loss.constants["lambda_k"]
        self.k = system.loss.carried["k"].start
        self.next_batch = Batches(system, images.reshape(len(images), pixels), None, device)

    def draw_z(self) -> torch.Tensor:
        return torch.rand(self.batch, self.latent, device=self.device) * 2 - 1

    def reconstruction_loss(self, v: torch.Tensor) -> torch.Tensor:
        return (v - self.discriminator(v)).abs().mean()

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the discriminator's step, k, then the generator's step on fresh noise."""
        (x_real,) = self.next_batch()
        x_fake = self.generator(self.draw_z()).detach()
        loss_real, loss_fake = self.reconstruction_loss(x_real), self.reconstruction_loss(x_fake)
        loss_discriminator = loss_real - self.k * loss_fake
        self.discriminator_optimizer.zero_grad()
        loss_discriminator.backward()
        self.discriminator_optimizer.step()
        loss_generator = self.reconstruction_loss(self.generator(self.draw_z()))
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        real, fake = loss_real.item(), loss_fake.item()
        self.k = min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
        return {
            "loss_D": loss_discriminator.item(),
            "L_real": real,
            "L_fake": fake,
            "M": real + abs(self.gamma * real - fake),
            "k": self.k,
            "loss_G": loss_generator.item(),
        }
