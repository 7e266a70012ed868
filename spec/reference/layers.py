"""The kinds of layer, by the equations of `spec.layers`: plain NumPy on hyper-dual numbers.

Every kind is one branch of `evaluate`. A layer is built of three sorts of steps, of which `jets` knows the derivatives: functions
of each number (`map`), linear functions of the whole (`linear`, `each_sample`, `weigh`), and products. In a component of a `Jet`
the first axis is that of directions, the second the batch's, the third the channels'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.reference.jets import Jet, jet, joined, weigh


@dataclass(frozen=True)
class Evaluation:
    """How one network is evaluated.

    Args:
        training: whether it is evaluated in training mode, not in inference.
        fade: progress of the stage of growth, from 0 to 1.
        mask: function of a dropout layer and a shape that says which elements are kept.
        statistics: running statistics before the evaluation, by path.
        moved: running statistics after it, by path; the evaluation fills them in.
    """

    training: bool
    fade: float
    mask: Callable[[Layer, tuple[int, ...]], np.ndarray]
    statistics: Mapping[str, np.ndarray]
    moved: dict[str, np.ndarray]


def evaluate_layers(
    architecture: Architecture, parameters: Mapping[str, Jet], inputs: list[Jet], how: Evaluation
) -> dict[str, Jet]:
    """Evaluate a network, one layer after the other.

    Args:
        architecture: architecture of the network.
        parameters: parameters by path, such as "l1/W".
        inputs: values in the order of the architecture's inputs, (N, ...) each.
        how: mode, masks and statistics.

    Returns: what each layer gave, and each input, by name.
    """
    values = dict(zip(architecture.inputs, inputs, strict=True))
    for layer in architecture.layers:
        own = {p.name: parameters[f"{layer.name}/{p.name}"] for p in layer.parameters}
        values[layer.name] = evaluate(layer, [values[i] for i in layer.inputs], own, how)
    return values


def evaluate(layer: Layer, inputs: list[Jet], own: Mapping[str, Jet], how: Evaluation) -> Jet:
    """Evaluate one layer.

    Args:
        layer: the layer.
        inputs: values that it reads, (N, ...) each.
        own: its parameters by their short names.
        how: mode, masks and statistics.

    Returns: what it gives, (N, *layer.shape).
    """
    x, settings = inputs[0], layer.settings
    match layer.kind:
        case "linear":
            return _biased(weigh(lambda v, w: v @ w.T, x, _weight(layer, own, how)), own)
        case "conv":
            stride, padding = settings["stride"], settings["padding"]
            return _biased(weigh(lambda v, w: convolve(v, w, stride, padding), x, _weight(layer, own, how)), own)
        case "deconv":
            stride, padding = settings["stride"], settings["padding"]
            return _biased(weigh(lambda v, w: transposed(v, w, stride, padding), x, _weight(layer, own, how)), own)
        case "embedding":
            return own["W"].linear(lambda w: w[:, x.f[0].astype(int)])
        case "one_hot":
            hot = np.arange(layer.shape[0]) == x.f[0][:, None]
            return jet(np.where(hot, settings["on"], settings["off"]))
        case "batch_norm":
            return _batch_norm(layer, x, own, how)
        case "pixel_norm":
            return x / ((x * x).mean(2) + float(settings["epsilon"])).sqrt()
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
        case "leaky_relu":
            return x.kinked(settings["slope"])
        case "relu":
            return x.kinked(0.0)
        case "elu":
            alpha, e, positive = settings["alpha"], np.exp(np.minimum(x.f, 0.0)), x.f > 0
            below = np.where(positive, 0.0, alpha * e)
            bend = np.where(x.f < 0, below, 0.0)
            return x.map(
                np.where(positive, x.f, alpha * np.expm1(np.minimum(x.f, 0.0))), np.where(positive, 1.0, below), bend
            )
        case "tanh":
            return x.tanh()
        case "sigmoid":
            return x.sigmoid()
        case "scale":
            return x * float(settings["factor"])
        case "reshape" | "flatten":
            return x.each_sample(lambda v: v.reshape(len(v), *layer.shape))
        case "upsample":
            k = settings["factor"]
            return x.each_sample(lambda v: v.repeat(k, axis=2).repeat(k, axis=3))
        case "max_pool":
            return _max_pool(x, settings["kernel"], settings["stride"])
        case "avg_pool":
            return x.each_sample(lambda v: _windows(v, settings["kernel"], settings["stride"]).mean(axis=-1))
        case "planes":
            return x.each_sample(lambda v: np.broadcast_to(v[:, :, None, None], (len(v), *layer.shape)))
        case "concat":
            return joined(inputs)
        case "add":
            return sum(inputs[1:], x)
        case "fade":
            return x * (1.0 - how.fade) + inputs[1] * how.fade
    raise NotImplementedError(layer.kind)


def _biased(y: Jet, own: Mapping[str, Jet]) -> Jet:
    """y + b, a number for each channel or unit, where the layer has a bias."""
    if "b" not in own:
        return y
    return y + own["b"].linear(lambda b: b.reshape(1, 1, -1, *(1,) * (y.rank - 2)))


def _weight(layer: Layer, own: Mapping[str, Jet], how: Evaluation) -> Jet:
    """The weight as the layer uses it: gain W / sigma(W), both where the layer has them.

        some times:  v = W^T u / (|W^T u| + epsilon),  u = W v / (|W v| + epsilon);   then sigma = u^T W v

    W has one row for each first index. u and v are constants; u is a running statistic, from which the next evaluation starts.
    Source: Miyato et al. 2018, arXiv:1802.05957, algorithm 1.
    """
    w = own["W"]
    if (settings := layer.settings.get("spectral_norm")) is not None:
        path = f"{layer.name}/u"
        matrix, u = w.f[0].reshape(w.f.shape[1], -1), how.statistics[path]
        for _ in range(settings["iterations"]):
            v = u @ matrix
            v = v / (np.sqrt(v @ v) + settings["epsilon"])
            u = matrix @ v
            u = u / (np.sqrt(u @ u) + settings["epsilon"])
        if how.training or settings["advance"] == "always":
            how.moved[path] = u
        # What is divided by is linear in the weight.
        sigma = w.linear(lambda m: (np.outer(u, v) * m.reshape(len(m), len(u), -1)).sum(axis=(1, 2)))
        w = w / sigma.linear(lambda s: s.reshape(-1, *(1,) * w.rank))
    return w * float(layer.settings.get("gain", 1.0))


def _batch_norm(layer: Layer, x: Jet, own: Mapping[str, Jet], how: Evaluation) -> Jet:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, for each channel.

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
    y: Jet = centred / (variance + float(layer.settings["epsilon"])).sqrt()
    if "gamma" in own:
        y = y * own["gamma"].linear(lambda g: g.reshape(1, *wide))
    return y + own["beta"].linear(lambda g: g.reshape(1, *wide)) if "beta" in own else y


def _windows(v: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Returns: (N, channels, height, width, kernel * kernel), every whole window."""
    found = np.lib.stride_tricks.sliding_window_view(v, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    return found.reshape(*found.shape[:4], -1)


def _max_pool(x: Jet, kernel: int, stride: int) -> Jet:
    """The largest number of each window; derivatives are those of the first of equal ones."""
    largest = _windows(x.f[0], kernel, stride).argmax(axis=-1)

    def pick(v: np.ndarray) -> np.ndarray:
        found = np.stack([_windows(batch, kernel, stride) for batch in v])
        return np.take_along_axis(found, largest[None, ..., None], axis=-1)[..., 0]

    return x.linear(pick)


def convolve(x: np.ndarray, w: np.ndarray, stride: int, padding: tuple[int, ...]) -> np.ndarray:
    """Returns: the cross-correlation of images (N, in, h, w), with kernels (out, in, kh, kw).

    Padding is (top, bottom, left, right).
    """
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.tensordot(windows, w, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


def transposed(x: np.ndarray, w: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Returns: the transposed convolution: each input pixel adds its multiple of the kernel (in, out, kh, kw) to the output."""
    n, _, height, width = x.shape
    kernel = w.shape[2]
    out = np.zeros((n, w.shape[1], (height - 1) * stride + kernel, (width - 1) * stride + kernel))
    for i in range(height):
        for j in range(width):
            painted = np.tensordot(x[:, :, i, j], w, axes=(1, 0))
            out[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += painted
    return out[:, :, padding : out.shape[2] - padding, padding : out.shape[3] - padding]
