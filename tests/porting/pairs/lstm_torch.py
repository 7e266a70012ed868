import torch
from torch import nn


class Cell(nn.Module):
    def __init__(self, n_in, n_units):
        super().__init__()
        self.h = self.c = None
        self.upward = nn.Linear(n_in, 4 * n_units)
        self.lateral = nn.Linear(n_units, 4 * n_units, bias=False)

    def forward(self, x):
        gates = self.upward(x)
        if self.h is not None:
            gates = gates + self.lateral(self.h)
        a, i, f, o = torch.chunk(gates, 4, dim=1)
        c = torch.tanh(a) * torch.sigmoid(i)
        if self.c is not None:
            c = c + self.c * torch.sigmoid(f)
        self.c, self.h = c, torch.sigmoid(o) * torch.tanh(c)
        return self.h
