from torch import nn
from torch.nn import functional as F


class Blocks(nn.ModuleList):
    def __init__(self, n=3):
        super().__init__([nn.Conv2d(2, 2, 3, padding=1) for _ in range(n)])

    def forward(self, x):
        features = []
        for i, link in enumerate(self):
            x = F.relu(link(x)) + x
            if i == 1:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            features.append(x.sum((1, 2, 3)))
        return x, features
