import torch
from torch import nn
from torch.distributions import Normal


def softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


class Encoder(nn.Module):
    def __init__(self, n_in, n_latent):
        super().__init__()
        self.mu = nn.Linear(n_in, n_latent)
        self.ln_sigma = nn.Linear(n_in, n_latent)

    def forward(self, x):
        mu, ln_var = self.mu(x), 2 * self.ln_sigma(x)
        z = mu + torch.randn_like(mu) * torch.exp(ln_var / 2)
        target = softplus(mu).detach()
        return {"q": Normal(mu, torch.exp(ln_var / 2)), "z": z, "penalty": ((z - target) ** 2).sum(1)}
