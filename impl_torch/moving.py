"""Moves what every operation of PyTorch gives, forwards and backwards: the measure of what rounding inside a layer costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that round nothing: they choose, copy, or count.
_EXACT = frozenset(
    "relu threshold_backward clone copy_ _to_copy detach cat stack where zeros zeros_like ones ones_like full full_like empty empty_like "
    "new_zeros new_empty new_empty_strided new_ones new_full neg abs sign sgn gt lt ge le eq ne bernoulli rand randn gather scatter "
    "index select_backward slice_backward constant_pad_nd max_pool2d_with_indices max_pool2d_with_indices_backward embedding "
    "maximum minimum clamp fill lift_fresh _local_scalar_dense scalar_tensor arange repeat flip index_select leaky_relu "
    "leaky_relu_backward upsample_nearest2d".split()
)


class Moving(TorchDispatchMode):
    """While it is in force, every number that an operation rounds is multiplied by a factor beside 1.

    Args:
        factors: function of a shape that gives the factors.
    """

    def __init__(self, factors: Callable[[tuple[int, ...]], np.ndarray]) -> None:
        super().__init__()
        self.factors = factors

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in _EXACT or func.is_view or func._schema.is_mutable:
            return out
        if isinstance(out, torch.Tensor):
            return self._moved(out)
        if isinstance(out, tuple | list):
            return type(out)(self._moved(o) if isinstance(o, torch.Tensor) else o for o in out)
        return out

    def _moved(self, out: torch.Tensor) -> torch.Tensor:
        if not out.dtype.is_floating_point or out.numel() == 0:
            return out
        factors = torch.from_numpy(self.factors(tuple(out.shape)).copy()).to(out.device, out.dtype)
        return out.mul_(factors)
