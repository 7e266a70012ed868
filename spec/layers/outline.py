"""The outline of a layer: the shape, settings, parameters and statistics that its kind makes of its keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.errors import counted
from ganspec.spec.text.tables import Table

Shape = tuple[int, ...]
MAX_WINDOW = 1024  # height or width of a kernel or window, its stride, dilation and padding


class ShapeError(Exception):
    """A layer does not take the shape of its input; the message says what it takes."""


@dataclass(frozen=True)
class Parameter:
    """A trained array of a layer.

    Args:
        initial: distribution of its initial values.
    """

    name: str
    shape: Shape
    initial: Distribution

    @property
    def count(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Statistic:
    """A non-trained array that the forward pass updates: batch norm's running mean, spectral norm's vector."""

    name: str
    shape: Shape
    initial: Distribution


@dataclass(frozen=True)
class LayerOutline:
    """What a kind makes of a layer's keys.

    Args:
        shape: shape of the output, for one sample.
        settings: numbers that a backend needs to evaluate the layer.
        parameters: arrays that training moves.
        statistics: arrays that the forward pass moves.
    """

    shape: Shape
    settings: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    statistics: tuple[Statistic, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Args:
        make: function that makes a layer's outline of its keys and the shapes of its inputs.
        least: smallest number of inputs.
        most: largest number of inputs.
        takes: dtype of each input, "float" or "label"; the last is that of all further inputs.
        couples: whether what it gives for a sample depends on the other samples of the batch, at least in training; several
            processes that share a batch must exchange what it takes.
    """

    make: Callable[[Table, list[Shape]], LayerOutline]
    least: int = 1
    most: int = 1
    takes: tuple[str, ...] = ("float",)
    couples: bool = False

    def dtype(self, i: int) -> str:
        """Returns: the dtype of input number i."""
        return self.takes[min(i, len(self.takes) - 1)]


def constant(value: float) -> Distribution:
    """Returns: the distribution of a number that is always the same."""
    return Distribution("constant", value, 0.0)


def format_shape(shape: Shape) -> str:
    """Returns: a shape as people write it, "64x7x7"; "1 number" for a scalar."""
    return "x".join(map(str, shape)) if shape else "1 number"


def per_sample(shape: Shape) -> str:
    """Returns: what a network gives for each sample, "3x32x32 per sample" or "1 number per sample"."""
    return f"{format_shape(shape) if len(shape) > 1 else counted(math.prod(shape), 'number')} per sample"


def require_vector(shape: Shape) -> Shape:
    """Returns: the shape, if it has one axis. Raises: ShapeError: otherwise."""
    if len(shape) != 1:
        raise ShapeError(f"expected a flat input, found {format_shape(shape)}; put a flatten layer before it")
    return shape


def require_image(shape: Shape) -> Shape:
    """Returns: the shape, if it has three axes. Raises: ShapeError: otherwise."""
    if len(shape) != 3:
        raise ShapeError(
            f"expected channels x height x width, found {format_shape(shape)}; put a reshape layer before it"
        )
    return shape


def require_channels(shape: Shape) -> Shape:
    """Returns: the shape, if it has an axis of channels. Raises: ShapeError: otherwise."""
    if not shape:
        raise ShapeError("expected channels, found a single number; put a reshape layer before it")
    return shape


def require_equal(inputs: list[Shape]) -> Shape:
    """Returns: the shape that all inputs have. Raises: ShapeError: they differ."""
    if len(set(inputs)) > 1:
        raise ShapeError(f"the shapes must be equal, found {', '.join(map(format_shape, inputs))}")
    return inputs[0]


def pair(table: Table, name: str, least: int = 1) -> tuple[int, int]:
    """Returns: a size in both directions of an image, given as one number or as [vertical, horizontal]."""
    if isinstance(table.data.get(name), (list, tuple)):
        sizes = table.sizes(name, least=least, most=MAX_WINDOW)
        if len(sizes) == 2:
            return sizes[0], sizes[1]
        table.note(name, f"expected one size or [vertical, horizontal], found {len(sizes)} sizes")
        return (1, 1)
    return (table.size(name, least=least, most=MAX_WINDOW),) * 2


def sides(table: Table) -> tuple[int, ...]:
    """Returns: `padding` at the top, bottom, left and right of an image; given as one number, or as those four."""
    if isinstance(table.data.get("padding"), (list, tuple)):
        sizes = table.sizes("padding", least=0, most=MAX_WINDOW)
        if len(sizes) == 4:
            return sizes
        table.note("padding", f"expected one size or [top, bottom, left, right], found {len(sizes)} sizes")
        return (0, 0, 0, 0)
    return (table.size("padding", least=0, most=MAX_WINDOW),) * 4


def short(value: Any) -> Any:
    """Returns: one number for two equal ones."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1] else value
