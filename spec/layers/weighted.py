"""Layers with weights: linear, convolutions, embedding.

    weight, bias       distributions of the initial values, which may use fan_in and fan_out; bias = "none" for no bias
    gain               optional: factor of the weight wherever it is used, which may use fan_in and fan_out
    spectral_norm      optional: { iterations, epsilon, advance }, see `spectral_norm`

A gain of sqrt(2 / fan_in) on weights from N(0, 1) is the equalised learning rate of Karras et al. 2018, arXiv:1710.10196,
section 4.1.
"""

from __future__ import annotations

import math
from typing import Any

from ganspec.spec.layers.outline import (
    LayerOutline,
    Parameter,
    Shape,
    ShapeError,
    Statistic,
    format_shape,
    pair,
    require_image,
    require_vector,
    short,
    sides,
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
    """2-D cross-correlation; W is (channels, in_channels / groups, *kernel); zeros pad [top, bottom, left, right].

    out = floor((in + both paddings - dilation (kernel - 1) - 1) / stride) + 1

    With `dilation` d the numbers of a kernel meet every d-th pixel. With `groups` g the channels in and out are g equal groups in
    order, each of the out ones made of its own in ones.
    """
    in_channels, *image = require_image(inputs[0])
    channels, kernel, stride = table.size("channels"), pair(table, "kernel"), pair(table, "stride")
    padding = sides(table)
    table.read |= {"dilation", "groups"}
    dilation = pair(table, "dilation") if "dilation" in table else (1, 1)
    groups = table.size("groups") if "groups" in table else 1
    out = []
    for size, k, s, d, before, after in zip(image, kernel, stride, dilation, padding[::2], padding[1::2], strict=True):
        out.append((size + before + after - d * (k - 1) - 1) // s + 1)
    if min(out) < 1:
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
        raise ShapeError(
            f"a {format_shape(reach)} kernel does not fit into {format_shape(tuple(image))} with padding {list(padding)}"
        )
    if in_channels % groups or channels % groups:
        raise ShapeError(
            f"{in_channels} channels in and {channels} channels out cannot both be split into {groups} equal groups"
        )
    settings = {"stride": short(stride), "padding": padding}
    settings |= {"dilation": short(dilation)} if dilation != (1, 1) else {}
    settings |= {"groups": groups} if groups > 1 else {}
    weight, area = (channels, in_channels // groups, *kernel), math.prod(kernel)
    fans = in_channels // groups * area, channels // groups * area
    return _weighted(table, (channels, *out), settings, weight, channels, *fans)


def deconv(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Transposed convolution; W is (in_channels, channels, *kernel).

    out = (in - 1) stride + kernel - 2 padding
    """
    in_channels, *image = require_image(inputs[0])
    channels, kernel, stride = table.size("channels"), pair(table, "kernel"), pair(table, "stride")
    padding = pair(table, "padding", least=0)
    out = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(image, kernel, stride, padding, strict=True)]
    if min(out) < 1:
        raise ShapeError(f"padding {short(padding)} leaves nothing of the output of a {format_shape(kernel)} kernel")
    settings = {"stride": short(stride), "padding": short(padding)}
    weight, area = (in_channels, channels, *kernel), math.prod(kernel)
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
