"""Wrong ports of WGAN-GP, BEGAN and DCGAN to PyTorch: the famous mistakes, each in a class of its own."""

from __future__ import annotations

import torch
from torch import nn

from support.conformance.gan_torch import Began, Critic, Generator, WganGp


class NormOfTheBatch(WganGp):
    def norm(self, gradient):
        return gradient.norm()


class NormOverSamples(WganGp):
    def norm(self, gradient):
        return gradient.norm(2, dim=0)


class SumForMean(WganGp):
    def penalty(self, x, fake):
        return super().penalty(x, fake) * len(x)


class NoDoubleBackprop(WganGp):
    def penalty(self, x, fake):
        x_hat = self.mixed(x, fake).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.critic(x_hat).sum(), x_hat)
        return ((self.norm(gradient) - 1) ** 2).mean()


class OneEpsForTheBatch(WganGp):
    def mixed(self, x, fake):
        eps = torch.rand(1)
        return eps * x + (1 - eps) * fake


class EpsForEachPixel(WganGp):
    def mixed(self, x, fake):
        eps = torch.rand_like(x)
        return eps * x + (1 - eps) * fake


class NormalEps(WganGp):
    def mixed(self, x, fake):
        eps = torch.randn(len(x), 1)
        return eps * x + (1 - eps) * fake


class UnscaledNoise(WganGp):
    def noise(self, x):
        return torch.rand(len(x), self.latent)


class NormalNoise(WganGp):
    def noise(self, x):
        return torch.randn(len(x), self.latent)


class SameNoiseEachStep(WganGp):
    def __call__(self, x):
        self.kept = super().noise(x)
        return super().__call__(x)

    def noise(self, x):
        return self.kept


class NoiseAnewForThePenalty(WganGp):
    def penalty(self, x, fake):
        return super().penalty(x, self.fakes(x))


class SignOfG(WganGp):
    def generator_step(self, x):
        loss = self.critic(self.generator(self.noise(x))).mean()
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()
        return {}


class NoZeroGrad(WganGp):
    def critic_step(self, x):
        loss, _, _ = self.critic_loss(x, self.fakes(x))
        loss.backward()
        self.opt_d.step()
        return {}


class GeneratorFirst(WganGp):
    def __call__(self, x):
        x = x.flatten(1)
        reports = self.generator_step(x)
        for _ in range(self.critic_steps):
            reports |= self.critic_step(x)
        return reports


class OneCriticStepLess(WganGp):
    def __call__(self, x):
        self.critic_steps, kept = self.critic_steps - 1, self.critic_steps
        try:
            return super().__call__(x)
        finally:
            self.critic_steps = kept


class OneCriticStepMore(WganGp):
    def __call__(self, x):
        self.critic_steps, kept = self.critic_steps + 1, self.critic_steps
        try:
            return super().__call__(x)
        finally:
            self.critic_steps = kept


class WrongPenaltyWeight(WganGp):
    def penalty(self, x, fake):
        return super().penalty(x, fake) / 10


class WrongReport(WganGp):
    def critic_step(self, x):
        reports = super().critic_step(x)
        return {**reports, "distance": -reports["distance"]}


def with_optimizer(**changes):
    """Returns: a port whose optimisers have other numbers."""

    class OtherOptimizer(WganGp):
        def __init__(self, generator, critic, latent):
            super().__init__(generator, critic, latent)
            given = {"lr": 1e-4, "betas": (0.0, 0.9), "eps": 1e-8, **changes}
            self.opt_g, self.opt_d = (torch.optim.Adam(m.parameters(), **given) for m in (generator, critic))

    return OtherOptimizer


class BiasedMomentum(Generator):
    """Batch norm with momentum 0.9, as Keras counts it."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        for m in self.modules():
            if isinstance(m, nn.BatchNorm1d):
                m.momentum = 0.9


class OtherEpsilon(Generator):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.body[5].eps = 1e-3


class SigmoidAtTheEnd(Generator):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.body[-1] = nn.Sigmoid()


class NormBeforeActivation(Generator):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.body[1], self.body[2] = self.body[2], self.body[1]


class OtherSlope(Critic):
    def __init__(self, *sizes):
        super().__init__(*sizes, slope=0.01)


class OtherRate(Critic):
    def __init__(self, *sizes):
        super().__init__(*sizes, dropout=0.3)


class DropoutBeforeActivation(Critic):
    def forward(self, x):
        h = x.flatten(1)
        for layer in (self.fc1, self.fc2, self.fc3):
            h = torch.tanh(nn.functional.dropout(layer(h), self.dropout, self.training))
        return self.fc4(h)


class NoDropout(Critic):
    def forward(self, x):
        h = x.flatten(1)
        for layer in (self.fc1, self.fc2, self.fc3):
            h = nn.functional.leaky_relu(layer(h), self.slope)
        return self.fc4(h)


class SwappedLayers(Critic):
    def forward(self, x):
        h = x.flatten(1)
        for layer in (self.fc1, self.fc3, self.fc2):
            h = nn.functional.dropout(nn.functional.leaky_relu(layer(h), self.slope), self.dropout, self.training)
        return self.fc4(h)


class Unclamped(Began):
    def next_k(self, real, fake):
        return self.k + self.lambda_k * (self.gamma * real - fake)


class OtherSign(Began):
    def next_k(self, real, fake):
        return min(max(self.k - self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)


class SquaredLoss(Began):
    def loss(self, v):
        return ((v - self.discriminator(v)) ** 2).mean()


class SumOfPixels(Began):
    def loss(self, v):
        return (v - self.discriminator(v)).abs().flatten(1).sum(1).mean()


class KNotUsed(Began):
    """k is carried along, and D's loss does not read it."""

    def __call__(self, x):
        kept, self.k = self.k, 0.0
        self.shown = kept
        try:
            return {**super().__call__(x)}
        finally:
            pass

    def next_k(self, real, fake):
        return min(max(self.shown + self.lambda_k * (self.gamma * real - fake), 0.0), 1.0)
