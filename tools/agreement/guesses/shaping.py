"""Activations, and layers that only move numbers; what can be wrong in them."""

from __future__ import annotations

import itertools

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case, fitted, number, numbers, told_apart
from ganspec.tools.agreement.guesses.weighted import evaluated

_SLOPED = ("relu", "leaky_relu")
_BY_SLOPE = ("the identity", "relu", "the absolute value", *(f"leaky relu of slope {s}" for s in (0.01, 0.1, 0.2, 0.3)))
_FEW = 3  # negative numbers, from which a slope can be told


def functions(x: np.ndarray) -> dict[str, np.ndarray]:
    """Returns: the usual elementwise functions of some numbers, by name."""
    e, sigmoid = np.exp(np.minimum(x, 0.0)), 0.5 * (1.0 + np.tanh(0.5 * x))
    selu = 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (e - 1))
    return {
        "the identity": x,
        "relu": np.maximum(x, 0.0),
        "leaky relu of slope 0.01": np.where(x >= 0, x, 0.01 * x),
        "leaky relu of slope 0.1": np.where(x >= 0, x, 0.1 * x),
        "leaky relu of slope 0.2": np.where(x >= 0, x, 0.2 * x),
        "leaky relu of slope 0.3": np.where(x >= 0, x, 0.3 * x),
        "elu": np.where(x > 0, x, e - 1),
        "selu": selu,
        "tanh": np.tanh(x),
        "sigmoid": sigmoid,
        "softplus": np.logaddexp(x, 0.0),
        "softsign": x / (1 + abs(x)),
        "swish": x * sigmoid,
        "gelu's tanh form": 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "the absolute value": abs(x),
        "hard tanh": x.clip(-1, 1),
        "hard sigmoid": (0.2 * x + 0.5).clip(0, 1),
        "tanh, moved to [0, 1]": 0.5 * (np.tanh(x) + 1),
        "sigmoid, moved to [-1, 1]": 2 * sigmoid - 1,
        "sin": np.sin(x),
    }


def activation(case: Case) -> Candidates:
    """Another function, where the layer is one; a further one after it, where it is not."""
    if case.layer is None or case.layer.kind in ("one_hot", "embedding", "dropout", "reshape", "flatten", "scale"):
        return
    kind = case.layer.kind.replace("_", " ")
    if case.layer.kind in (*_SLOPED, "elu", "tanh", "sigmoid"):
        x = np.asarray(case.inputs[0], np.float64)
        told = {*_BY_SLOPE} if case.layer.kind in _SLOPED else {"elu"} if case.layer.kind == "elu" else set()
        others = {name: value for name, value in functions(x).items() if name not in told}
        for name, value in told_apart(others, case.right).items():
            yield f"{name}, where {kind} is meant", value
        yield f"{kind} is applied twice", evaluated(case, inputs=(evaluated(case),))
        yield f"{kind} of the negative input", evaluated(case, inputs=(-x,))
        return
    for name, value in told_apart(functions(case.right), case.right).items():
        cause = f"{name} is applied to what the {kind} layer gives: it belongs to the layer after it, or is too much"
        yield cause, value


def slope(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind not in (*_SLOPED, "elu"):
        return
    x, wrong = np.asarray(case.inputs[0], np.float64), case.wrong
    below = x < 0
    if x.shape != wrong.shape or below.sum() < _FEW:
        return
    if case.layer.kind == "elu":
        alpha = fitted(np.expm1(x[below]), wrong[below])
        theirs, ours = numbers(alpha, case.layer.settings["alpha"])
        yield f"alpha {theirs}, not {ours}", evaluated(case, alpha=alpha)
    else:
        fit, own = fitted(x[below], wrong[below]), case.layer.settings.get("slope", 0.0)
        theirs, ours = numbers(fit, own)
        yield f"slope {theirs} for negative numbers, not {ours}", np.where(below, fit * x, x)
        yield (
            f"the slope {number(own)} is that of positive numbers, where it is of negative ones",
            np.where(below, x, own * x),
        )


def factor(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "scale":
        return
    x, own = np.asarray(case.inputs[0], np.float64), case.layer.settings["factor"]
    yield f"the factor {number(own)} is missing", x
    yield f"divided by {number(own)}, where it must be multiplied", x / own
    if x.shape == case.wrong.shape and x.size >= _FEW:
        fit = fitted(x, case.wrong)
        if fit not in (1.0, 1.0 / own):
            theirs, ours = numbers(fit, own)
            yield f"factor {theirs}, not {ours}", fit * x


def reshape(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind not in ("reshape", "flatten"):
        return
    x = np.asarray(case.inputs[0], np.float64)
    n, shape = len(x), case.layer.shape
    if x.ndim == 4:
        for axes, order in {
            (2, 3, 1): "height, width, channels",
            (3, 2, 1): "width, height, channels",
            (1, 3, 2): "channels, width, height",
        }.items():
            moved = x.transpose(0, *axes)
            yield (
                f"the numbers of an image are taken in the order {order}, where it is channels, height, width",
                moved.reshape(n, *shape),
            )
    if len(shape) == 3:
        channels, height, width = shape
        yield (
            "the numbers are read as height, width, channels, where they are channels, height, width",
            x.reshape(n, height, width, channels).transpose(0, 3, 1, 2),
        )
        yield "height and width are exchanged", x.reshape(n, channels, width, height).swapaxes(2, 3)
    yield "the samples are mixed with one another: the batch axis takes part in the reshape", x.T.reshape(n, *shape)
    yield (
        "the samples are mixed with one another: the batch axis is not the first",
        x.reshape(-1, n).T.reshape(n, *shape),
    )
    yield "the numbers are read column by column", x.reshape(n, *shape, order="F")


def upsample(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "upsample":
        return
    x, k = np.asarray(case.inputs[0], np.float64), case.layer.settings["factor"]
    meant = f"where each pixel becomes {k} x {k} equal ones"
    zeros = np.zeros(case.right.shape)
    zeros[:, :, ::k, ::k] = x
    yield f"zeros between the pixels, {meant}", zeros
    yield f"copies of the image side by side, {meant}", np.tile(x, (1, 1, k, k))
    yield f"each pixel is spread, divided by {k * k}, {meant}", case.right / (k * k)
    for corners, name in ((False, "bilinear, corners not aligned"), (True, "bilinear, corners aligned")):
        yield f"{name}, {meant}", _bilinear(_bilinear(x, k, corners).swapaxes(2, 3), k, corners).swapaxes(2, 3)


def _bilinear(x: np.ndarray, k: int, corners: bool) -> np.ndarray:
    """Returns: images enlarged k times along their height, by linear interpolation."""
    size = x.shape[2]
    at = np.arange(size * k)
    place = at * (size - 1) / max(size * k - 1, 1) if corners else ((at + 0.5) / k - 0.5).clip(0, size - 1)
    low = np.floor(place).astype(int).clip(0, size - 1)
    high, part = (low + 1).clip(0, size - 1), (place - low)[:, None]
    return x[:, :, low] * (1 - part) + x[:, :, high] * part


def pooling(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind not in ("max_pool", "avg_pool"):
        return
    x, kernel, stride = (
        np.asarray(case.inputs[0], np.float64),
        case.layer.settings["kernel"],
        case.layer.settings["stride"],
    )
    height, width = case.layer.shape[1:]
    meant = "where the largest number is meant" if case.layer.kind == "max_pool" else "where the mean is meant"
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    whole = windows[:, :, ::stride, ::stride]
    flat = whole.reshape(*whole.shape[:4], -1)
    ways = {
        "the largest number of each window": flat.max(-1),
        "the mean of each window": flat.mean(-1),
        "the sum of each window": flat.sum(-1),
        "the smallest number of each window": flat.min(-1),
        "the middle number of each window": np.median(flat, axis=-1),
        "the first pixel of each window": flat[..., 0],
        "the root of the mean square of each window": np.sqrt((flat**2).mean(-1)),
    }
    for what, value in ways.items():
        if not np.allclose(value, case.right, rtol=1e-12, atol=0):
            yield f"{what}, {meant}", value
    pool = np.max if case.layer.kind == "max_pool" else np.mean
    for down, across in itertools.product(range(stride + 1), repeat=2):
        part = windows[:, :, down::stride, across::stride][:, :, :height, :width]
        if down or across:
            yield f"the windows begin {down} rows and {across} columns too late", pool(part, axis=(4, 5))
    for pad in range(1, kernel):
        for filler, name in ((0.0, "zeros"), (-np.inf, "nothing")):
            padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=filler)
            part = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))[
                :, :, ::stride, ::stride
            ]
            yield f"the image is padded by {pad} with {name} before pooling", pool(part, axis=(4, 5))


def joining(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind not in ("concat", "add"):
        return
    inputs = [np.asarray(x, np.float64) for x in case.inputs]
    names = list(case.layer.inputs)
    if case.layer.kind == "concat":
        if len(inputs) <= 4:
            for order in itertools.permutations(range(len(inputs))):
                if order != tuple(range(len(inputs))):
                    joined = ", ".join(names[i] for i in order)
                    yield (
                        f"joined in the order {joined}, where it is {', '.join(names)}",
                        np.concatenate([inputs[i] for i in order], axis=1),
                    )
        if len({x.shape for x in inputs}) == 1:
            yield (
                "joined in turns, number by number, where one follows the other",
                np.stack(inputs, axis=2).reshape(case.right.shape),
            )
        for i, name in enumerate(names):
            for what, one in (
                ("zeros stand for", 0 * inputs[i]),
                ("the negative of", -inputs[i]),
                ("the reverse order of samples of", inputs[i][::-1]),
            ):
                yield (
                    f"{what} {name} among what is joined",
                    np.concatenate([*inputs[:i], one, *inputs[i + 1 :]], axis=1),
                )
        return
    for i, name in enumerate(names):
        yield f"{name} is not added", sum(x for j, x in enumerate(inputs) if j != i) + 0 * inputs[i]
        yield f"{name} is subtracted", case.right - 2 * inputs[i]
        yield f"{name} is added twice", case.right + inputs[i]
        yield f"relu is applied to {name} before it is added", case.right - inputs[i] + np.maximum(inputs[i], 0.0)
    yield f"the mean of {len(inputs)} inputs, where their sum is meant", case.right / len(inputs)


def fade(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "fade":
        return
    first, second = (np.asarray(x, np.float64) for x in case.inputs)
    a, names = case.fade, case.layer.inputs
    meant = f"where {names[0]} has the share {number(1 - a)} and {names[1]} the share {number(a)}"
    shares = {
        1 - a: "the fade is in reverse",
        0.0: f"{names[0]} alone, without a fade",
        1.0: f"{names[1]} alone, without a fade",
    }
    for by, when in ((-1, "one iteration late"), (1, "one iteration early")):
        if case.quantity.place.iteration + by >= 0:
            other = case.quantity.place.iteration + by
            shares[case.system.at(other)[1]] = f"the fade is that of iteration {other}, {when}"
    if case.wrong.shape == first.shape and first.size >= _FEW:
        fit = fitted(second - first, case.wrong - first)
        if min(abs(fit - share) for share in shares) > 1e-9:
            shares[fit] = f"a fade of {number(fit)}"
    for share, cause in shares.items():
        if share != a:
            yield f"{cause}, {meant}", (1 - share) * first + share * second
    yield f"the two are added, {meant}", first + second


def planes(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "planes":
        return
    x = np.asarray(case.inputs[0], np.float64)
    n, (channels, height, width) = len(x), case.layer.shape
    yield (
        "the numbers are repeated in turn, where each fills a plane",
        np.tile(x, (1, height * width)).reshape(n, channels, height, width),
    )


RULES = (slope, activation, factor, reshape, upsample, pooling, joining, fade, planes)
