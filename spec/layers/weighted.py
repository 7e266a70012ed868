"""Layers with weights: linear, convolutions, embedding.

    weight, bias       distributions of the initial values, which may use fan_in and fan_out; bias = "none" for no bias
    gain               optional: factor of the weight wherever it is used, which may use fan_in and fan_out
    spectral_norm      optional: { iterations, epsilon, advance }, see `spectral_norm`

A gain of sqrt(2 / fan_in) on weights from N(0, 1) is the equalised learning rate of Karras et al. 2018, arXiv:1710.10196,
section 4.1.
"""

from __future__ import annotations

from typing import Any

from ganspec.spec.layers.outline import (
    LayerOutline,
    Parameter,
    Shape,
    ShapeError,
    Statistic,
    require_image,
    require_vector,
)
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.tables import Table

ADVANCES = ("always", "training")


def linear(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = W x + b over a flat input; W is (units, features)."""
    (features,) = require_vector(inputs[0])
    units = table.size("units")
    return _weighted(table, (units,), {}, (units, features), units, features, units)


def conv(table: Table, inputs: list[Shape]) -> LayerOutline:
    """2-D cross-correlation; W is (channels, in_channels, kernel, kernel); zeros pad [top, bottom, left, right]."""
    in_channels, height, width = require_image(inputs[0])
    channels, kernel, stride = table.size("channels"), table.size("kernel", most=1024), table.size("stride", most=1024)
    padding = _padding(table)
    top, bottom, left, right = padding
    padded = (height + top + bottom, width + left + right)
    out = tuple((size - kernel) // stride + 1 for size in padded)
    if min(out) < 1:
        raise ShapeError(f"a {kernel}x{kernel} kernel does not fit into {height}x{width} with padding {list(padding)}")
    area, settings = kernel * kernel, {"stride": stride, "padding": padding}
    weight = (channels, in_channels, kernel, kernel)
    return _weighted(table, (channels, *out), settings, weight, channels, in_channels * area, channels * area)


def deconv(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Transposed convolution; W is (in_channels, channels, kernel, kernel).

    out = (in - 1) stride + kernel - 2 padding
    """
    in_channels, height, width = require_image(inputs[0])
    channels, kernel, stride = table.size("channels"), table.size("kernel", most=1024), table.size("stride", most=1024)
    padding = table.size("padding", least=0, most=1024)
    out = tuple((size - 1) * stride + kernel - 2 * padding for size in (height, width))
    if min(out) < 1:
        raise ShapeError(f"padding {padding} leaves nothing of the output of a {kernel}x{kernel} kernel")
    area, settings = kernel * kernel, {"stride": stride, "padding": padding}
    weight = (in_channels, channels, kernel, kernel)
    # The fans are those of the forward map: each output pixel sums over the input channels.
    return _weighted(table, (channels, *out), settings, weight, channels, in_channels * area, channels * area)


def embedding(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = row `label` of W, which is (labels, units)."""
    (labels,) = inputs[0]
    units = table.size("units")
    return LayerOutline((units,), {}, (Parameter("W", (labels, units), _initial(table, "weight", labels, units)),))


def _weighted(
    table: Table, shape: Shape, settings: dict[str, Any], weight: Shape, out: int, fan_in: int, fan_out: int
) -> LayerOutline:
    parameters = [Parameter("W", weight, _initial(table, "weight", fan_in, fan_out))]
    if table.take("bias", "absent") != "none":
        parameters.append(Parameter("b", (out,), _initial(table, "bias", fan_in, fan_out)))
    table.read |= {"gain", "spectral_norm"}
    if "gain" in table:
        gain = _initial(table, "gain", fan_in, fan_out)
        if gain.kind != "constant" or gain.a == 0:
            table.note("gain", "expected a number other than 0, or arithmetic on fan_in and fan_out")
        settings["gain"] = gain.a
    if "spectral_norm" not in table:
        return LayerOutline(shape, settings, tuple(parameters))
    settings["spectral_norm"] = spectral_norm(table.table("spectral_norm"))
    u = Statistic("u", (weight[0],), Distribution("normal", 0.0, 1.0))
    return LayerOutline(shape, settings, tuple(parameters), (u,))


def spectral_norm(table: Table) -> dict[str, Any]:
    """Divides the weight by an estimate of its largest singular value; as a matrix W it has one row for each first index.

        repeated `iterations` times: v = W^T u / (|W^T u| + epsilon), u = W v / (|W v| + epsilon);   W <- W / (u^T W v)

    u starts from N(0, 1) and is kept; u and v are constants for gradients. `advance` says which evaluations move the kept u: all
    ("always"), or only those in training mode ("training").
    Source: Miyato et al. 2018, arXiv:1802.05957, algorithm 1.
    """
    settings = {
        "iterations": table.size("iterations", most=1000),
        "epsilon": table.number("epsilon", least=0),
        "advance": table.choice("advance", ADVANCES),
    }
    table.close()
    return settings


def _initial(table: Table, name: str, fan_in: int, fan_out: int) -> Distribution:
    # A fan of 0 comes only from a shape that is already noted as wrong.
    return table.distribution(name, also={"fan_in": max(fan_in, 1), "fan_out": max(fan_out, 1)})


def _padding(table: Table) -> tuple[int, ...]:
    if isinstance(table.data.get("padding"), (list, tuple)):
        sides = table.sizes("padding", least=0)
        if len(sides) == 4:
            return sides
        table.note("padding", f"expected one size or [top, bottom, left, right], found {len(sides)} sizes")
        return (0, 0, 0, 0)
    return (table.size("padding", least=0, most=1024),) * 4
