"""How PyTorch rounds: full precision on CUDA unless another was asked for, and the linear maps of networks in bfloat16.

PyTorch's defaults let cuDNN round the inputs of float32 convolutions to TensorFloat-32, and choose among algorithms of which some
add in a random order. So both are said, while ganspec computes, and put back after it: code that imports ganspec keeps its own
settings.

Lower precision is outside of the claim that backends compute the same; comparisons never take it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ganspec.spec.training.in_force import InForce

_IN_FORCE = InForce()  # PyTorch's settings are the process's


class Math:
    """While it is in force, CUDA's libraries compute as is said here, in every thread of the process.

    Threads that say the same are in force together; one that says otherwise waits until they left (`InForce`).

    Args:
        tf32: whether products of matrices and convolutions of float32 numbers round these to TensorFloat-32.
        tune: whether cuDNN measures which of its algorithms is the fastest, and may take one that adds in a random order.
    """

    def __init__(self, *, tf32: bool, tune: bool) -> None:
        self._tf32, self._tune = tf32, tune
        self._inside = ExitStack()

    def __enter__(self) -> None:
        said = f"Math(tf32={self._tf32}, tune={self._tune})"
        self._inside.enter_context(_IN_FORCE.inside(said, self._settings))

    def __exit__(self, *_: Any) -> None:
        self._inside.close()

    @contextlib.contextmanager
    def _settings(self) -> Iterator[None]:
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        with ExitStack() as inside:
            _set(inside, cudnn, "deterministic", not self._tune)
            _set(inside, cudnn, "benchmark", self._tune)
            if hasattr(matmul, "fp32_precision") and hasattr(cudnn, "conv"):  # since version 2.9
                # An operation without a word of its own follows its library, and that follows all libraries. What an operation
                # says does not tell whether it is its own. So the library is set first, and after it an operation that has
                # not followed: that has a word of its own, which can be put back.
                word = "tf32" if self._tf32 else "ieee"
                if cudnn.fp32_precision != word:
                    _set(inside, cudnn, "fp32_precision", word, _own_word(cudnn))
                for operation in (matmul, cudnn.conv):
                    _set(inside, operation, "fp32_precision", word)
            else:
                _set(inside, matmul, "allow_tf32", self._tf32)
                _set(inside, cudnn, "allow_tf32", self._tf32)
            yield


def _set(inside: ExitStack, where: Any, name: str, value: Any, own: Any = None) -> None:
    """Set what has another value, and have it put back; to `own` if that is given."""
    before = getattr(where, name)
    if before != value:
        inside.callback(setattr, where, name, before if own is None else own)
        setattr(where, name, value)


def _own_word(library: Any) -> str:
    """Returns: the library's own word, "none" where it follows that for all libraries."""
    said, general = library.fp32_precision, torch.backends.fp32_precision
    if said != general or said == "none":
        return str(said)
    torch.backends.fp32_precision = "none"  # for a moment: nothing else tells whether the library follows
    try:
        return str(library.fp32_precision)
    finally:
        torch.backends.fp32_precision = general


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
