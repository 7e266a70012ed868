"""Hinge GAN with spectral norm on CIFAR-10 in plain PyTorch: sndcgan's loop with other losses.

Source: Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17; networks and order of
the updates are those of Chainer-GAN-lib, which has no hinge loss.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import relu

from ganspec.spec.system import System
from ganspec.tools.baselines import sndcgan_cifar10_torch


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Loop(sndcgan_cifar10_torch.Loop):
    """Networks, optimisers and data of one training run."""

    def discriminator_loss(self, y_real: torch.Tensor, y_fake: torch.Tensor) -> torch.Tensor:
        return relu(1 - y_real).mean() + relu(1 + y_fake).mean()

    def generator_loss(self, y_fake: torch.Tensor) -> torch.Tensor:
        return -y_fake.mean()
