"""PyTorch, interpreting the spec. Twin of `impl_chainer`: the same files, names, signatures and order."""

from ganspec.impl_torch.arrays import ArrayContext, DeviceError, to_numbers, to_numpy
from ganspec.impl_torch.network import Network, evaluate
from ganspec.impl_torch.trainer import Trainer
from ganspec.spec.training.results import StepResult

__all__ = ["ArrayContext", "DeviceError", "Network", "StepResult", "Trainer", "evaluate", "to_numbers", "to_numpy"]
