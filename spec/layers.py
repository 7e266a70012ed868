"""The kinds of layer an architecture is made of: their keys, shapes, parameters and statistics.

Each kind is one entry of `KINDS`; each backend has a function of the same name in its own `layers`. Shapes are those
of one sample, channels first. Nothing here has a default value that a framework chose: a layer's keys are all
required, from the layer itself or from the architecture's `[settings.KIND]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spec.distributions import Distribution
from spec.tables import Table

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
    """An array that evaluation moves and training does not: batch norm's running mean and variance."""

    name: str
    shape: Shape
    start: float


@dataclass(frozen=True)
class Made:
    """What a kind makes of a layer's keys: its settings, output shape, parameters and statistics."""

    shape: Shape
    settings: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    statistics: tuple[Statistic, ...] = ()


def _initial(table: Table, name: str, fan_in: int, fan_out: int) -> Distribution:
    # A fan of 0 comes only from a shape that is already noted as wrong.
    return table.distribution(name, also={"fan_in": max(fan_in, 1), "fan_out": max(fan_out, 1)})


def _weight_and_bias(table: Table, weight: Shape, out: int, fan_in: int, fan_out: int) -> tuple[Parameter, ...]:
    parameters = [Parameter("W", weight, _initial(table, "weight", fan_in, fan_out))]
    if table.take("bias", "absent") == "none":
        return tuple(parameters)
    return (*parameters, Parameter("b", (out,), _initial(table, "bias", fan_in, fan_out)))


def _linear(table: Table, inputs: list[Shape]) -> Made:
    """y = W x + b over a flat input; W is (units, features)."""
    (features,) = _flat(inputs[0])
    units = table.size("units")
    return Made((units,), {}, _weight_and_bias(table, (units, features), units, features, units))


def _conv(table: Table, inputs: list[Shape]) -> Made:
    """2-D cross-correlation; W is (channels, in_channels, kernel, kernel); zero padding [top, bottom, left, right]."""
    in_channels, height, width = _image(inputs[0])
    channels, kernel, stride = table.size("channels"), table.size("kernel", most=1024), table.size("stride", most=1024)
    padding = _padding(table)
    top, bottom, left, right = padding
    padded = (height + top + bottom, width + left + right)
    out = tuple((size - kernel) // stride + 1 for size in padded)
    if min(out) < 1:
        raise ShapeError(f"a {kernel}x{kernel} kernel does not fit into {height}x{width} with padding {list(padding)}")
    area = kernel * kernel
    weights = _weight_and_bias(
        table, (channels, in_channels, kernel, kernel), channels, in_channels * area, channels * area
    )
    return Made((channels, *out), {"stride": stride, "padding": padding}, weights)


def _deconv(table: Table, inputs: list[Shape]) -> Made:
    """Transposed convolution; W is (in_channels, channels, kernel, kernel).

    out = (in - 1) stride + kernel - 2 padding
    """
    in_channels, height, width = _image(inputs[0])
    channels, kernel, stride = table.size("channels"), table.size("kernel", most=1024), table.size("stride", most=1024)
    padding = table.size("padding", least=0, most=1024)
    out = tuple((size - 1) * stride + kernel - 2 * padding for size in (height, width))
    if min(out) < 1:
        raise ShapeError(f"padding {padding} leaves nothing of the output of a {kernel}x{kernel} kernel")
    area = kernel * kernel
    # The fans are those of the forward map: each output pixel sums over the input channels.
    weights = _weight_and_bias(
        table, (in_channels, channels, kernel, kernel), channels, in_channels * area, channels * area
    )
    return Made((channels, *out), {"stride": stride, "padding": padding}, weights)


def _batch_norm(table: Table, inputs: list[Shape]) -> Made:
    """y = gamma (x - mean) / sqrt(var + epsilon) + beta per channel.

    running <- (1 - momentum) running + momentum batch
    The batch's own variance is the biased one; the running variance takes the unbiased one, as both frameworks do.
    """
    if not inputs[0]:
        raise ShapeError("batch norm needs a channel axis")
    channels = inputs[0][0]
    parameters = []
    for name in ("gamma", "beta"):
        if table.take(name) != "none":
            parameters.append(Parameter(name, (channels,), _initial(table, name, channels, channels)))
    settings = {"epsilon": table.number("epsilon", least=0), "momentum": table.number("momentum", least=0, most=1)}
    running = (Statistic("mean", (channels,), 0.0), Statistic("variance", (channels,), 1.0))
    return Made(inputs[0], settings, tuple(parameters), running)


def _leaky_relu(table: Table, inputs: list[Shape]) -> Made:
    """y = x where x >= 0, slope x elsewhere."""
    return Made(inputs[0], {"slope": table.number("slope")})


def _elu(table: Table, inputs: list[Shape]) -> Made:
    """y = x where x > 0, alpha (exp(x) - 1) elsewhere."""
    return Made(inputs[0], {"alpha": table.number("alpha")})


def _dropout(table: Table, inputs: list[Shape]) -> Made:
    """In training y = x mask / (1 - rate) with P(mask = 0) = rate; in inference y = x."""
    return Made(inputs[0], {"rate": table.number("rate", least=0, most=0.999)})


def _elementwise(table: Table, inputs: list[Shape]) -> Made:
    return Made(inputs[0], {})


def _reshape(table: Table, inputs: list[Shape]) -> Made:
    """The same numbers in the same order, in another shape."""
    shape = table.sizes("shape")
    if math.prod(shape) != math.prod(inputs[0]):
        old, new = math.prod(inputs[0]), math.prod(shape)
        raise ShapeError(f"{old} elements cannot take the shape {shown(shape)}, which has {new}")
    return Made(shape, {})


def _flatten(table: Table, inputs: list[Shape]) -> Made:
    return Made((math.prod(inputs[0]),), {})


def _upsample(table: Table, inputs: list[Shape]) -> Made:
    """Nearest neighbour: each pixel becomes factor x factor pixels."""
    channels, height, width = _image(inputs[0])
    factor = table.size("factor", most=1024)
    return Made((channels, height * factor, width * factor), {"factor": factor})


def _concat(table: Table, inputs: list[Shape]) -> Made:
    """Joins its inputs along the first axis (channels, or features)."""
    if () in inputs:
        raise ShapeError("a single number has no axis to join along")
    if len({shape[1:] for shape in inputs}) > 1:
        raise ShapeError(f"only the first axis may differ, found {', '.join(map(shown, inputs))}")
    return Made((sum(shape[0] for shape in inputs), *inputs[0][1:]), {})


def _add(table: Table, inputs: list[Shape]) -> Made:
    """The sum of its inputs, all of one shape."""
    if len(set(inputs)) > 1:
        raise ShapeError(f"the shapes must be equal, found {', '.join(map(shown, inputs))}")
    return Made(inputs[0], {})


def _embedding(table: Table, inputs: list[Shape]) -> Made:
    """y = row `label` of W, which is (labels, units)."""
    (labels,) = inputs[0]
    units = table.size("units")
    return Made((units,), {}, (Parameter("W", (labels, units), _initial(table, "weight", labels, units)),))


@dataclass(frozen=True)
class Kind:
    """A kind of layer: how it is made, how many inputs it takes at least and at most, and of which dtype."""

    make: Callable[[Table, list[Shape]], Made]
    least: int = 1
    most: int = 1
    takes: str = "float"


KINDS = {
    "linear": Kind(_linear),
    "conv": Kind(_conv),
    "deconv": Kind(_deconv),
    "batch_norm": Kind(_batch_norm),
    "leaky_relu": Kind(_leaky_relu),
    "relu": Kind(_elementwise),
    "elu": Kind(_elu),
    "tanh": Kind(_elementwise),
    "sigmoid": Kind(_elementwise),
    "dropout": Kind(_dropout),
    "reshape": Kind(_reshape),
    "flatten": Kind(_flatten),
    "upsample": Kind(_upsample),
    "concat": Kind(_concat, least=2, most=16),
    "add": Kind(_add, least=2, most=16),
    "embedding": Kind(_embedding, takes="label"),
}


def shown(shape: Shape) -> str:
    """Returns: a shape as people write it, "64x7x7"; "1 number" for a scalar."""
    return "x".join(map(str, shape)) if shape else "1 number"


def _flat(shape: Shape) -> Shape:
    if len(shape) != 1:
        raise ShapeError(f"expected a flat input, found {shown(shape)}; put a flatten layer before it")
    return shape


def _image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ShapeError(f"expected channels x height x width, found {shown(shape)}; put a reshape layer before it")
    return shape


def _padding(table: Table) -> tuple[int, ...]:
    if isinstance(table.data.get("padding"), (list, tuple)):
        sides = table.sizes("padding", least=0)
        if len(sides) == 4:
            return sides
        table.note("padding", f"expected one size or [top, bottom, left, right], found {len(sides)} sizes")
        return (0, 0, 0, 0)
    return (table.size("padding", least=0, most=1024),) * 4
