"""Where PyTorch's arrays live: device and dtype, and the way to NumPy and back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ganspec.impl_torch.precision import Lowered, Math
from ganspec.spec.training.batches import in_native_order
from ganspec.spec.training.options import (
    DTYPES,
    PRECISIONS,
    check_choice,
    check_cuda,
    check_device,
    check_precision,
    missing_device,
)

Array = torch.Tensor


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what is."""


@dataclass(frozen=True)
class ArrayContext:
    """Where arrays live, and in which precision.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32" or "float64".
        precision: "full", or "bf16" or "tf32" for products of matrices and convolutions in bfloat16 or TensorFloat-32.
        cuda: choices for a CUDA device, of "tune", "channels_last", "eager".

    Raises:
        ValueError: there is no such device, dtype, precision or choice, or they do not go together.
        DeviceError: the device is not there.
    """

    device: str
    dtype: str
    precision: str = PRECISIONS[0]
    cuda: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_device(self.device)
        check_choice("dtype", self.dtype, DTYPES)
        check_precision(self.precision, self.dtype, self.device)
        check_cuda(self.cuda, self.device)
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if missing := missing_device("PyTorch", self.device, count, "install a CUDA build of PyTorch"):
            raise DeviceError(missing)

    @property
    def floating(self) -> torch.dtype:
        """PyTorch's own name of the dtype."""
        return torch.float64 if self.dtype == "float64" else torch.float32

    @property
    def on_cuda(self) -> bool:
        """Whether arrays live on a CUDA device."""
        return self.device != "cpu"

    @property
    def channels_last(self) -> bool:
        """Whether kernels of convolutions lie with their channels last: PyTorch's convolutions then give such images, too."""
        return not self.on_cuda or "channels_last" in self.cuda

    def current(self) -> contextlib.AbstractContextManager[Any]:
        """Returns: a context in which a CUDA device is the one whose streams and events are meant."""
        return torch.cuda.device(self.device) if self.on_cuda else contextlib.nullcontext()

    def exactly(self) -> contextlib.AbstractContextManager[Any]:
        """Returns: a context in which CUDA's libraries round as was asked for, whatever holds for the rest of the process."""
        return (
            Math(tf32=self.precision == "tf32", tune="tune" in self.cuda) if self.on_cuda else contextlib.nullcontext()
        )

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
            return self.filled(1, value)[0]  # made where it lies: a copy from the host would wait for the device
        return value.detach()

    def split(self, vector: Array) -> Sequence[Array]:
        """Returns: the numbers of a vector as arrays without axes, which share its memory."""
        return vector.unbind()


def to_numbers(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Returns: rows of arrays of one number each, as plain numbers; however many they are, a device is waited for once."""
    values = [value for row in rows for value in row.values()]
    if not values:
        return [{} for _ in rows]
    numbers = iter(torch.stack([value.reshape(()) for value in values]).tolist())
    return [{name: next(numbers) for name in row} for row in rows]


def to_numpy(array: Any, *, copy: bool = True) -> np.ndarray:
    """Returns: the values of an array, or of a plain number, on the host; without `copy` the very memory where that can be."""
    values = array.numpy(force=True) if isinstance(array, torch.Tensor) else array
    return np.array(values, order="C") if copy else np.asarray(values)
