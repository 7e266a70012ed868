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
        takes: dtype of the inputs: "float" or "label".
    """

    make: Callable[[Table, list[Shape]], LayerOutline]
    least: int = 1
    most: int = 1
    takes: str = "float"


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


def require_equal(inputs: list[Shape]) -> Shape:
    """Returns: the shape that all inputs have. Raises: ShapeError: they differ."""
    if len(set(inputs)) > 1:
        raise ShapeError(f"the shapes must be equal, found {', '.join(map(format_shape, inputs))}")
    return inputs[0]
