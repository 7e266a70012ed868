import torch
from torch import nn
from torch.nn import functional as F


def normalised(v):
    return v / (torch.sqrt((v * v).sum()) + 1e-12)


class SNLinear(nn.Linear):
    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.u = None

    def forward(self, x):
        W = self.weight.detach()
        if self.u is None:
            self.u = torch.randn(1, W.shape[0], dtype=W.dtype)
        v = normalised(self.u @ W)
        self.u = normalised(v @ W.T)
        sigma = (F.linear(self.u, self.weight.T) * v).sum()
        return F.linear(x, self.weight / sigma, self.bias)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.c0 = nn.Conv2d(3, 4, 3, 2, 1)
        self.l1 = SNLinear(4, 5)
        self.l2 = SNLinear(5, 1)

    def forward(self, x):
        h = F.elu(self.c0(x))
        h = h.mean((2, 3))
        return self.l2(F.relu(self.l1(h)))
