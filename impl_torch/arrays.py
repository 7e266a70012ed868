"""Where PyTorch's arrays live: device and dtype, and the way to NumPy and back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ganspec.impl_torch.precision import Lowered
from ganspec.spec.training.batches import in_native_order
from ganspec.spec.training.options import DTYPES, PRECISIONS, check_choice, check_device, missing_device

Array = torch.Tensor


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what is."""


@dataclass(frozen=True)
class ArrayContext:
    """Where arrays live, and in which precision.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32" or "float64".
        precision: "full", or "bf16" for products of matrices and convolutions in bfloat16.

    Raises:
        ValueError: there is no such device, dtype or precision, or they do not go together.
        DeviceError: the device is not there.
    """

    device: str
    dtype: str
    precision: str = PRECISIONS[0]

    def __post_init__(self) -> None:
        check_device(self.device)
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("precision", self.precision, PRECISIONS)
        if self.precision == "bf16" and self.dtype != "float32":
            raise ValueError(f"precision is 'bf16', which goes with dtype 'float32', not {self.dtype!r}")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if missing := missing_device("PyTorch", self.device, count, "install a CUDA build of PyTorch"):
            raise DeviceError(missing)

    @property
    def floating(self) -> torch.dtype:
        """PyTorch's own name of the dtype."""
        return torch.float64 if self.dtype == "float64" else torch.float32

    def lowered(self) -> contextlib.AbstractContextManager[Any]:
        """Returns: a context in which products of matrices and convolutions have the precision that was asked for."""
        return Lowered(torch.device(self.device).type) if self.precision == "bf16" else contextlib.nullcontext()

    def array(self, values: np.ndarray) -> Array:
        """Returns: a copy of NumPy values here; whole numbers stay whole (int64), all others become `dtype`."""
        if values.dtype.kind in "iu":
            return torch.tensor(in_native_order(values), dtype=torch.int64, device=self.device)
        return torch.tensor(in_native_order(values), dtype=self.floating, device=self.device)

    def adopted(self, values: np.ndarray) -> Array:
        """Returns: floating-point values here, which nobody else changes; the very memory where that can be."""
        return torch.from_numpy(values).to(self.device, self.floating)

    def filled(self, count: int, value: float) -> Array:
        """Returns: a vector of `count` numbers, all equal."""
        return torch.full((count,), value, dtype=self.floating, device=self.device)

    def constant(self, value: Any) -> Any:
        """Returns: a value without its graph: an array, a dictionary of arrays, or a plain number, which becomes an array."""
        if isinstance(value, dict):
            return {name: self.constant(v) for name, v in value.items()}
        if isinstance(value, float):  # of a formula without any array
            return self.array(np.array(value))
        return value.detach()


def to_numpy(array: Any, *, copy: bool = True) -> np.ndarray:
    """Returns: the values of an array, or of a plain number, on the host; without `copy` the very memory where that can be."""
    values = array.numpy(force=True) if isinstance(array, torch.Tensor) else array
    return np.array(values, order="C") if copy else np.asarray(values)
