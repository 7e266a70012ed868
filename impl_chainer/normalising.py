"""Layers that normalise, in Chainer, and those that look at a whole batch; `spec.layers.normalising` defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import chainer.functions as F
import numpy as np

from ganspec.impl_chainer import threads
from ganspec.impl_chainer.activations import wide
from ganspec.impl_chainer.arrays import Array
from ganspec.impl_chainer.batch_norm import batch_norm as in_pieces
from ganspec.impl_chainer.mode import Mode, Own
from ganspec.impl_chainer.ranks import Ranks
from ganspec.spec.network.architecture import Layer


def batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each channel, by the batch in training and by the running statistics in inference."""
    mean, variance = statistics["mean"].array, statistics["variance"].array
    gamma = parameters.get("gamma", _filled(mean, 1.0))
    beta = parameters.get("beta", _filled(mean, 0.0))
    epsilon = layer.settings["epsilon"]
    if not mode.training:  # copies: the gradient reads them later, when an evaluation in training may have moved them
        return F.fixed_batch_normalization(x[0], gamma, beta, mean.copy(), variance.copy(), eps=epsilon)
    if mode.ranks is not None:
        return _common_batch_norm(layer, x[0], parameters, statistics, mode.ranks)
    if x[0].xp is np and x[0].size > threads.PIECE:
        momentum = layer.settings["momentum"]
        return in_pieces(x[0], gamma, beta, epsilon=epsilon, mean=mean, variance=variance, momentum=momentum)
    return F.batch_normalization(
        x[0],
        gamma,
        beta,
        eps=epsilon,
        running_mean=mean,
        running_var=variance,
        decay=1.0 - layer.settings["momentum"],
    )


def _common_batch_norm(layer: Layer, x: Array, parameters: Own, statistics: Own, ranks: Ranks) -> Array:
    """Batch norm in training, by the batch of which several processes have a part each."""
    axes = (0, *range(2, x.ndim))
    own_mean = F.mean(x, axis=axes, keepdims=True)
    centred = x - F.broadcast_to(own_mean, x.shape)
    mean, variance = ranks.pooled(own_mean, F.mean(centred * centred, axis=axes, keepdims=True))
    count = x.size // x.shape[1] * ranks.size
    momentum, unbiased = layer.settings["momentum"], count / max(count - 1, 1)
    for name, new, factor in (("mean", mean, 1.0), ("variance", variance, unbiased)):
        running = statistics[name].array
        running *= 1.0 - momentum
        running += momentum * factor * new.array.reshape(-1)
    root = F.sqrt(variance + layer.settings["epsilon"])
    return _shifted((x - F.broadcast_to(mean, x.shape)) / F.broadcast_to(root, x.shape), parameters)


def _filled(like: Any, value: float) -> Any:
    # F.batch_normalization has no form without gamma or beta.
    return chainer.backend.get_array_module(like).full_like(like, value)


def conditional_batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Batch norm, then the factor and the addend of each sample's label."""
    rows = {name: F.embed_id(x[1], parameter, ignore_label=None) for name, parameter in parameters.items()}
    return _shifted(
        batch_norm(layer, x[:1], {}, statistics, mode),
        rows,
        lambda row, y: F.broadcast_to(F.reshape(row, (*row.shape, *(1,) * (y.ndim - 2))), y.shape),
    )


def _shifted(y: Array, parameters: Own, spread: Callable[[Array, Array], Array] = wide) -> Array:
    if "gamma" in parameters:
        y = y * spread(parameters["gamma"], y)
    return y + spread(parameters["beta"], y) if "beta" in parameters else y


def _standardised(x: Array, groups: int, epsilon: float) -> Array:
    """Normalise each of some equal groups of channels of each sample, with all their pixels."""
    h = F.reshape(x, (x.shape[0], groups, -1))
    h = h - F.broadcast_to(F.mean(h, axis=2, keepdims=True), h.shape)
    root = F.sqrt(F.mean(h * h, axis=2, keepdims=True) + epsilon)
    return F.reshape(h / F.broadcast_to(root, h.shape), x.shape)


def layer_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each sample by all its numbers."""
    return _shifted(_standardised(x[0], 1, layer.settings["epsilon"]), parameters)


def instance_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each channel of each sample."""
    return _shifted(_standardised(x[0], layer.shape[0], layer.settings["epsilon"]), parameters)


def group_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each group of channels of each sample."""
    return _shifted(_standardised(x[0], layer.settings["groups"], layer.settings["epsilon"]), parameters)


def pixel_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each pixel by the root of its channels' mean square."""
    root = F.sqrt(F.mean(x[0] * x[0], axis=1, keepdims=True) + layer.settings["epsilon"])
    return x[0] / F.broadcast_to(root, x[0].shape)


def normalize(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each pixel by the Euclidean norm of its channels, plus epsilon; the norm's gradient at 0 is 0."""
    square = F.sum(x[0] * x[0], axis=1, keepdims=True)
    positive = square.array > 0
    one = square.xp.ones_like(square.array)
    norm = F.where(positive, F.sqrt(F.where(positive, square, one)), square.xp.zeros_like(one))
    return x[0] / F.broadcast_to(norm + layer.settings["epsilon"], x[0].shape)


def local_response_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each number by a power of the squares of the channels around it."""
    # Not F.local_response_normalization, which has no second derivative.
    channels, reach = layer.shape[0], layer.settings["n"] // 2
    square = x[0] * x[0]
    near = square
    for far in range(1, min(reach, channels - 1) + 1):
        none = square.xp.zeros_like(square.array[:, :far])
        near = near + F.concat([square[:, far:], none], axis=1) + F.concat([none, square[:, :-far]], axis=1)
    return x[0] * (near * layer.settings["alpha"] + layer.settings["k"]) ** -layer.settings["beta"]


def minibatch_std(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Append one channel with the mean deviation over the batch."""
    mean = F.mean(x[0], axis=0, keepdims=True)
    centred = x[0] - F.broadcast_to(mean, x[0].shape)
    variance = F.mean(centred * centred, axis=0, keepdims=True)
    if mode.ranks is not None:
        _, variance = mode.ranks.pooled(mean, variance)
    spread = F.mean(F.sqrt(variance + layer.settings["epsilon"]))
    return F.concat([x[0], F.broadcast_to(spread, (x[0].shape[0], 1, *layer.shape[1:]))], axis=1)


def minibatch_discrimination(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Measure how close each sample is to the others of its batch."""
    n, kernels, dimensions = x[0].shape[0], layer.settings["kernels"], layer.settings["dimensions"]
    m = F.reshape(x[0], (n, 1, kernels, dimensions))
    others = F.transpose(m if mode.ranks is None else mode.ranks.gather(m), (1, 0, 2, 3))
    pairs = (n, others.shape[1], kernels, dimensions)
    distance = F.sum(F.absolute(F.broadcast_to(m, pairs) - F.broadcast_to(others, pairs)), axis=3)
    return F.sum(F.exp(-distance), axis=1) - 1.0


def dropout(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by a mask of zeros and 1 / (1 - rate) in training."""
    return x[0] * mode.mask(layer, x[0].shape, x[0]) if mode.training else x[0]
