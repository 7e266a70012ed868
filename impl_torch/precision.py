"""How PyTorch rounds: full precision on CUDA unless another was asked for, and the linear maps of networks in bfloat16.

PyTorch's defaults let cuDNN round the inputs of float32 convolutions to TensorFloat-32, and choose among algorithms of which some
add in a random order. So both are said, while ganspec computes, and put back after it: code that imports ganspec keeps its own
settings.

Lower precision is outside of the claim that backends compute the same; comparisons never take it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

# Where PyTorch says how float32 numbers are multiplied on CUDA; before version 2.9 by two switches, since then by a word.
_WORDS = ((("cuda", "matmul"), "fp32_precision"), (("cudnn", "conv"), "fp32_precision"))
_SWITCHES = ((("cuda", "matmul"), "allow_tf32"), (("cudnn",), "allow_tf32"))


class Math:
    """While it is in force, CUDA's libraries compute as is said here.

    Args:
        tf32: whether products of matrices and convolutions of float32 numbers round these to TensorFloat-32.
        tune: whether cuDNN measures which of its algorithms is the fastest, and may take one that adds in a random order.
    """

    def __init__(self, *, tf32: bool, tune: bool) -> None:
        cudnn = torch.backends.cudnn
        words = hasattr(torch.backends.cuda.matmul, "fp32_precision") and hasattr(cudnn, "conv")
        self._wanted = [(_backend(path), name, "tf32" if tf32 else "ieee") for path, name in _WORDS if words]
        self._wanted += [(_backend(path), name, tf32) for path, name in _SWITCHES if not words]
        self._wanted += [(cudnn, "deterministic", not tune), (cudnn, "benchmark", tune)]
        self._before: list[Any] = []

    def __enter__(self) -> None:
        self._before = [getattr(where, name) for where, name, _ in self._wanted]
        self._set(value for _, _, value in self._wanted)

    def __exit__(self, *_: object) -> None:
        self._set(self._before)

    def _set(self, values: Iterable[Any]) -> None:
        for (where, name, _), value in zip(self._wanted, values, strict=True):
            setattr(where, name, value)


def _backend(path: Iterable[str]) -> Any:
    return functools.reduce(getattr, path, torch.backends)


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
