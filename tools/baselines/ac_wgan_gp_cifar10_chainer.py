"""WGAN-GP with a separate classifier on CIFAR-10 in plain Chainer: classifier, generator, critic, all on one batch and noise.

Source: the auxiliary classifier on WGAN-GP of the blog on Chainer-GAN-lib, which does not give the classifier; it is
Chainer-GAN-lib's discriminator. The critic sees the fakes from before the generator moved. As in Chainer-GAN-lib, its
evaluation on them serves both updates.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.baselines.cifar10_loop_chainer import GanLoop, gradient_penalty, update
from ganspec.tools.baselines.cifar10_networks_chainer import ConditionalGenerator, Critic, Discriminator, sizes


def make(system: System, images: np.ndarray, labels: np.ndarray | None = None, device: str = "cpu") -> Loop:
    """Returns: the loop."""
    return Loop(system, images, labels, device)


class Loop(GanLoop):
    """Networks, optimisers and data of one training run."""

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        self.critic = Critic(**sizes(system, "D"))
        super().__init__(system, images, device, ConditionalGenerator(**sizes(system, "G")), self.critic, labels)
        self.classifier = self.networks["C"] = Discriminator(**sizes(system, "C"))
        self.classifier_optimizer = self.make_optimizer(system, "C")
        self.penalty_weight = system.loss.constants["penalty_weight"]
        self.class_weight = system.loss.constants["class_weight"]

    def penalty(self, x_real: Any, x_fake: Any) -> chainer.Variable:
        eps = self.draw_eps()
        x_mid = chainer.Variable(eps * x_real + (1 - eps) * x_fake)
        return gradient_penalty(self.critic(x_mid), x_mid)

    def __call__(self) -> dict[str, float]:
        """Train one iteration."""
        x_real, y = self.next_batch()
        class_real = self.classifier(x_real)
        loss_classifier = F.softmax_cross_entropy(class_real, y)
        update(self.classifier_optimizer, loss_classifier)

        x_fake = self.generator(self.draw_z(), y)
        class_fake, y_fake = self.classifier(x_fake), self.critic(x_fake)
        loss_generator = self.class_weight * F.softmax_cross_entropy(class_fake, y) - F.mean(y_fake)
        update(self.generator_optimizer, loss_generator)

        x_fake.unchain_backward()
        penalty = self.penalty(x_real, x_fake.array)
        loss_critic = F.mean(y_fake) - F.mean(self.critic(x_real)) + self.penalty_weight * penalty
        update(self.discriminator_optimizer, loss_critic)
        return {
            "loss_C": float(loss_classifier.array),
            "accuracy_real": float(F.accuracy(class_real, y).array),
            "loss_G": float(loss_generator.array),
            "accuracy_fake": float(F.accuracy(class_fake, y).array),
            "loss_D": float(loss_critic.array),
            "gradient_penalty": float(penalty.array),
        }
