"""Layers that normalise, in PyTorch, and those that look at a whole batch; `spec.layers.normalising` defines them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ganspec.impl_torch.activations import wide
from ganspec.impl_torch.arrays import Array
from ganspec.impl_torch.mode import Mode, Own
from ganspec.impl_torch.ranks import Ranks
from ganspec.spec.network.architecture import Layer


def batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Normalise each channel, by the batch in training and by the running statistics in inference."""
    mean, variance = statistics["mean"], statistics["variance"]
    if not mode.training:  # copies: the gradient reads them later, when an evaluation in training may have moved them
        mean, variance = mean.clone(), variance.clone()
    elif mode.ranks is not None:
        return _common_batch_norm(layer, x[0], parameters, statistics, mode.ranks)
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


def _common_batch_norm(layer: Layer, x: Array, parameters: Own, statistics: Own, ranks: Ranks) -> Array:
    """Batch norm in training, by the batch of which several processes have a part each."""
    axes = [0, *range(2, x.ndim)]
    own_variance, own_mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
    mean, variance = ranks.pooled(own_mean, own_variance)
    count = x.numel() // x.shape[1] * ranks.size
    momentum, unbiased = layer.settings["momentum"], count / max(count - 1, 1)
    statistics["mean"].mul_(1.0 - momentum).add_(mean.detach().reshape(-1), alpha=momentum)
    statistics["variance"].mul_(1.0 - momentum).add_(variance.detach().reshape(-1), alpha=momentum * unbiased)
    return _shifted((x - mean) / torch.sqrt(variance + layer.settings["epsilon"]), parameters)


def conditional_batch_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Batch norm, then the factor and the addend of each sample's label."""
    rows = {name: F.embedding(x[1], parameter) for name, parameter in parameters.items()}
    return _shifted(
        batch_norm(layer, x[:1], {}, statistics, mode),
        rows,
        lambda row, y: row.reshape(*row.shape, *(1,) * (y.ndim - 2)),
    )


def _shifted(y: Array, parameters: Own, spread: Callable[[Array, Array], Array] = wide) -> Array:
    if "gamma" in parameters:
        y = y * spread(parameters["gamma"], y)
    return y + spread(parameters["beta"], y) if "beta" in parameters else y


def _standardised(x: Array, groups: int, epsilon: float) -> Array:
    """Normalise each of some equal groups of channels of each sample, with all their pixels."""
    h = x.reshape(x.shape[0], groups, -1)
    h = h - h.mean(dim=2, keepdim=True)
    return (h / torch.sqrt((h * h).mean(dim=2, keepdim=True) + epsilon)).reshape(x.shape)


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
    return x[0] / torch.sqrt((x[0] * x[0]).mean(dim=1, keepdim=True) + layer.settings["epsilon"])


def normalize(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each pixel by the Euclidean norm of its channels, plus epsilon; the norm's gradient at 0 is 0."""
    square = (x[0] * x[0]).sum(dim=1, keepdim=True)
    none = ~(square > 0)
    norm = torch.sqrt(square.masked_fill(none, 1.0)).masked_fill(none, 0.0)
    return x[0] / (norm + layer.settings["epsilon"])


def local_response_norm(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Divide each number by a power of the squares of the channels around it."""
    # Not F.local_response_norm, which divides alpha by n.
    channels, reach = layer.shape[0], layer.settings["n"] // 2
    square = x[0] * x[0]
    near = square
    for far in range(1, min(reach, channels - 1) + 1):
        none = torch.zeros_like(square[:, :far])
        near = near + torch.cat([square[:, far:], none], dim=1) + torch.cat([none, square[:, :-far]], dim=1)
    return x[0] * (near * layer.settings["alpha"] + layer.settings["k"]) ** -layer.settings["beta"]


def minibatch_std(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Append one channel with the mean deviation over the batch."""
    mean = x[0].mean(dim=0, keepdim=True)
    centred = x[0] - mean
    variance = (centred * centred).mean(dim=0, keepdim=True)
    if mode.ranks is not None:
        _, variance = mode.ranks.pooled(mean, variance)
    spread = torch.sqrt(variance + layer.settings["epsilon"]).mean()
    return torch.cat([x[0], spread.expand(x[0].shape[0], 1, *layer.shape[1:])], dim=1)


def minibatch_discrimination(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Measure how close each sample is to the others of its batch."""
    m = x[0].reshape(x[0].shape[0], layer.settings["kernels"], layer.settings["dimensions"])
    others = m if mode.ranks is None else mode.ranks.gather(m)
    distance = torch.abs(m[:, None] - others[None]).sum(dim=3)
    return torch.exp(-distance).sum(dim=1) - 1.0


def dropout(layer: Layer, x: list[Array], parameters: Own, statistics: Own, mode: Mode) -> Array:
    """Multiply by a mask of zeros and 1 / (1 - rate) in training."""
    return x[0] * mode.mask(layer, tuple(x[0].shape), x[0]) if mode.training else x[0]
