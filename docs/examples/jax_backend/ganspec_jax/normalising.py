"""Layers that normalise, and those that look at a whole batch, in JAX; `ganspec.spec.layers.normalising` defines them."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax


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
    return shifted(y, {name: p[None] for name, p in parameters.items()})


def conditional_batch_norm(layer, x, parameters, statistics, mode):
    """Batch norm, then the factor and the addend of each sample's label."""
    rows = {name: parameter[x[1]] for name, parameter in parameters.items()}
    return shifted(batch_norm(layer, x, {}, statistics, mode), rows)


def shifted(y, rows):
    """Multiply by gamma and add beta, where there are any; they have the batch's axis already, of length 1 or N."""
    rows = {name: row.reshape(*row.shape, *(1,) * (y.ndim - row.ndim)) for name, row in rows.items()}
    y = y * rows["gamma"] if "gamma" in rows else y
    return y + rows["beta"] if "beta" in rows else y


def group_norm(layer, x, parameters, groups):
    """Normalise each group of channels of each sample, with all their pixels."""
    h = x[0].reshape(len(x[0]), groups, -1)
    h = h - h.mean(axis=2, keepdims=True)
    y = h / jnp.sqrt((h * h).mean(axis=2, keepdims=True) + layer.settings["epsilon"])
    return shifted(y.reshape(x[0].shape), {name: p[None] for name, p in parameters.items()})


def normalize(layer, x, parameters, statistics, mode):
    """Divide each pixel by the norm of its channels, plus epsilon; the norm's gradient at 0 is 0."""
    square = (x[0] * x[0]).sum(axis=1, keepdims=True)
    norm = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return x[0] / (norm + layer.settings["epsilon"])


def local_response_norm(layer, x, parameters, statistics, mode):
    """Divide each number by a power of the squares of the channels around it."""
    channels = jnp.arange(layer.shape[0])
    near = jnp.abs(channels[:, None] - channels) <= layer.settings["n"] // 2
    sums = jnp.tensordot(near.astype(x[0].dtype), x[0] * x[0], axes=(1, 1)).swapaxes(0, 1)
    return x[0] * (layer.settings["k"] + layer.settings["alpha"] * sums) ** -layer.settings["beta"]


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
