"""Layers that move, join or reduce numbers, on hyper-dual numbers; `layers` says how."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.reference.jets import Jet, bilinear, jet, joined
from ganspec.spec.reference.mode import Evaluation

Extent = int | tuple[int, int]  # in both directions of an image, or (vertical, horizontal)


def evaluate(layer: Layer, inputs: list[Jet], own: Mapping[str, Jet], how: Evaluation) -> Jet | None:
    """Returns: what a layer gives, (N, *layer.shape); None for a kind that is not here."""
    x, settings = inputs[0], layer.settings
    match layer.kind:
        case "one_hot":
            hot = np.arange(layer.shape[0]) == x.f[0][:, None]
            return jet(np.where(hot, settings["on"], settings["off"]))
        case "reshape" | "flatten":
            return x.each_sample(lambda v: v.reshape(len(v), *layer.shape))
        case "upsample":
            k = settings["factor"]
            return x.each_sample(lambda v: v.repeat(k, axis=2).repeat(k, axis=3))
        case "max_pool":
            return _max_pool(layer, x)
        case "avg_pool":
            return x.each_sample(lambda v: _windows(layer, v, 0.0).mean(axis=-1))
        case "transpose":
            return x.linear(lambda v: v.transpose(0, 1, *(axis + 2 for axis in settings["axes"])))
        case "slice":
            part = np.arange(settings["start"], settings["stop"])
            return x.linear(lambda v: v.take(part, axis=settings["axis"] + 2))
        case "mean":
            return x.linear(lambda v: v.mean(axis=tuple(axis + 2 for axis in settings["axes"])))
        case "sum":
            return x.linear(lambda v: v.sum(axis=tuple(axis + 2 for axis in settings["axes"])))
        case "max":
            return _max(x, tuple(axis + 2 for axis in settings["axes"]))
        case "broadcast":
            return x.linear(lambda v: np.broadcast_to(v, (*v.shape[:2], *layer.shape)))
        case "pad":
            top, bottom, left, right = settings["padding"]
            inside = x.each_sample(lambda v: np.pad(v, ((0, 0), (0, 0), (top, bottom), (left, right))))
            border = np.pad(np.zeros(x.f.shape[3:]), ((top, bottom), (left, right)), constant_values=settings["value"])
            return inside + border
        case "planes":
            return x.each_sample(lambda v: np.broadcast_to(v[:, :, None, None], (len(v), *layer.shape)))
        case "concat":
            return joined(inputs)
        case "add":
            return sum(inputs[1:], x)
        case "subtract":
            return x - inputs[1]
        case "multiply":
            return reduce(lambda product, factor: product * factor, inputs)
        case "matmul":
            return bilinear(np.matmul, x, inputs[1])
        case "fade":
            return x * (1.0 - how.fade) + inputs[1] * how.fade
    return None


def _max(x: Jet, axes: tuple[int, ...]) -> Jet:
    """The largest number over some axes; derivatives are those of the first of equal ones."""
    last = tuple(range(-len(axes), 0))

    def rows(v: np.ndarray) -> np.ndarray:
        moved = np.moveaxis(v, sorted(axes), last)
        return moved.reshape(*moved.shape[: -len(axes)], -1)

    largest = rows(x.f).argmax(axis=-1)
    return x.linear(lambda v: np.take_along_axis(rows(v), largest[..., None], axis=-1)[..., 0])


def both(extent: Extent) -> tuple[int, int]:
    """Returns: a size in both directions of an image, given as one number or as (vertical, horizontal)."""
    return (extent, extent) if isinstance(extent, int) else extent


def _windows(layer: Layer, v: np.ndarray, beyond: float) -> np.ndarray:
    """Returns: (N, channels, height, width, numbers of a window), every window of a pooling layer.

    Args:
        layer: the layer.
        v: images, (N, channels, height, width).
        beyond: value of what is beyond the image.
    """
    kernel, stride, padding = (both(layer.settings.get(key, 0)) for key in ("kernel", "stride", "padding"))
    # All windows, and no pixel more; a negative amount takes away pixels that no window reaches.
    ends = [
        (n - 1) * s + k - p - size
        for n, s, k, p, size in zip(layer.shape[1:], stride, kernel, padding, v.shape[2:], strict=True)
    ]
    around = [(0, 0), (0, 0), *((p, max(end, 0)) for p, end in zip(padding, ends, strict=True))]
    padded = np.pad(v, around, constant_values=beyond)
    found = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    found = found[:, :, : layer.shape[1], : layer.shape[2]]
    return found.reshape(*found.shape[:4], -1)


def _max_pool(layer: Layer, x: Jet) -> Jet:
    """The largest number of each window; derivatives are those of the first of equal ones."""
    largest = _windows(layer, x.f[0], -np.inf).argmax(axis=-1)

    def pick(v: np.ndarray) -> np.ndarray:
        found = np.stack([_windows(layer, batch, 0.0) for batch in v])
        return np.take_along_axis(found, largest[None, ..., None], axis=-1)[..., 0]

    return x.linear(pick)
