"""The kinds of layer, by the equations of `spec.layers`: plain NumPy on hyper-dual numbers.

Every kind is one branch of an `evaluate`: here, or in `activations`, `normalising` or `shaping`. A layer is built of three sorts
of steps, of which `jets` knows the derivatives: functions of each number (`map`), linear functions of the whole (`linear`,
`each_sample`, `weigh`), and products. In a component of a `Jet` the first axis is that of directions, the second the batch's, the
third the channels'.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.reference import activations, normalising, shaping
from ganspec.spec.reference.jets import Jet, weigh
from ganspec.spec.reference.mode import Evaluation
from ganspec.spec.reference.shaping import Extent, both


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
            window = (settings["stride"], settings["padding"], settings.get("dilation", 1), settings.get("groups", 1))
            return _biased(weigh(lambda v, w: convolve(v, w, *window), x, _weight(layer, own, how)), own)
        case "deconv":
            stride, padding = settings["stride"], settings["padding"]
            return _biased(weigh(lambda v, w: transposed(v, w, stride, padding), x, _weight(layer, own, how)), own)
        case "embedding":
            return own["W"].linear(lambda w: w[:, x.f[0].astype(int)])
    for part in (activations, normalising, shaping):
        found: Jet | None = part.evaluate(layer, inputs, own, how)
        if found is not None:
            return found
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


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    stride: Extent,
    padding: tuple[int, ...],
    dilation: Extent = 1,
    groups: int = 1,
) -> np.ndarray:
    """Returns: the cross-correlation of images (N, in, h, w), with kernels (out, in / groups, kh, kw).

    Padding is (top, bottom, left, right). With groups, each part of the output is made of its own part of the channels.
    """
    (n, channels, height, width), (top, bottom, left, right) = x.shape, padding
    padded = np.zeros((n, top + height + bottom, left + width + right, channels))  # channels last: windows copy faster
    padded[:, top : top + height, left : left + width] = x.transpose(0, 2, 3, 1)
    (down, across), (apart, aside) = both(stride), both(dilation)
    reach = [d * (size - 1) + 1 for d, size in zip((apart, aside), w.shape[2:], strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))[:, ::down, ::across]
    parts = zip(np.split(windows[..., ::apart, ::aside], groups, axis=3), np.split(w, groups), strict=True)
    found = [np.tensordot(part, kernels, axes=([4, 5, 3], [2, 3, 1])) for part, kernels in parts]
    return np.concatenate(found, axis=3).transpose(0, 3, 1, 2)


def transposed(x: np.ndarray, w: np.ndarray, stride: Extent, padding: Extent) -> np.ndarray:
    """Returns: the transposed convolution: each input pixel adds its multiple of the kernel (in, out, kh, kw) to the output."""
    n, _, height, width = x.shape
    (down, across), (above, beside), (kh, kw) = both(stride), both(padding), w.shape[2:]
    out = np.zeros((n, w.shape[1], (height - 1) * down + kh, (width - 1) * across + kw))
    painted = np.tensordot(x, w, axes=(1, 0)).transpose(4, 5, 0, 3, 1, 2)  # (kh, kw, N, out, h, w)
    for i in range(kh):
        for j in range(kw):
            out[:, :, i : i + (height - 1) * down + 1 : down, j : j + (width - 1) * across + 1 : across] += painted[
                i, j
            ]
    return out[:, :, above : out.shape[2] - above, beside : out.shape[3] - beside]
