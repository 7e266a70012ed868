"""What a kind of layer makes of its keys: shape, settings, parameters and statistics; and what the kinds share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.tables import Table

Shape = tuple[int, ...]


class ShapeError(Exception):
    """A layer does not take the shape it is given; the message says what it takes."""


@dataclass(frozen=True)
class Parameter:
    """A trained array of a layer: its name, shape, and the distribution of its initial values."""

    name: str
    shape: Shape
    initial: Distribution

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Statistic:
    """An array that evaluation moves and training does not: batch norm's running mean, spectral norm's vector."""

    name: str
    shape: Shape
    initial: Distribution


@dataclass(frozen=True)
class LayerOutline:
    """What a kind makes of a layer's keys: its settings, output shape, parameters and statistics."""

    shape: Shape
    settings: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    statistics: tuple[Statistic, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of layer: how it is made, how many inputs it takes at least and at most, and of which dtype."""

    make: Callable[[Table, list[Shape]], LayerOutline]
    least: int = 1
    most: int = 1
    takes: str = "float"


def constant(value: float) -> Distribution:
    return Distribution("constant", value, 0.0)


def format_shape(shape: Shape) -> str:
    """Returns: a shape as people write it, "64x7x7"; "1 number" for a scalar."""
    return "x".join(map(str, shape)) if shape else "1 number"


def require_vector(shape: Shape) -> Shape:
    if len(shape) != 1:
        raise ShapeError(f"expected a flat input, found {format_shape(shape)}; put a flatten layer before it")
    return shape


def require_image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ShapeError(
            f"expected channels x height x width, found {format_shape(shape)}; put a reshape layer before it"
        )
    return shape


def require_equal(inputs: list[Shape]) -> Shape:
    if len(set(inputs)) > 1:
        raise ShapeError(f"the shapes must be equal, found {', '.join(map(format_shape, inputs))}")
    return inputs[0]
