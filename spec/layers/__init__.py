"""The kinds of layer of which architectures are made: their keys, shapes, parameters and statistics.

Each kind is one entry of `KINDS`; each backend has a function of the same name in its module `layers`. Shapes are those of one
sample, channels first. No key has a default value that a framework chose: every key is required, in the layer itself or in the
architecture's `[settings.KIND]`. The few keys that are marked optional change nothing when they are left out.
"""

from ganspec.spec.layers import normalising, shaping, weighted
from ganspec.spec.layers.outline import (
    Kind,
    LayerOutline,
    Parameter,
    Shape,
    ShapeError,
    Statistic,
    format_shape,
    per_sample,
)

KINDS = {
    "linear": Kind(weighted.linear),
    "conv": Kind(weighted.conv),
    "deconv": Kind(weighted.deconv),
    "embedding": Kind(weighted.embedding, takes="label"),
    "one_hot": Kind(shaping.one_hot, takes="label"),
    "batch_norm": Kind(normalising.batch_norm),
    "pixel_norm": Kind(normalising.pixel_norm),
    "minibatch_std": Kind(normalising.minibatch_std),
    "minibatch_discrimination": Kind(normalising.minibatch_discrimination),
    "dropout": Kind(normalising.dropout),
    "leaky_relu": Kind(shaping.leaky_relu),
    "relu": Kind(shaping.elementwise),
    "elu": Kind(shaping.elu),
    "tanh": Kind(shaping.elementwise),
    "sigmoid": Kind(shaping.elementwise),
    "scale": Kind(shaping.scale),
    "reshape": Kind(shaping.reshape),
    "flatten": Kind(shaping.flatten),
    "upsample": Kind(shaping.upsample),
    "max_pool": Kind(shaping.pool),
    "avg_pool": Kind(shaping.pool),
    "planes": Kind(shaping.planes),
    "concat": Kind(shaping.concat, least=2, most=16),
    "add": Kind(shaping.join, least=2, most=16),
    "fade": Kind(shaping.join, least=2, most=2),
}

__all__ = [
    "KINDS",
    "Kind",
    "LayerOutline",
    "Parameter",
    "Shape",
    "ShapeError",
    "Statistic",
    "format_shape",
    "per_sample",
]
