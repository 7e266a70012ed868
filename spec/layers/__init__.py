"""The kinds of layer of which architectures are made: their keys, shapes, parameters and statistics.

Each kind is one entry of `KINDS`; each backend has a function of the same name in its module `layers`. Shapes are those of one
sample, channels first. No key has a default value that a framework chose: every key is required, in the layer itself or in the
architecture's `[settings.KIND]`. The few keys that are marked optional change nothing when they are left out.
"""

from ganspec.spec.layers import activations, normalising, shaping, weighted
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
    "embedding": Kind(weighted.embedding, takes=("label",)),
    "one_hot": Kind(shaping.one_hot, takes=("label",)),
    "batch_norm": Kind(normalising.batch_norm, couples=True),
    "conditional_batch_norm": Kind(
        normalising.conditional_batch_norm, least=2, most=2, takes=("float", "label"), couples=True
    ),
    "layer_norm": Kind(normalising.layer_norm),
    "instance_norm": Kind(normalising.instance_norm),
    "group_norm": Kind(normalising.group_norm),
    "pixel_norm": Kind(normalising.pixel_norm),
    "normalize": Kind(normalising.normalize),
    "local_response_norm": Kind(normalising.local_response_norm),
    "minibatch_std": Kind(normalising.minibatch_std, couples=True),
    "minibatch_discrimination": Kind(normalising.minibatch_discrimination, couples=True),
    "dropout": Kind(normalising.dropout),
    "leaky_relu": Kind(activations.leaky_relu),
    "prelu": Kind(activations.prelu),
    "relu": Kind(activations.elementwise),
    "elu": Kind(activations.elu),
    "tanh": Kind(activations.elementwise),
    "sigmoid": Kind(activations.elementwise),
    "hard_sigmoid": Kind(activations.hard_sigmoid),
    "softplus": Kind(activations.elementwise),
    "swish": Kind(activations.swish),
    "abs": Kind(activations.elementwise),
    "exp": Kind(activations.elementwise),
    "log": Kind(activations.elementwise),
    "sqrt": Kind(activations.elementwise),
    "clip": Kind(activations.clip),
    "softmax": Kind(activations.softmax),
    "scale": Kind(activations.scale),
    "trained_scale": Kind(activations.trained_scale),
    "bias": Kind(activations.bias),
    "reshape": Kind(shaping.reshape),
    "flatten": Kind(shaping.flatten),
    "transpose": Kind(shaping.transpose),
    "slice": Kind(shaping.slice_),
    "mean": Kind(shaping.reduction),
    "sum": Kind(shaping.reduction),
    "max": Kind(shaping.reduction),
    "broadcast": Kind(shaping.broadcast),
    "pad": Kind(shaping.pad),
    "upsample": Kind(shaping.upsample),
    "max_pool": Kind(shaping.max_pool),
    "avg_pool": Kind(shaping.pool),
    "planes": Kind(shaping.planes),
    "concat": Kind(shaping.concat, least=2, most=16),
    "add": Kind(shaping.join, least=2, most=16),
    "subtract": Kind(shaping.join, least=2, most=2),
    "multiply": Kind(shaping.join, least=2, most=16),
    "matmul": Kind(shaping.matmul, least=2, most=2),
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
