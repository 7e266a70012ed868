"""Hinge GAN with spectral norm on CIFAR-10 in plain Chainer: sndcgan's loop with other losses.

Source: Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17; networks and order of
the updates are those of Chainer-GAN-lib, which has no hinge loss.
"""

from __future__ import annotations

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines import sndcgan_cifar10_chainer


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, device)


class Loop(sndcgan_cifar10_chainer.Loop):
    """Networks, optimisers and data of one training run."""

    def discriminator_loss(self, y_real: chainer.Variable, y_fake: chainer.Variable) -> chainer.Variable:
        return F.mean(F.relu(1 - y_real)) + F.mean(F.relu(1 + y_fake))

    def generator_loss(self, y_fake: chainer.Variable) -> chainer.Variable:
        return -F.mean(y_fake)
