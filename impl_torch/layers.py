"""The kinds of layer in PyTorch; `spec.layers` defines them. Every value is passed, none is left to a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from ganspec.impl_torch import operations
from ganspec.impl_torch.arrays import Array
from ganspec.spec.network.architecture import Layer


@dataclass(frozen=True)
class Mode:
    """How a network is evaluated.

    Args:
        training: whether it is evaluated in training mode, not in inference.
        mask: function of (layer, shape, like) that gives a dropout mask of zeros and 1 / (1 - rate).
        fade: progress of the stage of growth, from 0 to 1.
        dtype: dtype of the network's parameters, in the framework's own form.
        disturb: function of what a layer gives that disturbs it a little; None where nothing is disturbed.
    """

    training: bool
    mask: Callable[[Layer, tuple[int, ...], Array], Array]
    fade: float
    dtype: Any
    disturb: Callable[[Array], Array] | None = None


Own = Mapping[str, Array]  # a layer's parameters or statistics by their short names


def weight(layer: Layer, parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The weight as the layer uses it: after spectral norm, and times its gain."""
    w = parameters["W"]
    if settings := layer.settings.get("spectral_norm"):
        w = w / largest_singular_value(w, statistics["u"], settings, mode)
    return w * layer.settings["gain"] if "gain" in layer.settings else w


def largest_singular_value(w: Array, kept: Array, settings: Mapping[str, Any], mode: Mode) -> Array:
    """Estimate it by power iterations from the kept vector, which then moves on; the vectors are constants for gradients."""
    matrix, u, epsilon = w.reshape(w.shape[0], -1), kept.clone(), settings["epsilon"]
    with torch.no_grad():
        for _ in range(settings["iterations"]):
            v = matrix.T @ u
            v = v / (torch.sqrt((v * v).sum()) + epsilon)
            u = matrix @ v
            u = u / (torch.sqrt((u * u).sum()) + epsilon)
        if mode.training or settings["advance"] == "always":
            kept.copy_(u)
    return (u * (matrix @ v)).sum()


def linear(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the weight matrix and add the bias."""
    return F.linear(x[0], weight(layer, parameters, statistics, mode), parameters.get("b"))


def conv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Correlate with the kernels, after zero padding on each side as the layer says."""
    top, bottom, left, right = layer.settings["padding"]
    h, padding = x[0], (top, left)
    if (top, left) != (bottom, right):
        h, padding = F.pad(h, (left, right, top, bottom), mode="constant", value=0.0), (0, 0)
    w = weight(layer, parameters, statistics, mode)
    return F.conv2d(h, w, parameters.get("b"), stride=layer.settings["stride"], padding=padding)


def deconv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Transposed convolution; the shape of its output is the layer's."""
    return F.conv_transpose2d(
        x[0],
        weight(layer, parameters, statistics, mode),
        parameters.get("b"),
        stride=layer.settings["stride"],
        padding=layer.settings["padding"],
        output_padding=0,
    )


def embedding(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Take the weight's row of each label."""
    return F.embedding(x[0], parameters["W"])


def one_hot(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Write `on` at each label's place and `off` elsewhere."""
    on, off = layer.settings["on"], layer.settings["off"]
    return F.one_hot(x[0], layer.shape[0]).to(mode.dtype) * (on - off) + off


def batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each channel, by the batch in training and by the running statistics in inference."""
    mean, variance = statistics["mean"], statistics["variance"]
    if not mode.training:  # copies: the gradient reads them later, when an evaluation in training may have moved them
        mean, variance = mean.clone(), variance.clone()
    return F.batch_norm(
        x[0],
        mean,
        variance,
        weight=parameters.get("gamma"),
        bias=parameters.get("beta"),
        training=mode.training,
        momentum=layer.settings["momentum"],
        eps=layer.settings["epsilon"],
    )


def pixel_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each pixel by the root of its channels' mean square."""
    return x[0] / torch.sqrt((x[0] * x[0]).mean(dim=1, keepdim=True) + layer.settings["epsilon"])


def minibatch_std(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Append one channel with the mean deviation over the batch."""
    centred = x[0] - x[0].mean(dim=0, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=0) + layer.settings["epsilon"]).mean()
    return torch.cat([x[0], spread.expand(x[0].shape[0], 1, *layer.shape[1:])], dim=1)


def minibatch_discrimination(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Measure how close each sample is to the others of its batch."""
    m = x[0].reshape(x[0].shape[0], layer.settings["kernels"], layer.settings["dimensions"])
    distance = torch.abs(m[:, None] - m[None]).sum(dim=3)
    return torch.exp(-distance).sum(dim=1) - 1.0


def dropout(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by a mask of zeros and 1 / (1 - rate) in training."""
    return x[0] * mode.mask(layer, tuple(x[0].shape), x[0]) if mode.training else x[0]


def leaky_relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply negative numbers by the slope."""
    return F.leaky_relu(x[0], negative_slope=layer.settings["slope"])


def relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace negative numbers by 0."""
    return F.relu(x[0])


def elu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace a negative x by alpha (exp(x) - 1)."""
    return F.elu(x[0], alpha=layer.settings["alpha"])


def tanh(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Hyperbolic tangent."""
    return torch.tanh(x[0])


def sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """1 / (1 + exp(-x))."""
    return operations.sigmoid(x[0])


def scale(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the layer's factor."""
    return x[0] * layer.settings["factor"]


def reshape(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The same numbers in the same order, in the layer's shape."""
    return x[0].reshape(x[0].shape[0], *layer.shape)


def upsample(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Repeat each pixel factor x factor times."""
    return F.interpolate(x[0], scale_factor=layer.settings["factor"], mode="nearest")


def max_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The largest number of each window; windows that do not fit whole are left out."""
    return F.max_pool2d(x[0], layer.settings["kernel"], layer.settings["stride"], padding=0, ceil_mode=False)


def avg_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The mean of each window; windows that do not fit whole are left out."""
    return F.avg_pool2d(x[0], layer.settings["kernel"], layer.settings["stride"], padding=0, ceil_mode=False)


def planes(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Fill a plane of height x width with each number."""
    return x[0][:, :, None, None].expand(-1, *layer.shape)


def concat(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Join the inputs along the channels."""
    return torch.cat(x, dim=1)


def add(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The sum of the inputs."""
    return sum(x[1:], x[0])


def fade(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Mix two inputs, (1 - a) first + a second, where a is the progress of the stage."""
    return (1.0 - mode.fade) * x[0] + mode.fade * x[1]


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
    "relu": relu,
    "elu": elu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "scale": scale,
    "reshape": reshape,
    "flatten": reshape,
    "upsample": upsample,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "planes": planes,
    "concat": concat,
    "add": add,
    "fade": fade,
}
