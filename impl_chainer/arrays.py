"""Where Chainer's arrays live: device and dtype, and the way to NumPy and back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chainer
import numpy as np

from ganspec.impl_chainer.precision import Math
from ganspec.spec.training.options import (
    DTYPES,
    PRECISIONS,
    check_choice,
    check_cuda,
    check_device,
    check_precision,
    device_number,
    missing_device,
)

Array = chainer.Variable


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what is."""


@dataclass(frozen=True)
class ArrayContext:
    """Where arrays live, and in which precision.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        dtype: "float32" or "float64".
        precision: "full", or "tf32" for products of matrices in TensorFloat-32.
        cuda: choices for a CUDA device, of "tune", "channels_last", "eager".

    Raises:
        ValueError: there is no such device, dtype, precision or choice, or they do not go together.
        NotImplementedError: the precision is "bf16", or a choice is one that Chainer does not have.
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
        if self.precision == "bf16":
            raise NotImplementedError("Chainer has no precision bf16: NumPy and CuPy have no bfloat16; use PyTorch")
        if "channels_last" in self.cuda:
            raise NotImplementedError("Chainer's convolutions on CUDA take images channels-first alone; use PyTorch")
        cuda = chainer.backends.cuda
        count = cuda.cupy.cuda.runtime.getDeviceCount() if cuda.available else 0
        if missing := missing_device("Chainer", self.device, count, "install CuPy for your CUDA"):
            raise DeviceError(missing)
        if "tune" in self.cuda and not cuda.cudnn_enabled:
            raise NotImplementedError(
                "this CuPy has no cuDNN, so there is nothing to tune: leave out the choice 'tune'"
            )
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

    @property
    def on_cuda(self) -> bool:
        """Whether arrays live on a CUDA device."""
        return self.device != "cpu"

    def current(self) -> contextlib.AbstractContextManager[Any]:
        """Returns: a context in which a CUDA device is the one whose streams and events are meant."""
        number = device_number(self.device)
        return contextlib.nullcontext() if number is None else chainer.backends.cuda.cupy.cuda.Device(number)

    def exactly(self) -> contextlib.AbstractContextManager[Any]:
        """Returns: a context in which CUDA's libraries round as was asked for, whatever holds for the rest of the process."""
        return (
            Math(tf32=self.precision == "tf32", tune="tune" in self.cuda) if self.on_cuda else contextlib.nullcontext()
        )

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
            return Array(
                self.filled(1, value).array[0, ...], requires_grad=False
            )  # made where it lies, not copied there
        return Array(value.array, requires_grad=False)

    def split(self, vector: Array) -> Sequence[Any]:
        """Returns: the numbers of a vector as arrays of NumPy or CuPy without axes, which share its memory."""
        return [vector.array[i, ...] for i in range(vector.size)]


def to_numbers(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Returns: rows of arrays of one number each, as plain numbers; however many they are, a device is waited for once."""
    values = [value.array for row in rows for value in row.values()]
    if not values:
        return [{} for _ in rows]
    xp = chainer.backend.get_array_module(*values)
    numbers = iter(chainer.backends.cuda.to_cpu(xp.stack([value.reshape(()) for value in values])).tolist())
    return [{name: next(numbers) for name in row} for row in rows]


def to_numpy(array: Any, *, copy: bool = True) -> np.ndarray:
    """Returns: the values of an array, or of a plain number, on the host; without `copy` the very memory where that can be."""
    values = chainer.backends.cuda.to_cpu(array.array) if isinstance(array, Array) else array
    return np.array(values) if copy else np.asarray(values)
