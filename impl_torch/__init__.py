"""PyTorch, interpreting the spec. Twin of `impl_chainer`: the same files, names, signatures and order."""

from impl_torch.arrays import DeviceError, Place, to_numpy
from impl_torch.network import Network, evaluate
from impl_torch.trainer import Moment, Trainer

__all__ = ["DeviceError", "Moment", "Network", "Place", "Trainer", "evaluate", "to_numpy"]
