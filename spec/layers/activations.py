"""Layers that act on each number by itself, and softmax: activations, constant and trained factors and addends."""

from __future__ import annotations

from ganspec.spec.layers.outline import LayerOutline, Parameter, Shape, ShapeError, require_channels
from ganspec.spec.text.tables import Table

SHARES = ("layer", "channel", "number")


def elementwise(table: Table, inputs: list[Shape]) -> LayerOutline:
    """A function of each number: relu, tanh, sigmoid, softplus = log(1 + exp(x)), abs, exp, log, sqrt."""
    return LayerOutline(inputs[0], {})


def leaky_relu(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x where x > 0, and slope x elsewhere."""
    return LayerOutline(inputs[0], {"slope": table.number("slope")})


def prelu(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x where x > 0, and W x elsewhere; the slopes W are trained.

    Source: He et al. 2015, arXiv:1502.01852, section 2.1.
    """
    return _trained(table, inputs[0], "W", "slope")


def elu(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x where x > 0, and alpha (exp(x) - 1) elsewhere."""
    return LayerOutline(inputs[0], {"alpha": table.number("alpha")})


def scale(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = factor x."""
    return LayerOutline(inputs[0], {"factor": table.number("factor")})


def hard_sigmoid(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = slope x + 0.5, moved into [0, 1]; the slope is 0.2 in Chainer and 1/6 in PyTorch."""
    return LayerOutline(inputs[0], {"slope": table.number("slope")})


def swish(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x / (1 + exp(-beta x)); beta is trained.

    Source: Ramachandran et al. 2017, arXiv:1710.05941, section 4.
    """
    return _trained(table, inputs[0], "beta", "beta")


def clip(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x, moved into [low, high]."""
    noted = table.problems.noted
    low, high = table.number("low"), table.number("high")
    if low >= high and table.problems.noted == noted:
        table.note("high", f"expected a number above low = {low:g}, found {high:g}")
    return LayerOutline(inputs[0], {"low": low, "high": high})


def softmax(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = exp(x) / sum of exp(x) over the channels, at each pixel."""
    require_channels(inputs[0])
    return LayerOutline(inputs[0], {})


def trained_scale(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = W x, each number times its own trained factor."""
    return _trained(table, inputs[0], "W", "factor")


def bias(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x + b; the addends b are trained."""
    return _trained(table, inputs[0], "b", "bias")


def _trained(table: Table, shape: Shape, name: str, key: str) -> LayerOutline:
    """A layer with one trained array `name`, whose initial values are `key`, and which `per` says how many numbers share."""
    per = table.choice("per", SHARES)
    if per == "channel" and not shape:
        raise ShapeError('a single number has no channels; write per = "layer"')
    own = {"layer": (), "channel": shape[:1], "number": shape}[per]
    return LayerOutline(shape, {}, (Parameter(name, own, table.distribution(key)),))
