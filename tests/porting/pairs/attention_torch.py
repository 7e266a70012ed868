import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.f = nn.Conv2d(ch, 2, 1, bias=False)
        self.g = nn.Conv2d(ch, 2, 1, bias=False)
        self.h = nn.Conv2d(ch, ch, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        n, _, height, width = x.shape
        f, g, h = (link(x).reshape(n, -1, height * width) for link in (self.f, self.g, self.h))
        weights = torch.softmax(f.transpose(1, 2) @ g, 2)
        y = (h @ weights.transpose(1, 2)).reshape(x.shape)
        return x + self.gain.reshape(1, 1, 1, 1) * y
