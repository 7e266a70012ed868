"""Progressive growing on CIFAR-10 in plain PyTorch.

Source: Chainer-GAN-lib, progressive/net.py and progressive/updater.py; Karras et al. 2018, arXiv:1710.10196. As
there, the equalised learning rate multiplies what enters a layer, and the average of the generator is moved in every
iteration. The source is written in Chainer, where Adam counts the updates of a network: PyTorch's counts those of
each parameter, so new blocks start with larger corrections. Latents are normalised inside of the generator.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganspec.spec.system import System
from ganspec.tools.baselines.loop_torch import Batches, adam

BLOCKS = 3


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class EqualizedConv2d(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding)
        self.gain = (2 / (in_channels * kernel_size**2)) ** 0.5
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.gain * x)


class EqualizedLinear(nn.Linear):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.gain = (2 / in_features) ** 0.5
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.gain * x)


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    return x / torch.sqrt((x * x).mean(dim=1, keepdim=True) + 1e-8)


def double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2)


def minibatch_std(x: torch.Tensor) -> torch.Tensor:
    """Returns: x with one more channel, the mean of the deviations over the batch."""
    std = torch.sqrt(x.var(dim=0, correction=0) + 1e-8).mean()
    return torch.cat([x, std.expand(x.shape[0], 1, *x.shape[2:])], dim=1)


class Generator(nn.Module):
    def __init__(self, latent: int, ch: int, bottom: int, channels: int) -> None:
        super().__init__()
        self.c0, self.c1 = EqualizedConv2d(latent, ch, bottom, bottom - 1), EqualizedConv2d(ch, ch, 3, 1)
        self.out0 = EqualizedConv2d(ch, channels, 1)
        self.b1, self.out1 = self.make_block(ch, ch), EqualizedConv2d(ch, channels, 1)
        self.b2, self.out2 = self.make_block(ch, ch), EqualizedConv2d(ch, channels, 1)
        self.b3, self.out3 = self.make_block(ch, ch // 2), EqualizedConv2d(ch // 2, channels, 1)

    def make_block(self, in_channels: int, out_channels: int) -> nn.ModuleList:
        first = EqualizedConv2d(in_channels, out_channels, 3, 1)
        return nn.ModuleList([first, EqualizedConv2d(out_channels, out_channels, 3, 1)])

    def block(self, number: int, h: torch.Tensor) -> torch.Tensor:
        h = double(h)
        for conv in getattr(self, f"b{number}"):
            h = F.leaky_relu(pixel_norm(conv(h)), 0.2)
        return h

    def forward(self, z: torch.Tensor, stage: int, fade: float) -> torch.Tensor:
        h = F.leaky_relu(pixel_norm(self.c0(pixel_norm(z)[:, :, None, None])), 0.2)
        h = F.leaky_relu(pixel_norm(self.c1(h)), 0.2)
        whole = stage // 2  # blocks that are there for good
        for number in range(1, whole + 1):
            h = self.block(number, h)
        out = getattr(self, f"out{whole}")
        if stage % 2 == 0:
            return out(h)
        new = getattr(self, f"out{whole + 1}")(self.block(whole + 1, h))
        return (1 - fade) * out(double(h)) + fade * new


class Discriminator(nn.Module):
    def __init__(self, ch: int, bottom: int, channels: int, compensation: float) -> None:
        super().__init__()
        self.compensation = compensation
        self.in0 = EqualizedConv2d(channels, ch, 1)
        self.out0, self.out1 = EqualizedConv2d(ch + 1, ch, 3, 1), EqualizedConv2d(ch, ch, bottom)
        self.out2 = EqualizedLinear(ch, 1)
        self.in1, self.b1 = EqualizedConv2d(channels, ch, 1), self.make_block(ch, ch)
        self.in2, self.b2 = EqualizedConv2d(channels, ch, 1), self.make_block(ch, ch)
        self.in3, self.b3 = EqualizedConv2d(channels, ch // 2, 1), self.make_block(ch // 2, ch)

    def make_block(self, in_channels: int, out_channels: int) -> nn.ModuleList:
        first = EqualizedConv2d(in_channels, in_channels, 3, 1)
        return nn.ModuleList([first, EqualizedConv2d(in_channels, out_channels, 3, 1)])

    def halve(self, x: torch.Tensor) -> torch.Tensor:
        return self.compensation * F.avg_pool2d(x, 2)

    def enter(self, number: int, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(getattr(self, f"in{number}")(x), 0.2)

    def block(self, number: int, h: torch.Tensor) -> torch.Tensor:
        for conv in getattr(self, f"b{number}"):
            h = F.leaky_relu(conv(h), 0.2)
        return self.halve(h)

    def forward(self, x: torch.Tensor, stage: int, fade: float) -> torch.Tensor:
        whole = stage // 2
        if stage % 2 == 0:
            h = self.enter(whole, x)
        else:
            new = self.block(whole + 1, self.enter(whole + 1, x))
            h = (1 - fade) * self.enter(whole, self.halve(x)) + fade * new
        for number in range(whole, 0, -1):
            h = self.block(number, h)
        h = F.leaky_relu(self.out0(minibatch_std(h)), 0.2)
        return self.out2(F.leaky_relu(self.out1(h), 0.2).flatten(1))


def shrink(x: torch.Tensor, stage: int, fade: float) -> torch.Tensor:
    """Returns: images at the size of the stage, mixed with those of half the size while a block fades in."""
    halvings = BLOCKS - (stage + 1) // 2
    new = F.avg_pool2d(x, 2**halvings) if halvings else x
    return new if stage % 2 == 0 else (1 - fade) * double(F.avg_pool2d(x, 2 ** (halvings + 1))) + fade * new


class Loop:
    """Networks, optimisers and data of one training run; `iteration` says how far they have grown."""

    def __init__(self, system: System, images: np.ndarray, device: str) -> None:
        g, d = (system.networks[name].constants for name in ("G", "D"))
        self.device, self.batch, self.latent = device, system.run.batch, int(g["latent"])
        self.generator = Generator(*(int(g[key]) for key in ("latent", "ch", "bottom", "channels"))).to(device)
        sizes = (int(d[key]) for key in ("ch", "bottom", "channels"))
        self.critic = Discriminator(*sizes, d["compensation"]).to(device)
        self.networks = {"G": self.generator, "D": self.critic}
        self.averages, self.decay = {"G": deepcopy(self.generator)}, system.averages["G"]
        self.generator_optimizer = adam(self.generator, system.optimizers["G"])
        self.critic_optimizer = adam(self.critic, system.optimizers["D"])
        self.numbers = system.loss.constants
        growth = system.growth
        self.iteration, self.stages, self.images = 0, growth.stages, growth.images
        self.start = growth.start_stage + growth.start_fade
        self.next_batch = Batches(system, images, None, device)

    def draw_z(self) -> torch.Tensor:
        return torch.randn(self.batch, self.latent, device=self.device)

    def draw_eps(self) -> torch.Tensor:
        return torch.rand(self.batch, 1, 1, 1, device=self.device)

    def gradient_penalty(self, x_real: torch.Tensor, x_fake: torch.Tensor, *at: float) -> torch.Tensor:
        eps, target = self.draw_eps(), self.numbers["target"]
        x_hat = (eps * x_real + (1 - eps) * x_fake).requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.critic(x_hat, *at).sum(), x_hat, create_graph=True)
        return ((gradient.flatten(1).norm(2, dim=1) - target) ** 2).mean() / target**2

    def move_average(self) -> None:
        with torch.no_grad():
            for average, p in zip(self.averages["G"].parameters(), self.generator.parameters(), strict=True):
                average.lerp_(p, 1 - self.decay)

    def __call__(self) -> dict[str, float]:
        """Train one iteration: the critic's step, then the generator's on fresh noise, then its average."""
        progress = min(self.start + self.iteration * self.batch / self.images, self.stages - 1)
        stage, fade = int(progress), progress % 1
        x_real = shrink(*self.next_batch(), stage, fade)
        x_fake = self.generator(self.draw_z(), stage, fade).detach()
        y_real, y_fake = self.critic(x_real, stage, fade), self.critic(x_fake, stage, fade)
        penalty = self.gradient_penalty(x_real, x_fake, stage, fade)
        drift = self.numbers["drift_weight"] * (y_real**2).mean()
        loss_critic = y_fake.mean() - y_real.mean() + drift + self.numbers["penalty_weight"] * penalty
        self.critic_optimizer.zero_grad()
        loss_critic.backward()
        self.critic_optimizer.step()
        loss_generator = -self.critic(self.generator(self.draw_z(), stage, fade), stage, fade).mean()
        self.generator_optimizer.zero_grad()
        loss_generator.backward()
        self.generator_optimizer.step()
        self.move_average()
        self.iteration += 1
        return {
            "loss_D": loss_critic.item(),
            "gradient_penalty": penalty.item(),
            "loss_G": loss_generator.item(),
        }
