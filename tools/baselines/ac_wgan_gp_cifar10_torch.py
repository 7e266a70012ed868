"""WGAN-GP with a separate classifier on CIFAR-10 in plain PyTorch: classifier, generator, critic, all on one batch and noise.

Source: the auxiliary classifier on WGAN-GP of the blog on Chainer-GAN-lib, which does not give the classifier; it is
Chainer-GAN-lib's discriminator. The critic sees the fakes from before the generator moved.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_torch import GanLoop, accuracy, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_torch import ConditionalGenerator, make_critic, make_discriminator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        self.critic = make_critic(**sizes(system, "D"))
        super().__init__(system, images, device, ConditionalGenerator(**sizes(system, "G")), self.critic, labels)
        self.classifier = self.networks["C"] = make_discriminator(**sizes(system, "C")).to(device)
        self.classifier_optimizer = self.make_optimizer(system, "C")
        self.penalty_weight = system.loss.constants["penalty_weight"]
        self.class_weight = system.loss.constants["class_weight"]

    def penalty(self, x_real: torch.Tensor, x_fake: torch.Tensor) -> torch.Tensor:
        eps = self.draw_eps()
        x_mid = (eps * x_real + (1 - eps) * x_fake).requires_grad_(True)
        return gradient_penalty(self.critic(x_mid), x_mid)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        x_real, y = self.next_batch()
        class_real = self.classifier(x_real)
        loss_classifier = cross_entropy(class_real, y)
        update(self.classifier_optimizer, loss_classifier)

        x_fake = self.generator(self.draw_z(), y)
        class_fake = self.classifier(x_fake)
        loss_generator = self.class_weight * cross_entropy(class_fake, y) - self.critic(x_fake).mean()
        update(self.generator_optimizer, loss_generator)

        x_fake = x_fake.detach()
        penalty = self.penalty(x_real, x_fake)
        loss_critic = self.critic(x_fake).mean() - self.critic(x_real).mean() + self.penalty_weight * penalty
        update(self.discriminator_optimizer, loss_critic)
        return {
            "loss_C": loss_classifier.item(),
            "accuracy_real": accuracy(class_real, y).item(),
            "loss_G": loss_generator.item(),
            "accuracy_fake": accuracy(class_fake, y).item(),
            "loss_D": loss_critic.item(),
            "gradient_penalty": penalty.item(),
        }
