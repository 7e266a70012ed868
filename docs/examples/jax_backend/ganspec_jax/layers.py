"""The kinds of layer in JAX; `ganspec.spec.layers` defines them. Every value is passed, none is left to a default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ganspec.spec.network.architecture import Architecture, Layer
from ganspec_jax import normalising
from ganspec_jax.operations import ELEMENTWISE, clip

Array = jax.Array
_IMAGES = ("NCHW", "OIHW", "NCHW")


@dataclass(frozen=True)
class Mode:
    """How a network is evaluated.

    Args:
        training: whether it is evaluated in training mode, not in inference.
        masks: a mask of zeros and 1 / (1 - rate) for each dropout layer, by its name.
        fade: progress of the stage of growth, from 0 to 1.
        dtype: dtype of the network's parameters.
        moved: running statistics after the evaluation, by path; it fills them in.
    """

    training: bool
    masks: Mapping[str, Array]
    fade: Any
    dtype: Any
    moved: dict[str, Array] = field(default_factory=dict)


def evaluate_layers(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    statistics: Mapping[str, Array],
    inputs: list[Array],
    mode: Mode,
) -> dict[str, Array]:
    """Evaluate a network.

    Args:
        architecture: architecture of the network.
        parameters: parameters by path, such as "l1/W".
        statistics: running statistics by path, such as "bn1/mean"; they stay, and `mode.moved` takes the new ones.
        inputs: values in the order of the architecture's inputs, each (N, ...).
        mode: training or inference.

    Returns: what each layer gave, and each input, by name.
    """
    values = dict(zip(architecture.inputs, inputs, strict=True))
    for layer in architecture.layers:
        own = {p.name: parameters[f"{layer.name}/{p.name}"] for p in layer.parameters}
        running = {s.name: statistics[f"{layer.name}/{s.name}"] for s in layer.statistics}
        values[layer.name] = LAYERS[layer.kind](layer, [values[i] for i in layer.inputs], own, running, mode)
    return values


def weight(layer: Layer, parameters: Mapping[str, Array], statistics: Mapping[str, Array], mode: Mode) -> Array:
    """The weight as the layer uses it: divided by its largest singular value where it has spectral norm, times its gain."""
    w = parameters["W"]
    if settings := layer.settings.get("spectral_norm"):
        matrix, u = lax.stop_gradient(w).reshape(w.shape[0], -1), statistics["u"]
        for _ in range(settings["iterations"]):
            v = matrix.T @ u
            v = v / (jnp.sqrt((v * v).sum()) + settings["epsilon"])
            u = matrix @ v
            u = u / (jnp.sqrt((u * u).sum()) + settings["epsilon"])
        if mode.training or settings["advance"] == "always":
            mode.moved[f"{layer.name}/u"] = u
        w = w / (u * (w.reshape(w.shape[0], -1) @ v)).sum()  # u and v are constants for gradients, W is not
    return w * layer.settings["gain"] if "gain" in layer.settings else w


def linear(layer, x, parameters, statistics, mode):
    """Multiply by the weight matrix and add the bias."""
    return biased(x[0] @ weight(layer, parameters, statistics, mode).T, parameters)


def conv(layer, x, parameters, statistics, mode):
    """Correlate with the kernels, after zero padding on each side as the layer says."""
    top, bottom, left, right = layer.settings["padding"]
    y = lax.conv_general_dilated(
        x[0], weight(layer, parameters, statistics, mode), pair(layer.settings["stride"]), [(top, bottom), (left, right)],
        rhs_dilation=pair(layer.settings.get("dilation", 1)), feature_group_count=layer.settings.get("groups", 1),
        dimension_numbers=_IMAGES,
    )  # fmt: skip
    return biased(y, parameters)


def deconv(layer, x, parameters, statistics, mode):
    """Transposed convolution: the correlation of an image that is spread out with kernels that are turned round."""
    w = weight(layer, parameters, statistics, mode)  # (in, out, kernel, kernel)
    edges = [k - 1 - padding for k, padding in zip(w.shape[2:], pair(layer.settings["padding"]), strict=True)]
    y = lax.conv_general_dilated(
        x[0], w[:, :, ::-1, ::-1], (1, 1), [(edge, edge) for edge in edges],
        lhs_dilation=pair(layer.settings["stride"]), dimension_numbers=("NCHW", "IOHW", "NCHW"),
    )  # fmt: skip
    return biased(y, parameters)


def pair(size):
    """Both directions of an image: one number for both, or (vertical, horizontal)."""
    return (size, size) if isinstance(size, int) else size


def biased(y, parameters):
    """Add the bias of each channel, where there is one."""
    return y + parameters["b"].reshape(1, -1, *(1,) * (y.ndim - 2)) if "b" in parameters else y


def embedding(layer, x, parameters, statistics, mode):
    """Take the weight's row of each label."""
    return parameters["W"][x[0]]


def one_hot(layer, x, parameters, statistics, mode):
    """Write `on` at each label's place and `off` elsewhere."""
    hot = x[0][:, None] == jnp.arange(layer.shape[0])
    return jnp.where(hot, layer.settings["on"], layer.settings["off"]).astype(mode.dtype)


def dropout(layer, x, parameters, statistics, mode):
    """Multiply by a mask of zeros and 1 / (1 - rate) in training."""
    return x[0] * mode.masks[layer.name] if mode.training else x[0]


def leaky_relu(layer, x, parameters, statistics, mode):
    """Multiply negative numbers by the slope."""
    return jnp.where(x[0] > 0, x[0], layer.settings["slope"] * x[0])


def elu(layer, x, parameters, statistics, mode):
    """Replace a negative x by alpha (exp(x) - 1)."""
    below = jnp.expm1(
        jnp.minimum(x[0], 0.0)
    )  # the branch that is not taken must not overflow: its gradient counts, too
    return jnp.where(x[0] > 0, x[0], layer.settings["alpha"] * below)


def along(parameter, like):
    """A parameter with axes of length 1 for the batch, and on its right, as many as `like` has."""
    return parameter.reshape(1, *parameter.shape, *(1,) * (like.ndim - 1 - parameter.ndim))


def prelu(layer, x, parameters, statistics, mode):
    """Multiply negative numbers by trained slopes."""
    return jnp.where(x[0] > 0, x[0], along(parameters["W"], x[0]) * x[0])


def swish(layer, x, parameters, statistics, mode):
    """x times the sigmoid of beta x, where beta is trained."""
    return x[0] * jax.nn.sigmoid(along(parameters["beta"], x[0]) * x[0])


def slice_(layer, x, parameters, statistics, mode):
    """A part of each sample along one axis."""
    return lax.slice_in_dim(x[0], layer.settings["start"], layer.settings["stop"], axis=layer.settings["axis"] + 1)


def axes(layer):
    """The axes that the layer names, with the batch's before them."""
    return tuple(axis + 1 for axis in layer.settings["axes"])


def pad(layer, x, parameters, statistics, mode):
    """Put pixels of one value around each image."""
    top, bottom, left, right = layer.settings["padding"]
    return jnp.pad(x[0], ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=layer.settings["value"])


def max_(layer, x, parameters, statistics, mode):
    """The maximum over some axes of each sample, the first of equal numbers."""
    rows = jnp.moveaxis(x[0], sorted(axes(layer)), range(-len(axes(layer)), 0)).reshape(
        -1, *layer.shape, math.prod(x[0].shape[axis] for axis in axes(layer))
    )
    return jnp.take_along_axis(rows, rows.argmax(axis=-1, keepdims=True), axis=-1)[..., 0]


def upsample(layer, x, parameters, statistics, mode):
    """Repeat each pixel factor x factor times."""
    return x[0].repeat(layer.settings["factor"], axis=2).repeat(layer.settings["factor"], axis=3)


def windows(layer: Layer, x: Array, beyond: float) -> Array:
    """Returns: (N, channels, height, width, numbers of a window), row by row; what is beyond the image has one value."""
    (kh, kw), (down, across), (above, before) = (
        pair(layer.settings.get(k, 0)) for k in ("kernel", "stride", "padding")
    )
    height, width = ((n - 1) * stride for n, stride in zip(layer.shape[1:], (down, across), strict=True))
    below, after = height + kh - above - x.shape[2], width + kw - before - x.shape[3]
    edges = ((0, 0), (0, 0), (above, max(below, 0)), (before, max(after, 0)))
    x = jnp.pad(x, edges, constant_values=beyond)
    rows = [x[:, :, i : i + height + 1 : down, j : j + width + 1 : across] for i in range(kh) for j in range(kw)]
    return jnp.stack(rows, axis=-1)


def max_pool(layer, x, parameters, statistics, mode):
    """The largest number of each window, the first of equal ones; nothing beyond the image is the largest."""
    found = windows(layer, x[0], -jnp.inf)
    return jnp.take_along_axis(found, found.argmax(axis=-1, keepdims=True), axis=-1)[..., 0]


LAYERS = {
    "linear": linear,
    "conv": conv,
    "deconv": deconv,
    "embedding": embedding,
    "one_hot": one_hot,
    "batch_norm": normalising.batch_norm,
    "conditional_batch_norm": normalising.conditional_batch_norm,
    "layer_norm": lambda layer, x, parameters, *_: normalising.group_norm(layer, x, parameters, 1),
    "instance_norm": lambda layer, x, parameters, *_: normalising.group_norm(layer, x, parameters, layer.shape[0]),
    "group_norm": lambda layer, x, parameters, *_: normalising.group_norm(
        layer, x, parameters, layer.settings["groups"]
    ),
    "pixel_norm": normalising.pixel_norm,
    "normalize": normalising.normalize,
    "local_response_norm": normalising.local_response_norm,
    "minibatch_std": normalising.minibatch_std,
    "minibatch_discrimination": normalising.minibatch_discrimination,
    "dropout": dropout,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "elu": elu,
    "swish": swish,
    "slice": slice_,
    "max": max_,
    "pad": pad,
    "upsample": upsample,
    "max_pool": max_pool,
    "relu": lambda layer, x, *_: jax.nn.relu(x[0]),
    "tanh": lambda layer, x, *_: jnp.tanh(x[0]),
    "sigmoid": lambda layer, x, *_: jax.nn.sigmoid(x[0]),
    "softplus": lambda layer, x, *_: ELEMENTWISE["softplus"](x[0]),
    "abs": lambda layer, x, *_: ELEMENTWISE["abs"](x[0]),
    "exp": lambda layer, x, *_: jnp.exp(x[0]),
    "log": lambda layer, x, *_: jnp.log(x[0]),
    "sqrt": lambda layer, x, *_: jnp.sqrt(x[0]),
    "hard_sigmoid": lambda layer, x, *_: clip(x[0] * layer.settings["slope"] + 0.5, 0.0, 1.0),
    "clip": lambda layer, x, *_: clip(x[0], layer.settings["low"], layer.settings["high"]),
    "softmax": lambda layer, x, *_: jax.nn.softmax(x[0], axis=1),
    "trained_scale": lambda layer, x, parameters, *_: x[0] * along(parameters["W"], x[0]),
    "bias": lambda layer, x, parameters, *_: x[0] + along(parameters["b"], x[0]),
    "transpose": lambda layer, x, *_: x[0].transpose(0, *axes(layer)),
    "mean": lambda layer, x, *_: x[0].mean(axis=axes(layer)),
    "sum": lambda layer, x, *_: x[0].sum(axis=axes(layer)),
    "broadcast": lambda layer, x, *_: jnp.broadcast_to(x[0], (len(x[0]), *layer.shape)),
    "matmul": lambda layer, x, *_: x[0] @ x[1],
    "subtract": lambda layer, x, *_: x[0] - x[1],
    "multiply": lambda layer, x, *_: math.prod(x[1:], start=x[0]),
    "scale": lambda layer, x, *_: x[0] * layer.settings["factor"],
    "reshape": lambda layer, x, *_: x[0].reshape(-1, *layer.shape),
    "flatten": lambda layer, x, *_: x[0].reshape(-1, *layer.shape),
    "avg_pool": lambda layer, x, *_: windows(layer, x[0], 0.0).mean(axis=-1),
    "planes": lambda layer, x, *_: jnp.broadcast_to(x[0][:, :, None, None], (len(x[0]), *layer.shape)),
    "concat": lambda layer, x, *_: jnp.concatenate(x, axis=1),
    "add": lambda layer, x, *_: sum(x[1:], x[0]),
    "fade": lambda layer, x, parameters, statistics, mode: (1.0 - mode.fade) * x[0] + mode.fade * x[1],
}
