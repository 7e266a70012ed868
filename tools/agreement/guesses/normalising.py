"""Layers that look at a batch or at all channels, and what can be wrong in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case, fitted, number
from ganspec.tools.agreement.guesses.weighted import EPSILONS, evaluated


def epsilon(case: Case) -> Candidates:
    """Another epsilon, of any layer that has one."""
    if case.layer is None or "epsilon" not in case.layer.settings:
        return
    own = case.layer.settings["epsilon"]
    for value in (*EPSILONS, 0.8, 0.9):
        if value != own:
            yield f"epsilon {number(value)}, not {number(own)}", evaluated(case, epsilon=value)


def batch_norm(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "batch_norm":
        return
    x, e = np.asarray(case.inputs[0], np.float64), case.layer.settings["epsilon"]
    pixels = tuple(range(2, x.ndim))
    mode, other = ("training", "inference") if case.training else ("inference", "training")
    yield f"batch norm is in {other} mode, not in {mode} mode", evaluated(case, training=not case.training)
    for name in ("gamma", "beta"):
        if name in case.own:
            none = {"gamma": 1.0, "beta": 0.0}[name]
            yield (
                f"batch norm's {name} is missing",
                evaluated(case, own={**case.own, name: np.full_like(case.own[name], none)}),
            )
    if len(case.own) == 2:
        gamma, beta = case.own["gamma"], case.own["beta"]
        yield "batch norm's gamma and beta are exchanged", evaluated(case, own={"gamma": beta, "beta": gamma})
        yield "batch norm's gamma is added to 1", evaluated(case, own={"gamma": 1.0 + gamma, "beta": beta})
    if not case.training:
        return
    mean, variance = x.mean((0, *pixels), keepdims=True), x.var((0, *pixels), keepdims=True)
    count = x.size / x.shape[1]
    yield (
        "the batch is normalised by its unbiased variance, where the biased one is meant",
        _scaled(case, (x - mean) / np.sqrt(variance * count / max(count - 1, 1) + e)),
    )
    yield (
        "batch norm's epsilon is added to the root, where it must be under it",
        _scaled(case, (x - mean) / (np.sqrt(variance) + e)),
    )
    yield "the mean is not subtracted", _scaled(case, x / np.sqrt(variance + e))
    yield "divided by the variance, where its root is meant", _scaled(case, (x - mean) / (variance + e))
    scopes = {
        "for each pixel by itself, over the batch only": (0,),
        "for each sample by itself, as instance norm does": pixels,
        "for each sample over all its channels, as layer norm does": tuple(range(1, x.ndim)),
        "over the channels": (1,),
        "over everything": tuple(range(x.ndim)),
    }
    for what, axes in scopes.items():
        if axes:
            yield (
                f"normalised {what}",
                _scaled(case, (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + e)),
            )


def _scaled(case: Case, normed: np.ndarray) -> np.ndarray:
    wide = (1, -1, *(1,) * (normed.ndim - 2))
    normed = normed * np.asarray(case.own["gamma"]).reshape(wide) if "gamma" in case.own else normed
    return normed + np.asarray(case.own["beta"]).reshape(wide) if "beta" in case.own else normed


def pixel_norm(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "pixel_norm":
        return
    x, e = np.asarray(case.inputs[0], np.float64), case.layer.settings["epsilon"]
    square = (x * x).mean(1, keepdims=True)
    yield "pixel norm's epsilon is added to the root, where it must be under it", x / (np.sqrt(square) + e)
    yield (
        "pixel norm divides by the root of the sum of squares, where that of the mean is meant",
        x / np.sqrt((x * x).sum(1, keepdims=True) + e),
    )
    yield "divided by the mean of squares, where its root is meant", x / (square + e)
    for what, axes in {
        "over all numbers of a sample": tuple(range(1, x.ndim)),
        "over the pixels of each channel": tuple(range(2, x.ndim)),
    }.items():
        if axes:
            yield (
                f"the mean is taken {what}, where it is over the channels of each pixel",
                x / np.sqrt((x * x).mean(axes, keepdims=True) + e),
            )


def minibatch_std(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "minibatch_std":
        return
    x, e, shape = np.asarray(case.inputs[0], np.float64), case.layer.settings["epsilon"], case.layer.shape[1:]
    n = len(x)

    def appended(spread: np.ndarray | float) -> np.ndarray:
        return np.concatenate([x, np.broadcast_to(np.reshape(spread, (-1, 1, 1, 1)), (n, 1, *shape))], axis=1)

    variance = x.var(0)
    right = np.sqrt(variance + e).mean()
    yield (
        "the deviation over the batch is the unbiased one, where the biased one is meant",
        appended(np.sqrt(variance * n / max(n - 1, 1) + e).mean()),
    )
    yield "epsilon is added to the deviation, where it must be under the root", appended((np.sqrt(variance) + e).mean())
    yield (
        "the root is taken of the mean variance, where the mean of the roots is meant",
        appended(np.sqrt(variance.mean() + e)),
    )
    yield "the variance is appended, where its root is meant", appended((variance + e).mean())
    yield (
        "one deviation over all numbers of the batch, where it is over the batch for each feature",
        appended(np.sqrt(x.var() + e)),
    )
    yield (
        "the deviation of each sample by itself, where it is over the batch",
        appended(np.sqrt(x.reshape(n, -1).var(1) + e)),
    )
    yield "the deviation is the first channel, where it must be the last", np.roll(appended(right), 1, axis=1)
    for size in {2, 3, 4, 8, 16} & {k for k in range(2, n) if n % k == 0}:
        for layout, split in {
            "": x.reshape(size, -1, *x.shape[1:]),
            " of neighbours": x.reshape(-1, size, *x.shape[1:]).swapaxes(0, 1),
        }.items():
            of_groups = np.sqrt(split.var(0) + e).reshape(n // size, -1).mean(1)
            spread = np.repeat(of_groups, size) if layout else np.tile(of_groups, size)
            yield f"the deviation is over groups{layout} of {size}, where it is over the whole batch", appended(spread)


def minibatch_discrimination(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "minibatch_discrimination":
        return
    x, kernels, dimensions = (
        np.asarray(case.inputs[0], np.float64),
        case.layer.settings["kernels"],
        case.layer.settings["dimensions"],
    )
    n = len(x)

    def closeness(m: np.ndarray, distance: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return np.exp(-distance(m[:, None] - m[None]))

    m = x.reshape(n, kernels, dimensions)
    first = closeness(m, lambda d: abs(d).sum(-1))
    yield "the sample itself is counted among those that it is compared with: subtract 1", first.sum(1)
    yield "a mean over the batch, where a sum is meant", first.mean(1)
    yield "a mean over the other samples, where a sum is meant", (first.sum(1) - 1) / max(n - 1, 1)
    yield (
        "the distance is Euclidean, where it is the sum of absolute differences",
        closeness(m, lambda d: np.sqrt((d * d).sum(-1))).sum(1) - 1,
    )
    yield (
        "the distance is a sum of squares, where it is the sum of absolute differences",
        closeness(m, lambda d: (d * d).sum(-1)).sum(1) - 1,
    )
    other = x.reshape(n, dimensions, kernels).swapaxes(1, 2)
    yield (
        "the input is read as (dimensions, kernels), where it is (kernels, dimensions)",
        closeness(other, lambda d: abs(d).sum(-1)).sum(1) - 1,
    )


def dropout(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "dropout":
        return
    x, rate = np.asarray(case.inputs[0], np.float64), case.layer.settings["rate"]
    mode = "training" if case.training else "inference"
    if case.training:
        yield "nothing is dropped: dropout is in inference mode, not in training mode", x
    if case.mask is None:
        return
    kept = np.asarray(case.mask, np.float64)
    if not case.training:
        yield f"numbers are dropped: dropout is not in {mode} mode", x * kept / (1 - rate)
        return
    yield f"what is kept is not scaled by 1 / {number(1 - rate)}", x * kept
    yield f"what is kept is multiplied by {number(1 - rate)}, where it must be divided by that", x * kept * (1 - rate)
    if rate not in (0.0, 0.5):
        yield f"the rate {number(rate)} is taken for the probability to keep, in the scale only", x * kept / rate
    yield "what should be kept is dropped, and what should be dropped is kept", x * (1 - kept) / (1 - rate)
    if rate:
        yield (
            "what should be kept is dropped, as where the rate is taken for the probability to keep",
            x * (1 - kept) / rate,
        )
    if case.wrong.shape == x.shape and ((case.wrong != 0) != (kept > 0)).any():
        left = (case.wrong != 0) & (x != 0)
        factor, share = fitted(x[left], case.wrong[left]), left.sum() / max((x != 0).sum(), 1)
        other = 1 - 1 / factor if factor else rate
        cause = "other numbers are dropped"
        if abs(other - rate) > 1e-9:
            cause += (
                f": {number(1 - share)} of them, the rest scaled as for a rate of {number(other)}, not {number(rate)}"
            )
        yield cause, x * left * factor
    yield "the mask has the samples in reverse order", x * kept[::-1] / (1 - rate)
    yield "one mask for the whole batch", x * kept[:1] / (1 - rate)
    if x.ndim > 2:
        yield (
            "whole channels are dropped, where each number is dropped by itself",
            x * kept.reshape(*kept.shape[:2], -1)[:, :, :1].reshape(*kept.shape[:2], *(1,) * (x.ndim - 2)) / (1 - rate),
        )


RULES = (epsilon, batch_norm, pixel_norm, minibatch_std, minibatch_discrimination, dropout)
