"""What the plain PyTorch loops share: batches without end, and the optimiser of a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ganspec.spec.parts.optimizers import Adam, RMSProp
from ganspec.spec.system import System


class Batches:
    """Shuffled batches, pass after pass.

    Args:
        system: the system, which gives the batch and the range of the images.
        images: uint8, (n, ...).
        labels: whole numbers, (n,); None where the loop needs none.
        device: device of the batches.
    """

    def __init__(self, system: System, images: np.ndarray, labels: np.ndarray | None, device: str) -> None:
        low, high = system.data.range
        x = torch.tensor(images).to(torch.get_default_dtype()) / 255 * (high - low) + low
        arrays = [x] if labels is None else [x, torch.tensor(labels, dtype=torch.int64)]
        self.loader = DataLoader(TensorDataset(*arrays), batch_size=system.run.batch, shuffle=True, drop_last=True)
        self.device, self.batches = device, iter(self.loader)

    def __call__(self) -> list[torch.Tensor]:
        """Returns: the next images, and their labels where there are some."""
        try:
            batch = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        return [array.to(self.device) for array in batch]


def adam(network: nn.Module, numbers: Adam) -> torch.optim.Adam:
    """Returns: PyTorch's Adam for a network, which adds epsilon after the bias correction."""
    betas = (numbers.beta1, numbers.beta2)
    return torch.optim.Adam(network.parameters(), lr=numbers.learning_rate, betas=betas, eps=numbers.epsilon)


def rmsprop(network: nn.Module, numbers: RMSProp) -> torch.optim.RMSprop:
    """Returns: PyTorch's RMSProp for a network, which adds epsilon to the root and starts its average at 0."""
    return torch.optim.RMSprop(network.parameters(), lr=numbers.learning_rate, alpha=numbers.decay, eps=numbers.epsilon)


def start_as_keras(network: nn.Module) -> None:
    """Draw the weights as Keras does, Glorot's uniform ones, and set the biases to 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
