import torch
from torch import nn
from torch.nn import functional as F


class Generator(nn.Module):
    def __init__(self, n_hidden=6, ch=4):
        super().__init__()
        self.ch = ch
        self.l0 = nn.Linear(n_hidden, 4 * 4 * ch)
        self.bn0 = nn.BatchNorm1d(4 * 4 * ch, eps=2e-5, momentum=0.1)
        self.dc1 = nn.ConvTranspose2d(ch, 3, 4, 2, 1)
        self.bn1 = nn.BatchNorm2d(3, eps=1e-3, momentum=0.2)
        self.bn1.register_parameter("weight", None)
        self.dc2 = nn.ConvTranspose2d(3, 2, 3, 1, 1, bias=False)

    def forward(self, z):
        h = F.dropout(F.leaky_relu(self.bn0(self.l0(z)), 0.2), 0.3, self.training)
        h = h.reshape(len(z), self.ch, 4, 4)
        h = F.leaky_relu(self.bn1(self.dc1(h)), 0.1)
        return torch.tanh(self.dc2(h))
