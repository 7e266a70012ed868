"""GANs in plain PyTorch, written as a stranger writes them from the papers; none of it uses ganspec."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Generator(nn.Module):
    """The MLP generator of wgan_gp_mlp_mnist."""

    def __init__(self, latent: int, width: int, pixels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(latent, width), nn.LeakyReLU(0.3), nn.BatchNorm1d(width),
            nn.Linear(width, width), nn.LeakyReLU(0.3), nn.BatchNorm1d(width),
            nn.Linear(width, width), nn.LeakyReLU(0.3), nn.BatchNorm1d(width),
            nn.Linear(width, pixels), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.body(z)


class Critic(nn.Module):
    """The MLP critic of wgan_gp_mlp_mnist, in the functional style."""

    def __init__(self, pixels: int, width: int, slope: float = 0.3, dropout: float = 0.5) -> None:
        super().__init__()
        self.slope, self.dropout = slope, dropout
        self.fc1, self.fc2 = nn.Linear(pixels, width), nn.Linear(width, width)
        self.fc3, self.fc4 = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.flatten(1)
        for layer in (self.fc1, self.fc2, self.fc3):
            h = F.dropout(F.leaky_relu(layer(h), self.slope), self.dropout, self.training)
        return self.fc4(h)


class WganGp:
    """WGAN-GP: five critic steps on one real batch, then one generator step."""

    def __init__(self, generator: nn.Module, critic: nn.Module, latent: int, eps: float = 1e-8) -> None:
        self.generator, self.critic, self.latent = generator, critic, latent
        self.opt_g = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.0, 0.9), eps=eps)
        self.opt_d = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9), eps=eps)
        self.critic_steps = 5

    def noise(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rand(len(x), self.latent) * 2 - 1

    def mixed(self, x: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        eps = torch.rand(len(x), 1)
        return eps * x + (1 - eps) * fake

    def norm(self, gradient: torch.Tensor) -> torch.Tensor:
        return gradient.norm(2, dim=1)

    def penalty(self, x: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        x_hat = self.mixed(x, fake.detach()).requires_grad_(True)
        score = self.critic(x_hat)
        (gradient,) = torch.autograd.grad(score, x_hat, torch.ones_like(score), create_graph=True)
        return ((self.norm(gradient) - 1) ** 2).mean()

    def fakes(self, x: torch.Tensor) -> torch.Tensor:
        return self.generator(self.noise(x)).detach()

    def critic_loss(self, x: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        distance = self.critic(x).mean() - self.critic(fake).mean()
        penalty = self.penalty(x, fake)
        return -distance + 10 * penalty, distance, penalty

    def critic_step(self, x: torch.Tensor) -> dict[str, float]:
        loss, distance, penalty = self.critic_loss(x, self.fakes(x))
        self.opt_d.zero_grad()
        loss.backward()
        self.opt_d.step()
        return {"loss_D": loss.item(), "distance": distance.item(), "gradient_penalty": penalty.item()}

    def generator_step(self, x: torch.Tensor) -> dict[str, float]:
        loss = -self.critic(self.generator(self.noise(x))).mean()
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()
        return {"loss_G": loss.item()}

    def __call__(self, x: torch.Tensor) -> dict[str, float]:
        x = x.flatten(1)
        reports: dict[str, float] = {}
        for _ in range(self.critic_steps):
            reports |= self.critic_step(x)
        return reports | self.generator_step(x)


def conv(inside: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, out, 3, stride=stride, padding=1)


def began_encoder(n: int, channels: int, size: int, code: int) -> nn.Module:
    return nn.Sequential(
        conv(channels, n), nn.ELU(), conv(n, n, 2), nn.ELU(),
        conv(n, 2 * n), nn.ELU(), conv(2 * n, 2 * n, 2), nn.ELU(),
        conv(2 * n, 3 * n), nn.ELU(), conv(3 * n, 3 * n, 2), nn.ELU(),
        conv(3 * n, 4 * n), nn.ELU(), conv(4 * n, 4 * n), nn.ELU(),
        nn.Flatten(), nn.Linear(4 * n * (size // 8) ** 2, code),
    )  # fmt: skip


def began_decoder(n: int, channels: int, size: int, code: int) -> nn.Module:
    start = size // 8
    return nn.Sequential(
        nn.Linear(code, n * start**2), nn.Unflatten(1, (n, start, start)),
        conv(n, n), nn.ELU(), conv(n, n), nn.ELU(), nn.Upsample(scale_factor=2),
        conv(n, n), nn.ELU(), conv(n, n), nn.ELU(), nn.Upsample(scale_factor=2),
        conv(n, n), nn.ELU(), conv(n, n), nn.ELU(), nn.Upsample(scale_factor=2),
        conv(n, n), nn.ELU(), conv(n, n), nn.ELU(), conv(n, channels),
    )  # fmt: skip


class KerasAdam(torch.optim.Optimizer):
    """Adam with epsilon beside the uncorrected root, as Keras has it."""

    def __init__(self, parameters, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                if not s:
                    s |= {"t": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)}
                s["t"] += 1
                s["m"].mul_(0.9).add_(p.grad, alpha=0.1)
                s["v"].mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                rate = group["lr"] * (1 - 0.999 ** s["t"]) ** 0.5 / (1 - 0.9 ** s["t"])
                p.addcdiv_(s["m"], s["v"].sqrt().add_(1e-8), value=-rate)


class Began:
    """BEGAN as keras_BEGAN trains it."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, code: int) -> None:
        self.generator, self.discriminator, self.code = generator, discriminator, code
        self.opt_g = KerasAdam(generator.parameters(), 3e-4)
        self.opt_d = KerasAdam(discriminator.parameters(), 3e-4)
        self.k, self.gamma, self.lambda_k = 0.0, 0.5, 0.05

    def loss(self, v: torch.Tensor) -> torch.Tensor:
        return (v - self.discriminator(v)).abs().mean()

    def next_k(self, real: float, fake: float) -> float:
        return min(max(self.k + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)

    def fakes(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.generator(torch.empty(len(x), self.code).uniform_(-1, 1))

    def __call__(self, x: torch.Tensor) -> dict[str, float]:
        fake = self.fakes(x)
        real_loss, fake_loss = self.loss(x), self.loss(fake)
        loss = real_loss - self.k * fake_loss
        self.opt_d.zero_grad()
        loss.backward()
        self.opt_d.step()
        loss_g = self.loss(self.generator(torch.empty(len(x), self.code).uniform_(-1, 1)))
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        real, fake_value = real_loss.item(), fake_loss.item()
        self.k = self.next_k(real, fake_value)
        measure = real + abs(self.gamma * real - fake_value)
        return {"loss_D": loss.item(), "k": self.k, "M": measure, "L_real": real, "loss_G": loss_g.item()}


def dcgan_generator(latent: int, ch: int, bottom: int, channels: int, momentum: float = 0.1) -> nn.Module:
    def up(inside: int, out: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(inside, out, 4, 2, 1), nn.BatchNorm2d(out, 2e-5, momentum), nn.ReLU()]

    return nn.Sequential(
        nn.Linear(latent, ch * bottom**2), nn.BatchNorm1d(ch * bottom**2, 2e-5, momentum), nn.ReLU(),
        nn.Unflatten(1, (ch, bottom, bottom)),
        *up(ch, ch // 2), *up(ch // 2, ch // 4), *up(ch // 4, ch // 8),
        nn.ConvTranspose2d(ch // 8, channels, 3, 1, 1), nn.Tanh(),
    )  # fmt: skip


class Shift(nn.BatchNorm2d):
    """Batch norm that learns a shift and no scale, as Chainer's with use_gamma=False."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2e-5, 0.1, affine=False)
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, None, self.beta, self.training, 0.1, 2e-5)


def dcgan_discriminator(ch: int, bottom: int, channels: int) -> nn.Module:
    def down(inside: int, out: int, kernel: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(inside, out, kernel, stride, 1), Shift(out), nn.LeakyReLU(0.2)]

    c = [ch // 8, ch // 4, ch // 2, ch]
    return nn.Sequential(
        nn.Conv2d(channels, c[0], 3, 1, 1), nn.LeakyReLU(0.2),
        *down(c[0], c[1], 4, 2), *down(c[1], c[1], 3, 1), *down(c[1], c[2], 4, 2), *down(c[2], c[2], 3, 1),
        *down(c[2], c[3], 4, 2), *down(c[3], c[3], 3, 1),
        nn.Flatten(), nn.Linear(ch * bottom**2, 1),
    )  # fmt: skip
