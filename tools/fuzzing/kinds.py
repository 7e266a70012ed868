"""Draws the keys of one layer, and says what shape it makes; `networks` joins layers to graphs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[Any], Any]
Shape = tuple[int, ...]
Outline = tuple[Shape | None, dict[str, Any]]  # shape of the output, None where the layer does not fit; keys

# Ordinary numbers first, for hypothesis shrinks towards them; then those at the edge of what is allowed.
SLOPES = (0.2, 0, 1, -0.5, 3, 1e-9)
EPSILONS = (1e-5, 1e-3, 1, 0, 1e-12, 1e3)
ABOVE_0 = (1e-5, 1e-3, 1, 1e-12, 1e3)
FACTORS = (0.5, -1, 2, 0, 1e-6, 1e3)
WEIGHTS = ("normal(0, 0.5)", "normal(0, 1 / sqrt(fan_in))", "uniform(-1, 1)", "normal(0.1, 3)", "0.25", "0")
BIASES = ("normal(0, 0.3)", "none", "0", "uniform(-1, 0)")
GAINS = ("sqrt(2 / fan_in)", "-0.5", "10")
TRAINED = ("normal(0.5, 0.5)", "0.25", "1", "0")
# A key with numbers, for kinds that keep the shape and have no other key that is a number.
NUMBERS = {
    "leaky_relu": ("slope", SLOPES), "elu": ("alpha", SLOPES), "hard_sigmoid": ("slope", (0.2, 1, -0.5, 1e-9)),
    "scale": ("factor", FACTORS), "dropout": ("rate", (0.5, 0.25, 0.3, 0, 0.999)), "pixel_norm": ("epsilon", EPSILONS),
    "normalize": ("epsilon", ABOVE_0),
    "prelu": ("slope", TRAINED), "swish": ("beta", TRAINED), "trained_scale": ("factor", TRAINED), "bias": ("bias", TRAINED),
}  # fmt: skip
TRAINED_KINDS = ("prelu", "swish", "trained_scale", "bias")
ACTIVATIONS = ("tanh", "leaky_relu", "relu", "elu", "sigmoid")
POINTWISE = (
    *ACTIVATIONS, "softplus", "hard_sigmoid", "abs", "exp", "log", "sqrt", "clip", "scale", "dropout", *TRAINED_KINDS,
)  # fmt: skip
OF_CHANNELS = ("softmax", "normalize", "local_response_norm", "pixel_norm", "layer_norm", "group_norm")
ANY = (*POINTWISE, "flatten", "reshape", "transpose", "add", "subtract", "multiply", "concat", "network")
OF_AXES = (*OF_CHANNELS, "batch_norm", "conditional_batch_norm", "slice", "mean", "sum", "max", "broadcast")
WINDOWS = ("conv", "deconv", "max_pool", "avg_pool")
OF_IMAGES = (
    *WINDOWS, *WINDOWS,  # twice, for they have the most keys
    "instance_norm", "minibatch_std", "pad", "upsample", *OF_AXES,
)  # fmt: skip
OF_VECTORS = ("linear", "minibatch_discrimination", "planes", *OF_AXES)
OF_MATRICES = ("matmul", "matmul", *OF_AXES)
# Layers whose output has the shape of their input: they can be absent in some stages of growth.
KEEPING = (*POINTWISE, *OF_CHANNELS, "batch_norm")


def outline(draw: Draw, kind: str, shape: Shape) -> Outline:
    """Draw the keys of a layer.

    Args:
        draw: hypothesis' function that draws from a strategy.
        kind: kind of the layer, which reads one input, or one and a label.
        shape: shape of that input.
    """

    def one(options: Any) -> Any:
        return draw(st.sampled_from(options))

    match kind:
        case "linear":
            units = draw(st.integers(1, 4))
            return (units,), {"units": units} | weights(draw)
        case "conv" | "deconv" | "max_pool" | "avg_pool" | "pad":
            return _window(draw, kind, shape)
        case "batch_norm" | "conditional_batch_norm" | "layer_norm" | "instance_norm" | "group_norm":
            keys = {"epsilon": one(ABOVE_0), "gamma": one(("1", "normal(1, 0.2)", "none")), "beta": one(("0", "none"))}
            keys |= {"momentum": one((0.1, 0.5, 1, 0))} if "batch" in kind else {}
            return shape, keys | ({"groups": one(_divisors(shape[0]))} if kind == "group_norm" else {})
        case "local_response_norm":
            beta = one((0.75, 0.5, 1, -0.5, 0))
            return shape, {"n": one((3, 1, 5)), "k": one((1, 2, 1e-3)), "alpha": one((1e-4, 1, 0)), "beta": beta}
        case "minibatch_std":
            return (shape[0] + 1, *shape[1:]), {"epsilon": one(EPSILONS)}
        case "minibatch_discrimination":
            dimensions = one(_divisors(shape[0]))
            kernels = shape[0] // dimensions
            return (kernels,), {"kernels": kernels, "dimensions": dimensions}
        case "planes":
            height, width = draw(st.integers(1, 2)), draw(st.integers(1, 2))
            return (shape[0], height, width), {"height": height, "width": width}
        case "upsample":
            factor = draw(st.integers(1, 2))
            return (shape[0], shape[1] * factor, shape[2] * factor), {"factor": factor}
        case "slice":
            axis = draw(st.integers(0, len(shape) - 1))
            start = draw(st.integers(0, shape[axis] - 1))
            stop = draw(st.integers(start + 1, shape[axis]))
            return (*shape[:axis], stop - start, *shape[axis + 1 :]), {"axis": axis, "start": start, "stop": stop}
        case "transpose":
            axes = list(draw(st.permutations(range(len(shape)))))
            return tuple(shape[axis] for axis in axes), {"axes": axes}
        case "mean" | "sum" | "max":
            axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=2, unique=True))
            return tuple(n for i, n in enumerate(shape) if i not in axes), {"axes": axes}
        case "reshape":
            return (new := tuple(reversed(shape))), {"shape": list(new)}
        case "broadcast":
            made = tuple(draw(st.integers(1, 2)) if n == 1 else n for n in shape)
            return made, {"shape": list(made)}
        case "flatten":
            return (math.prod(shape),), {}
        case "clip":
            return shape, {"low": one((-1, -0.5, -1e3, 0)), "high": one((1, 0.5, 1e3))}
    keys = {key: one(values) for key, values in [NUMBERS[kind]]} if kind in NUMBERS else {}
    if kind in TRAINED_KINDS:
        keys["per"] = one(("layer", "channel", "number") if shape else ("layer", "number"))
    return shape, keys


def _window(draw: Draw, kind: str, shape: Shape) -> Outline:
    """The kinds that go over an image with a window, and the padding alone."""
    channels, height, width = shape
    sides = st.lists(st.integers(0, 2), min_size=4, max_size=4)
    if kind == "pad":
        top, bottom, left, right = padding = draw(st.lists(st.integers(0, 1), min_size=4, max_size=4))
        made = (channels, height + top + bottom, width + left + right)
        return made, {"padding": padding, "value": draw(st.sampled_from((0, -1, 0.5)))}
    pool = kind.endswith("pool")
    kernel, stride = _size(draw, 1, 3), _size(draw, 1, 2)
    keys: dict[str, Any] = {"kernel": kernel, "stride": stride}
    (kh, kw), (down, across) = _pair(kernel), _pair(stride)
    if pool:
        padding = _size(draw, 0, 1) if draw(st.booleans()) else 0
        keys |= {"padding": padding} if padding != 0 else {}
        (above, beside), cover_all = _pair(padding), kind == "max_pool" and draw(st.booleans())
        keys |= {"cover_all": True} if cover_all else {}
        out = []
        for size, k, s, p in ((height, kh, down, above), (width, kw, across, beside)):
            out.append((size + 2 * p - k + (s - 1) * cover_all) // s + 1)
            if out[-1] < 1 or p >= k or (out[-1] - 1) * s - p >= size:
                return None, {}
        return (channels, *out), keys
    made = draw(st.integers(1, 2))
    keys |= {"channels": made} | weights(draw)
    if kind == "deconv":
        padding = keys["padding"] = _size(draw, 0, 1)
        above, beside = _pair(padding)
        out = [(height - 1) * down + kh - 2 * above, (width - 1) * across + kw - 2 * beside]
        return (made, *out) if min(out) > 0 else None, keys
    padding = keys["padding"] = draw(st.one_of(st.integers(0, 2), sides))
    top, bottom, left, right = padding if isinstance(padding, list) else [padding] * 4
    dilation = keys["dilation"] = _size(draw, 1, 2) if draw(st.booleans()) else 1
    apart, aside = _pair(dilation)
    if dilation == 1:
        del keys["dilation"]
    if channels % 2 == 0 and draw(st.booleans()):
        made = keys["channels"] = keys["groups"] = 2
    out = [
        (n + p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in ((height, top + bottom, apart, kh, down), (width, left + right, aside, kw, across))
    ]
    return (made, *out) if min(out) > 0 else None, keys


def weights(draw: Draw) -> dict[str, Any]:
    """Returns: the keys that layers with weights share."""

    def one(options: Any) -> Any:
        return draw(st.sampled_from(options))

    keys: dict[str, Any] = {"weight": one(WEIGHTS), "bias": one(BIASES)}
    if draw(st.integers(0, 4)) == 4:
        keys["gain"] = one(GAINS)
    if draw(st.integers(0, 4)) == 4:
        iterations, advance = draw(st.integers(1, 2)), one(("always", "training"))
        keys["spectral_norm"] = {"iterations": iterations, "epsilon": one((1e-12, 1e-3, 0)), "advance": advance}
    return keys


def _size(draw: Draw, least: int, most: int) -> int | list[int]:
    """Returns: a size for both directions of an image, or one for each."""
    one = st.integers(least, most)
    return draw(st.one_of(one, st.lists(one, min_size=2, max_size=2)))  # type: ignore[no-any-return]


def _pair(size: int | list[int]) -> list[int]:
    return size if isinstance(size, list) else [size, size]


def _divisors(count: int) -> list[int]:
    return [n for n in range(1, count + 1) if count % n == 0]
