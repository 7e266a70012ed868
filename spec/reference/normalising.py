"""Layers that normalise, and those that look at a whole batch, on hyper-dual numbers; `layers` says how."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.reference.activations import wide
from ganspec.spec.reference.jets import Jet, jet, joined
from ganspec.spec.reference.mode import Evaluation


def evaluate(layer: Layer, inputs: list[Jet], own: Mapping[str, Jet], how: Evaluation) -> Jet | None:
    """Returns: what a layer gives, (N, *layer.shape); None for a kind that is not here."""
    x, settings = inputs[0], layer.settings
    match layer.kind:
        case "batch_norm":
            return _shifted(_batch_norm(layer, x, how), own)
        case "conditional_batch_norm":
            label = inputs[1].f[0].astype(int)
            rows = {name: p.linear(lambda v: v[:, label]) for name, p in own.items()}
            return _shifted(_batch_norm(layer, x, how), rows, rows=True)
        case "layer_norm":
            return _shifted(_group_norm(x, 1, settings["epsilon"]), own)
        case "instance_norm":
            return _shifted(_group_norm(x, layer.shape[0], settings["epsilon"]), own)
        case "group_norm":
            return _shifted(_group_norm(x, settings["groups"], settings["epsilon"]), own)
        case "pixel_norm":
            return x / ((x * x).mean(2) + float(settings["epsilon"])).sqrt()
        case "normalize":
            length = (x * x).linear(lambda v: v.sum(axis=2, keepdims=True)).root_of_squares()
            return x / (length + float(settings["epsilon"]))
        case "local_response_norm":
            reach = settings["n"] // 2
            near = (x * x).linear(lambda v: _sum_of_neighbours(v, reach))
            return x * (near * float(settings["alpha"]) + float(settings["k"])).power(-settings["beta"])
        case "minibatch_std":
            centred = x - x.mean(1)
            spread = ((centred * centred).mean(1) + settings["epsilon"]).sqrt().mean((1, 2, 3, 4))
            shape = (x.f.shape[1], 1, *layer.shape[1:])
            return joined([x, spread.linear(lambda v: np.broadcast_to(v, (len(v), *shape)))])
        case "minibatch_discrimination":
            shape = (settings["kernels"], settings["dimensions"])
            m = x.each_sample(lambda v: v.reshape(len(v), *shape))
            difference = m.linear(lambda v: v[:, :, None]) - m.linear(lambda v: v[:, None])
            distance = difference.abs().linear(lambda v: v.sum(axis=4))
            return (distance * -1.0).exp().linear(lambda v: v.sum(axis=2)) - 1.0
        case "dropout":
            return x * (how.mask(layer, x.f.shape[1:]) / (1.0 - settings["rate"])) if how.training else x
    return None


def _shifted(y: Jet, own: Mapping[str, Jet], *, rows: bool = False) -> Jet:
    """gamma y + beta, where the layer has them.

    Args:
        own: gamma and beta: a number for each channel, or for all of a sample; or for each channel of each sample.
        rows: whether they have the batch's axis.
    """
    if "gamma" in own:
        y = y * wide(own["gamma"], y, rows=rows)
    return y + wide(own["beta"], y, rows=rows) if "beta" in own else y


def _batch_norm(layer: Layer, x: Jet, how: Evaluation) -> Jet:
    """(x - mean) / sqrt(variance + epsilon), for each channel.

    In training mean and (biased) variance are the batch's, and the running ones move: s <- (1 - momentum) s + momentum batch, the
    variance's by the unbiased one, times n / (n - 1). In inference they are the running ones.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
    """
    axes = (1, *range(3, x.f.ndim))
    wide = (1, -1, *(1,) * (x.rank - 2))
    before = {name: how.statistics[f"{layer.name}/{name}"] for name in ("mean", "variance")}
    if how.training:
        mean = x.mean(axes)
        centred = x - mean
        variance = (centred * centred).mean(axes)
        count, m = x.f[0].size / x.f.shape[2], layer.settings["momentum"]
        batch = {"mean": mean.f.ravel(), "variance": variance.f.ravel() * count / (count - 1)}
        for name, value in batch.items():
            how.moved[f"{layer.name}/{name}"] = (1 - m) * before[name] + m * value
    else:
        centred, variance = x - before["mean"].reshape(wide), jet(before["variance"].reshape(wide))
    return centred / (variance + float(layer.settings["epsilon"])).sqrt()


def _group_norm(x: Jet, groups: int, epsilon: float) -> Jet:
    """(x - mean) / sqrt(variance + epsilon), both over each group of channels of each sample, and all their pixels."""
    shape = x.f.shape[2:]
    h = x.each_sample(lambda v: v.reshape(len(v), groups, -1))
    centred = h - h.mean(3)
    y = centred / ((centred * centred).mean(3) + float(epsilon)).sqrt()
    return y.each_sample(lambda v: v.reshape(len(v), *shape))


def _sum_of_neighbours(v: np.ndarray, reach: int) -> np.ndarray:
    """Returns: for each channel the sum over the channels that are at most `reach` away."""
    channels = np.arange(v.shape[2])
    near = (abs(channels[:, None] - channels) <= reach).astype(float)
    return np.moveaxis(np.tensordot(v, near, axes=(2, 1)), -1, 2)
