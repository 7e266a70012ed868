"""What rounding costs inside of layers: every operation's result is moved a little, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that choose, copy or compare, and so round nothing.
EXACT = frozenset({
    "_local_scalar_dense", "_to_copy", "abs", "amax", "amin", "arange", "bernoulli", "cat", "clamp", "clone",
    "constant_pad_nd", "copy_", "detach", "embedding", "empty", "empty_like", "eq", "fill", "flip", "full", "full_like",
    "gather", "ge", "gt", "index", "index_select", "le", "leaky_relu", "leaky_relu_backward", "lift_fresh", "lt", "masked_fill",
    "max_pool2d_with_indices", "max_pool2d_with_indices_backward", "maximum", "minimum", "ne", "neg", "new_empty",
    "new_empty_strided", "new_full", "new_ones", "new_zeros", "ones", "ones_like", "rand", "randn", "relu", "repeat",
    "scalar_tensor", "scatter", "select_backward", "sgn", "sign", "slice_backward", "stack", "threshold_backward",
    "upsample_nearest2d", "where", "zeros", "zeros_like",
})  # fmt: skip


class Moving(TorchDispatchMode):
    """While it is in force, the result of every operation that rounds is multiplied by a factor beside 1.

    Args:
        factors: function of a shape that gives the factors.
    """

    def __init__(self, factors: Callable[[tuple[int, ...]], np.ndarray]) -> None:
        super().__init__()
        self._factors = factors

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Returns: False: nothing is compiled here, and PyTorch need not load its compiler, which takes a second or two."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in EXACT or func.is_view or func._schema.is_mutable:
            return made
        if isinstance(made, tuple | list):
            return type(made)(self._moved(m) for m in made)
        return self._moved(made)

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.dtype.is_floating_point or value._is_zerotensor():
            return value
        factors = torch.from_numpy(self._factors(tuple(value.shape)).copy())
        return value * factors.to(value.device, value.dtype)
