"""Lower precision in PyTorch: the linear maps of networks in bfloat16, everything else in float32.

This is outside of the claim that backends compute the same; comparisons never take it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

# The operations that are most of the work, and that a tensor core, or AMX, does several times faster. Everything that sums or
# divides, such as batch norm, keeps float32: bfloat16 has 8 bits of a number.
LOWERED = (F.linear, F.conv2d, F.conv_transpose2d)


class Lowered(TorchFunctionMode):
    """While it is in force, `LOWERED` operations compute in bfloat16, forwards and backwards, and give float32.

    Args:
        device: type of device, "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in LOWERED:
            return func(*args, **(kwargs or {}))
        # Without the cache: a copy of a weight that was made where no gradient is asked for would be used where one is.
        with torch.autocast(self._device, torch.bfloat16, cache_enabled=False):
            return func(*args, **(kwargs or {})).float()
