import torch
from torch import nn
from torch.nn import functional as F


class Old(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.l1 = nn.Linear(n, 4)
        self.bn1 = nn.BatchNorm1d(4, eps=2e-5, momentum=0.1)
        self.l2 = nn.Linear(4, n)

    def forward(self, x, test=False):
        self.bn1.train(not test)
        h = F.relu(self.bn1(self.l1(x)))
        if not test:
            h = h + 0.2 * torch.randn_like(h)
        return self.l2(h)
