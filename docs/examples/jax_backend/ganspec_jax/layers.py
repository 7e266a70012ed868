"""The kinds of layer in JAX; `ganspec.spec.layers` defines them. Every value is passed, none is left to a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ganspec.spec.network.architecture import Architecture, Layer

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
    (top, bottom, left, right), stride = layer.settings["padding"], layer.settings["stride"]
    w = weight(layer, parameters, statistics, mode)
    padding = [(top, bottom), (left, right)]
    return biased(lax.conv_general_dilated(x[0], w, (stride, stride), padding, dimension_numbers=_IMAGES), parameters)


def deconv(layer, x, parameters, statistics, mode):
    """Transposed convolution: the correlation of an image that is spread out with kernels that are turned round."""
    w = weight(layer, parameters, statistics, mode)  # (in, out, kernel, kernel)
    stride, edge = layer.settings["stride"], w.shape[2] - 1 - layer.settings["padding"]
    y = lax.conv_general_dilated(
        x[0], w[:, :, ::-1, ::-1], (1, 1), [(edge, edge)] * 2,
        lhs_dilation=(stride, stride), dimension_numbers=("NCHW", "IOHW", "NCHW"),
    )  # fmt: skip
    return biased(y, parameters)


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


def batch_norm(layer, x, parameters, statistics, mode):
    """Normalise each channel, by the batch in training and by the running statistics in inference."""
    axes, wide = (0, *range(2, x[0].ndim)), (1, -1, *(1,) * (x[0].ndim - 2))
    mean, variance = statistics["mean"], statistics["variance"]
    if mode.training:
        mean = x[0].mean(axis=axes)
        variance = ((x[0] - mean.reshape(wide)) ** 2).mean(axis=axes)
        count, share = x[0].size / x[0].shape[1], layer.settings["momentum"]
        for name, value in (("mean", mean), ("variance", variance * (count / (count - 1)))):
            moved = (1.0 - share) * statistics[name] + share * value
            mode.moved[f"{layer.name}/{name}"] = lax.stop_gradient(moved)
    y = (x[0] - mean.reshape(wide)) / jnp.sqrt(variance.reshape(wide) + layer.settings["epsilon"])
    y = y * parameters["gamma"].reshape(wide) if "gamma" in parameters else y
    return y + parameters["beta"].reshape(wide) if "beta" in parameters else y


def pixel_norm(layer, x, parameters, statistics, mode):
    """Divide each pixel by the root of its channels' mean square."""
    return x[0] / jnp.sqrt((x[0] * x[0]).mean(axis=1, keepdims=True) + layer.settings["epsilon"])


def minibatch_std(layer, x, parameters, statistics, mode):
    """Append one channel with the mean deviation over the batch."""
    variance = ((x[0] - x[0].mean(axis=0)) ** 2).mean(axis=0)
    spread = jnp.sqrt(variance + layer.settings["epsilon"]).mean()
    return jnp.concatenate([x[0], jnp.broadcast_to(spread, (len(x[0]), 1, *layer.shape[1:]))], axis=1)


def minibatch_discrimination(layer, x, parameters, statistics, mode):
    """Measure how close each sample is to the others of its batch."""
    m = x[0].reshape(-1, layer.settings["kernels"], layer.settings["dimensions"])
    return jnp.exp(-jnp.abs(m[:, None] - m[None]).sum(axis=3)).sum(axis=1) - 1.0


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


def upsample(layer, x, parameters, statistics, mode):
    """Repeat each pixel factor x factor times."""
    return x[0].repeat(layer.settings["factor"], axis=2).repeat(layer.settings["factor"], axis=3)


def windows(layer: Layer, x: Array) -> Array:
    """Returns: (N, channels, height, width, kernel * kernel), every whole window of an image, row by row."""
    kernel, stride = layer.settings["kernel"], layer.settings["stride"]
    height, width = ((size - 1) * stride + 1 for size in layer.shape[1:])
    rows = [x[:, :, i : i + height : stride, j : j + width : stride] for i in range(kernel) for j in range(kernel)]
    return jnp.stack(rows, axis=-1)


def max_pool(layer, x, parameters, statistics, mode):
    """The largest number of each window, the first of equal ones; windows that do not fit whole are left out."""
    found = windows(layer, x[0])
    return jnp.take_along_axis(found, found.argmax(axis=-1, keepdims=True), axis=-1)[..., 0]


LAYERS = {
    "linear": linear,
    "conv": conv,
    "deconv": deconv,
    "embedding": embedding,
    "one_hot": one_hot,
    "batch_norm": batch_norm,
    "pixel_norm": pixel_norm,
    "minibatch_std": minibatch_std,
    "minibatch_discrimination": minibatch_discrimination,
    "dropout": dropout,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "upsample": upsample,
    "max_pool": max_pool,
    "relu": lambda layer, x, *_: jax.nn.relu(x[0]),
    "tanh": lambda layer, x, *_: jnp.tanh(x[0]),
    "sigmoid": lambda layer, x, *_: jax.nn.sigmoid(x[0]),
    "scale": lambda layer, x, *_: x[0] * layer.settings["factor"],
    "reshape": lambda layer, x, *_: x[0].reshape(-1, *layer.shape),
    "flatten": lambda layer, x, *_: x[0].reshape(-1, *layer.shape),
    "avg_pool": lambda layer, x, *_: windows(layer, x[0]).mean(axis=-1),
    "planes": lambda layer, x, *_: jnp.broadcast_to(x[0][:, :, None, None], (len(x[0]), *layer.shape)),
    "concat": lambda layer, x, *_: jnp.concatenate(x, axis=1),
    "add": lambda layer, x, *_: sum(x[1:], x[0]),
    "fade": lambda layer, x, parameters, statistics, mode: (1.0 - mode.fade) * x[0] + mode.fade * x[1],
}
