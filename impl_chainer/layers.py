"""The kinds of layer in Chainer; `spec.layers` defines them. Every value is passed, none is left to a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import chainer
import chainer.functions as F
import numpy as np
from chainer.functions.activation.elu import ELU, ELUGrad

from ganspec.impl_chainer import operations
from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.convolution import convolution, transposed_convolution
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
        w = w / F.broadcast_to(largest_singular_value(w, statistics["u"], settings, mode), w.shape)
    return w * layer.settings["gain"] if "gain" in layer.settings else w


def largest_singular_value(w: Array, kept: Array, settings: Mapping[str, Any], mode: Mode) -> Array:
    """Estimate it by power iterations from the kept vector, which then moves on; the vectors are constants for gradients."""
    matrix, u, epsilon = F.reshape(w, (w.shape[0], -1)), kept.array.copy(), settings["epsilon"]
    values, xp = matrix.array, kept.xp
    for _ in range(settings["iterations"]):
        v = values.T @ u
        v = v / (xp.sqrt((v * v).sum()) + epsilon)
        u = values @ v
        u = u / (xp.sqrt((u * u).sum()) + epsilon)
    if mode.training or settings["advance"] == "always":
        kept.array[...] = u
    return F.sum(u * F.matmul(matrix, Array(v, requires_grad=False)))


def linear(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the weight matrix and add the bias."""
    return F.linear(x[0], weight(layer, parameters, statistics, mode), parameters.get("b"), n_batch_axes=1)


def conv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Correlate with the kernels, after zero padding on each side as the layer says."""
    top, bottom, left, right = layer.settings["padding"]
    h, padding = x[0], (top, left)
    if (top, left) != (bottom, right):
        h, padding = F.pad(h, ((0, 0), (0, 0), (top, bottom), (left, right)), "constant", constant_values=0.0), (0, 0)
    w = weight(layer, parameters, statistics, mode)
    return convolution(h, w, parameters.get("b"), layer.settings["stride"], padding)


def deconv(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Transposed convolution; the shape of its output is the layer's."""
    return transposed_convolution(
        x[0],
        weight(layer, parameters, statistics, mode),
        parameters.get("b"),
        stride=layer.settings["stride"],
        padding=(layer.settings["padding"],) * 2,
        size=layer.shape[1:],
    )


def embedding(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Take the weight's row of each label."""
    return F.embed_id(x[0], parameters["W"], ignore_label=None)


def one_hot(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Write `on` at each label's place and `off` elsewhere."""
    xp, labels = x[0].xp, x[0].array
    codes = xp.full((len(labels), layer.shape[0]), layer.settings["off"], dtype=mode.dtype)
    codes[xp.arange(len(labels)), labels] = layer.settings["on"]
    return Array(codes, requires_grad=False)


def batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each channel, by the batch in training and by the running statistics in inference."""
    mean, variance = statistics["mean"].array, statistics["variance"].array
    gamma = parameters.get("gamma", _filled(mean, 1.0))
    beta = parameters.get("beta", _filled(mean, 0.0))
    epsilon = layer.settings["epsilon"]
    if not mode.training:  # copies: the gradient reads them later, when an evaluation in training may have moved them
        return F.fixed_batch_normalization(x[0], gamma, beta, mean.copy(), variance.copy(), eps=epsilon)
    return F.batch_normalization(
        x[0],
        gamma,
        beta,
        eps=epsilon,
        running_mean=mean,
        running_var=variance,
        decay=1.0 - layer.settings["momentum"],
    )


def _filled(like: Any, value: float) -> Any:
    # F.batch_normalization has no form without gamma or beta.
    return chainer.backend.get_array_module(like).full_like(like, value)


def pixel_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each pixel by the root of its channels' mean square."""
    root = F.sqrt(F.mean(x[0] * x[0], axis=1, keepdims=True) + layer.settings["epsilon"])
    return x[0] / F.broadcast_to(root, x[0].shape)


def minibatch_std(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Append one channel with the mean deviation over the batch."""
    centred = x[0] - F.broadcast_to(F.mean(x[0], axis=0, keepdims=True), x[0].shape)
    spread = F.mean(F.sqrt(F.mean(centred * centred, axis=0) + layer.settings["epsilon"]))
    return F.concat([x[0], F.broadcast_to(spread, (x[0].shape[0], 1, *layer.shape[1:]))], axis=1)


def minibatch_discrimination(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Measure how close each sample is to the others of its batch."""
    n, kernels, dimensions = x[0].shape[0], layer.settings["kernels"], layer.settings["dimensions"]
    m, pairs = F.reshape(x[0], (n, 1, kernels, dimensions)), (n, n, kernels, dimensions)
    distance = F.sum(F.absolute(F.broadcast_to(m, pairs) - F.broadcast_to(F.transpose(m, (1, 0, 2, 3)), pairs)), axis=3)
    return F.sum(F.exp(-distance), axis=1) - 1.0


def dropout(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by a mask of zeros and 1 / (1 - rate) in training."""
    return x[0] * mode.mask(layer, x[0].shape, x[0]) if mode.training else x[0]


def leaky_relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply negative numbers by the slope."""
    if x[0].xp is not np:
        return F.leaky_relu(x[0], slope=layer.settings["slope"])
    # On the CPU F.leaky_relu indexes with booleans, which takes several times as long, forward and backward.
    positive = x[0].array > 0
    slopes = np.multiply(~positive, layer.settings["slope"], dtype=x[0].dtype)
    slopes += positive
    return x[0] * Array(slopes, requires_grad=False)


def relu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace negative numbers by 0."""
    return F.relu(x[0])


def elu(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Replace a negative x by alpha (exp(x) - 1)."""
    return _Elu(layer.settings["alpha"]).apply((x[0],))[0]


class _Elu(ELU):
    # The second derivative of F.elu at 0 is the one from below, alpha; PyTorch's is the one from above, 0.
    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        (y,) = self.get_retained_outputs()
        sign = y if self.alpha >= 0 else self.get_retained_inputs()[0]
        return (gradients[0] * _EluGradient(self.alpha, sign.array).apply((y,))[0],)


class _EluGradient(ELUGrad):
    def backward(self, indexes: tuple[int, ...], gradients: tuple[Array, ...]) -> tuple[Array, ...]:
        return (gradients[0] * (self.cond < 0),)


def tanh(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Hyperbolic tangent."""
    return F.tanh(x[0])


def sigmoid(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """1 / (1 + exp(-x))."""
    return operations.sigmoid(x[0])


def scale(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by the layer's factor."""
    return x[0] * layer.settings["factor"]


def reshape(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The same numbers in the same order, in the layer's shape."""
    return F.reshape(x[0], (x[0].shape[0], *layer.shape))


def upsample(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Repeat each pixel factor x factor times."""
    # By broadcasting: F.unpooling_2d gives 2n - 1 pixels unless told otherwise, and is slow on the CPU.
    (n, c, h, w), factor = x[0].shape, layer.settings["factor"]
    pixels = F.broadcast_to(F.reshape(x[0], (n, c, h, 1, w, 1)), (n, c, h, factor, w, factor))
    return F.reshape(pixels, (n, c, h * factor, w * factor))


def max_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The largest number of each window; windows that do not fit whole are left out."""
    return F.max_pooling_2d(x[0], layer.settings["kernel"], layer.settings["stride"], pad=0, cover_all=False)


def avg_pool(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """The mean of each window; windows that do not fit whole are left out."""
    return F.average_pooling_2d(x[0], layer.settings["kernel"], layer.settings["stride"], pad=0)


def planes(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Fill a plane of height x width with each number."""
    n, channels = x[0].shape
    return F.broadcast_to(F.reshape(x[0], (n, channels, 1, 1)), (n, *layer.shape))


def concat(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Join the inputs along the channels."""
    return F.concat(x, axis=1)


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
