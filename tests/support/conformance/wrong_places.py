"""Wrong ports to PyTorch and Chainer whose mistake shows best in a backward pass, between updates, or at a network's end."""

from __future__ import annotations

import torch
from torch import nn

from support.conformance.gan_torch import Critic, Generator, WganGp


class GeneratorInInference(WganGp):
    def critic_step(self, x):
        self.generator.eval()
        reports = super().critic_step(x)
        self.generator.train()
        return reports


class CriticInInference(WganGp):
    def generator_step(self, x):
        self.critic.eval()
        reports = super().generator_step(x)
        self.critic.train()
        return reports


class ClippedByHand(WganGp):
    def critic_step(self, x):
        reports = super().critic_step(x)
        with torch.no_grad():
            for p in self.critic.parameters():
                p.clamp_(-0.01, 0.01)
        return reports


class ClippedFirst(WganGp):
    def critic_step(self, x):
        with torch.no_grad():
            for p in self.critic.parameters():
                p.clamp_(-0.01, 0.01)
        return super().critic_step(x)


class GradientsClipped(WganGp):
    def critic_step(self, x):
        loss, _, _ = self.critic_loss(x, self.fakes(x))
        self.opt_d.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.critic.parameters(), 1.0)
        self.opt_d.step()
        return {}


class SignOfDistance(WganGp):
    def critic_loss(self, x, fake):
        _, distance, penalty = super().critic_loss(x, fake)
        return distance + 10 * penalty, distance, penalty


class SigmoidInLoss(WganGp):
    def critic_loss(self, x, fake):
        distance = torch.sigmoid(self.critic(x)).mean() - torch.sigmoid(self.critic(fake)).mean()
        penalty = self.penalty(x, fake)
        return -distance + 10 * penalty, distance, penalty


class FakesScaled(WganGp):
    def fakes(self, x):
        return 0.9 * super().fakes(x)


class SigmoidOfCritic(Critic):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


class CutCritic(Critic):
    """Its second layer gives a value through which no gradient goes."""

    def forward(self, x):
        h = x.flatten(1)
        for number, layer in enumerate((self.fc1, self.fc2, self.fc3)):
            h = nn.functional.leaky_relu(layer(h), self.slope)
            h = nn.functional.dropout(h, self.dropout, self.training)
            h = h.detach() + 0 * h if number == 1 and not x.requires_grad else h
        return self.fc4(h)


class NoTanh(Generator):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.body = self.body[:-1]
