"""Layers that look at a whole batch or at all channels: norms, and what lets a discriminator compare samples."""

from __future__ import annotations

from ganspec.spec.layers.outline import (
    LayerOutline,
    Parameter,
    Shape,
    ShapeError,
    Statistic,
    constant,
    require_image,
    require_vector,
)
from ganspec.spec.text.tables import Table


def batch_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = gamma (x - mean) / sqrt(var + epsilon) + beta per channel.

        running <- (1 - momentum) running + momentum batch

    The batch is normalised by its biased variance; the running variance takes the unbiased one, as in both frameworks.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """
    if not inputs[0]:
        raise ShapeError("batch norm needs a channel axis")
    channels = inputs[0][0]
    parameters = []
    for name in ("gamma", "beta"):
        if table.take(name) != "none":
            initial = table.distribution(name, also={"fan_in": channels, "fan_out": channels})
            parameters.append(Parameter(name, (channels,), initial))
    noted = table.problems.noted
    settings = {"epsilon": table.number("epsilon", least=0), "momentum": table.number("momentum", least=0, most=1)}
    if settings["epsilon"] == 0 and table.problems.noted == noted:  # PyTorch refuses it, too
        table.note("epsilon", "expected a number above 0: a channel whose numbers are all equal has the variance 0")
    running = (Statistic("mean", (channels,), constant(0.0)), Statistic("variance", (channels,), constant(1.0)))
    return LayerOutline(inputs[0], settings, tuple(parameters), running)


def pixel_norm(table: Table, inputs: list[Shape]) -> LayerOutline:
    """y = x / sqrt(mean of x^2 over the channels + epsilon), at each pixel.

    Source: Karras et al. 2018, arXiv:1710.10196, section 4.2.
    """
    if not inputs[0]:
        raise ShapeError("pixel norm needs a channel axis")
    return LayerOutline(inputs[0], {"epsilon": table.number("epsilon", least=0)})


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
