import torch
from torch import nn


class ConditionalNorm(nn.Module):
    def __init__(self, size, n_classes):
        super().__init__()
        self.bn = nn.BatchNorm2d(size, eps=2e-5, momentum=0.1, affine=False)
        self.gammas = nn.Embedding(n_classes, size)
        self.betas = nn.Embedding(n_classes, size)

    def forward(self, x, y):
        h = self.bn(x)
        gamma = self.gammas(y)[:, :, None, None]
        beta = self.betas(y)[:, :, None, None]
        return h * (1 + gamma) + beta


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = ConditionalNorm(3, 4)

    def forward(self, x, y):
        return torch.sigmoid(self.norm(self.c(x), y))
