"""Where Chainer's arrays live: device and dtype, and the way to NumPy and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import chainer
import numpy as np

from ganspec.spec.training.options import DTYPES, PRECISIONS, check_choice, check_device, device_number, missing_device

Array = chainer.Variable


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what is."""


@dataclass(frozen=True)
class ArrayContext:
    """Where arrays live, and in which precision.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32" or "float64".
        precision: "full".

    Raises:
        ValueError: there is no such device, dtype or precision.
        NotImplementedError: the precision is "bf16".
        DeviceError: the device is not there.
    """

    device: str
    dtype: str
    precision: str = PRECISIONS[0]

    def __post_init__(self) -> None:
        check_device(self.device)
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("precision", self.precision, PRECISIONS)
        if self.precision == "bf16":
            raise NotImplementedError("Chainer has no precision bf16: NumPy and CuPy have no bfloat16; use PyTorch")
        cuda = chainer.backends.cuda
        count = cuda.cupy.cuda.runtime.getDeviceCount() if cuda.available else 0
        if missing := missing_device("Chainer", self.device, count, "install CuPy for your CUDA"):
            raise DeviceError(missing)
        self.use()

    @property
    def xp(self) -> Any:
        """NumPy or CuPy."""
        return np if self.device == "cpu" else chainer.backends.cuda.cupy

    def use(self) -> None:
        """Make the device the one on which CuPy computes in this thread; a tensor of PyTorch knows its own."""
        if (number := device_number(self.device)) is not None:
            chainer.backends.cuda.cupy.cuda.Device(number).use()

    @property
    def floating(self) -> np.dtype:
        """NumPy's own name of the dtype."""
        return np.dtype(self.dtype)

    def array(self, values: np.ndarray) -> Array:
        """Returns: a copy of NumPy values here; whole numbers stay whole (int64), all others become `dtype`."""
        if values.dtype.kind in "iu":
            return Array(self.xp.array(values, dtype=np.int64), requires_grad=False)
        return Array(self.xp.array(values, dtype=self.dtype), requires_grad=False)

    def adopted(self, values: np.ndarray) -> Array:
        """Returns: floating-point values here, which nobody else changes; the very memory where that can be."""
        return Array(self.xp.asarray(values, dtype=self.dtype), requires_grad=False)

    def filled(self, count: int, value: float) -> Array:
        """Returns: a vector of `count` numbers, all equal."""
        return Array(self.xp.full(count, value, dtype=self.dtype), requires_grad=False)

    def constant(self, value: Any) -> Any:
        """Returns: a value without its graph: an array, a dictionary of arrays, or a plain number, which becomes an array."""
        if isinstance(value, dict):
            return {name: self.constant(v) for name, v in value.items()}
        if isinstance(value, float):  # of a formula without any array
            return self.array(np.array(value))
        return Array(value.array, requires_grad=False)


def to_numpy(array: Any, *, copy: bool = True) -> np.ndarray:
    """Returns: the values of an array, or of a plain number, on the host; without `copy` the very memory where that can be."""
    values = chainer.backends.cuda.to_cpu(array.array) if isinstance(array, Array) else array
    return np.array(values) if copy else np.asarray(values)
