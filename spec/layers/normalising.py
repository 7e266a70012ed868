"""Layers that look at a whole batch or at all channels: norms, and what lets a discriminator compare samples."""

from __future__ import annotations

import math

from ganspec.spec.layers.outline import (
    LayerOutline,
    Parameter,
    Shape,
    ShapeError,
    Statistic,
    constant,
    require_channels,
    require_image,
    require_vector,
)
from ganspec.spec.text.errors import counted
from ganspec.spec.text.tables import Table


def batch_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = gamma (x - mean) / sqrt(var + epsilon) + beta per channel.

        running <- (1 - momentum) running + momentum batch

    The batch is normalised by its biased variance; the running variance takes the unbiased one, as in both frameworks.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """
    channels = require_channels(inputs[0])[0]
    return _batch_norm(table, inputs[0], _scale_and_shift(table, (channels,), channels))


def conditional_batch_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Batch norm whose gamma and beta are those of the sample's label: rows of gamma and beta, which are (labels, channels).

    The inputs are the numbers and the label.
    Source: Dumoulin et al. 2017, arXiv:1610.07629, section 2.2; Miyato and Koyama 2018, arXiv:1802.05637, appendix A.
    """
    channels, (labels,) = require_channels(inputs[0])[0], inputs[1]
    return _batch_norm(table, inputs[0], _scale_and_shift(table, (labels, channels), channels))


def _batch_norm(table: Table, shape: Shape, parameters: tuple[Parameter, ...]) -> LayerOutline:
    settings = {"epsilon": _above_0(table, "epsilon"), "momentum": table.number("momentum", least=0, most=1)}
    channels = (shape[0],)
    running = (Statistic("mean", channels, constant(0.0)), Statistic("variance", channels, constant(1.0)))
    return LayerOutline(shape, settings, parameters, running)


def _scale_and_shift(table: Table, shape: Shape, fan: int) -> tuple[Parameter, ...]:
    """Returns: gamma and beta, each unless it is "none"."""
    wanted = [name for name in ("gamma", "beta") if table.take(name) != "none"]
    return tuple(Parameter(n, shape, table.distribution(n, also={"fan_in": fan, "fan_out": fan})) for n in wanted)


def _above_0(table: Table, key: str) -> float:
    noted, value = table.problems.noted, table.number(key, least=0)
    if value == 0 and table.problems.noted == noted:  # PyTorch refuses it in batch norm, too
        table.note(key, "expected a number above 0, or something could be divided by 0")
    return value


def layer_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over all numbers of a sample; the variance is the biased one.

    gamma and beta have the shape of a sample. Source: Ba et al. 2016, arXiv:1607.06450, section 3.
    """
    shape = require_channels(inputs[0])
    return LayerOutline(
        shape, {"epsilon": _above_0(table, "epsilon")}, _scale_and_shift(table, shape, math.prod(shape))
    )


def instance_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the pixels of each channel of each sample.

    The variance is the biased one; gamma and beta are numbers for each channel.
    Source: Ulyanov et al. 2016, arXiv:1607.08022, equation 4.
    """
    channels = require_image(inputs[0])[0]
    return LayerOutline(
        inputs[0], {"epsilon": _above_0(table, "epsilon")}, _scale_and_shift(table, (channels,), channels)
    )


def group_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over each of `groups` groups of channels of each sample.

    A group is channels that follow each other, with all their pixels. The variance is the biased one; gamma and beta are numbers
    for each channel. Source: Wu and He 2018, arXiv:1803.08494, section 3.
    """
    channels, groups = require_channels(inputs[0])[0], table.size("groups")
    if channels % groups:
        raise ShapeError(f"{counted(channels, 'channel')} cannot be split into {groups} equal groups")
    settings = {"groups": groups, "epsilon": _above_0(table, "epsilon")}
    return LayerOutline(inputs[0], settings, _scale_and_shift(table, (channels,), channels))


def pixel_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x / sqrt(mean of x^2 over the channels + epsilon), at each pixel.

    Source: Karras et al. 2018, arXiv:1710.10196, section 4.2.
    """
    return LayerOutline(require_channels(inputs[0]), {"epsilon": table.number("epsilon", least=0)})


def normalize(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x / (sqrt(sum of x^2 over the channels) + epsilon), at each pixel.

    Chainer's `normalize`; PyTorch's divides by the larger of the norm and epsilon instead.
    """
    return LayerOutline(require_channels(inputs[0]), {"epsilon": _above_0(table, "epsilon")})


def local_response_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x / (k + alpha * sum of x^2 over the n nearest channels, its own in the middle)^beta, at each pixel.

    Channels beyond the first and the last count as 0. This is the paper's equation and Chainer's; PyTorch divides alpha by n.
    Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section 3.3.
    """
    shape, noted = require_channels(inputs[0]), table.problems.noted
    n = table.size("n", most=1023)
    if n % 2 == 0 and table.problems.noted == noted:
        hint = f"Chainer takes {n + 1} channels for n = {n} on the CPU"
        table.note("n", f"expected an odd number, so that there is a channel in the middle, found {n}", hint)
    settings = {
        "n": n,
        "k": _above_0(table, "k"),
        "alpha": table.number("alpha", least=0),
        "beta": table.number("beta"),
    }
    return LayerOutline(shape, settings)


def minibatch_std(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Appends one channel whose every pixel is the mean over all features of sqrt(variance over the batch + epsilon).

    The variance is the biased one. Source: Karras et al. 2018, arXiv:1710.10196, section 3.
    """
    channels, height, width = require_image(inputs[0])
    return LayerOutline((channels + 1, height, width), {"epsilon": table.number("epsilon", least=0)})


def minibatch_discrimination(table: Table, inputs: list[Shape]) -> LayerOutline:
    """Measures how close a sample is to the others of its batch, in each of `kernels` projections of `dimensions` numbers.

        o(x_i)_b = sum over j of exp(-|M_i,b - M_j,b|_1), minus 1 for j = i;   M has shape (kernels, dimensions) per sample

    The input is M as a vector, from a linear layer. Source: Salimans et al. 2016, arXiv:1606.03498, section 3.2.
    """
    (features,) = require_vector(inputs[0])
    kernels, dimensions = table.size("kernels"), table.size("dimensions")
    if features != kernels * dimensions:
        raise ShapeError(
            f"{kernels} kernels of {dimensions} dimensions take {kernels * dimensions} numbers, not {features}"
        )
    return LayerOutline((kernels,), {"kernels": kernels, "dimensions": dimensions})


def dropout(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x mask / (1 - rate) in training, where P(mask = 0) = rate; y = x in inference."""
    return LayerOutline(inputs[0], {"rate": table.number("rate", least=0, most=0.999)})
