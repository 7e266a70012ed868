"""Layers with weights, and what can be wrong in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ganspec.spec.reference.jets import Jet, jet
from ganspec.spec.reference.layers import Evaluation, convolve, evaluate, transposed
from ganspec.tools.agreement.guesses.amounts import mantissa
from ganspec.tools.agreement.guesses.case import Candidates, Case, number

EPSILONS = (0.0, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 2e-5, 1e-4, 1e-3, 1e-2)  # of frameworks and published programs


def evaluated(
    case: Case,
    *,
    inputs: tuple[np.ndarray, ...] | None = None,
    own: Mapping[str, np.ndarray] | None = None,
    statistics: Mapping[str, np.ndarray] | None = None,
    kind: str = "",
    training: bool | None = None,
    fade: float | None = None,
    mask: np.ndarray | None = None,
    **settings: Any,
) -> np.ndarray:
    """Returns: what the reference gives for the layer, with some of what it was computed from replaced."""
    assert case.layer is not None
    layer = replace(case.layer, kind=kind or case.layer.kind, settings={**case.layer.settings, **settings})
    kept = case.mask if mask is None else mask
    before = case.statistics if statistics is None else statistics
    running = {f"{layer.name}/{name}": np.asarray(values, np.float64) for name, values in before.items()}
    how = Evaluation(
        case.training if training is None else training,
        case.fade if fade is None else fade,
        lambda layer, shape: np.ones(shape) if kept is None else np.asarray(kept, np.float64),
        running,
        dict(running),
    )
    arrays = case.own if own is None else own
    parameters = {name: Jet(np.asarray(values, np.float64)[None]) for name, values in arrays.items()}
    return evaluate(layer, [jet(x) for x in (case.inputs if inputs is None else inputs)], parameters, how).f[0]


def known(case: Case) -> bool:
    """Returns: whether the layer, as it is known, gives the right value."""
    value = evaluated(case)
    return value.shape == case.right.shape and float(np.linalg.norm(value - case.right)) <= case.tolerance


def _weights(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yields: other ways in which the weight's memory may be read."""
    assert case.layer is not None
    w, kind = np.asarray(case.own["W"], np.float64), case.layer.kind
    if w.ndim == 2:
        yield "the weight is transposed: it must be (units, features)", w.T
        yield (
            "the weight's memory is that of the transposed weight: transpose it, do not reshape it",
            w.T.reshape(w.shape),
        )
        yield (
            "the weight's memory is that of the transposed weight: transpose it, do not reshape it",
            w.reshape(w.T.shape).T,
        )
        yield "the features are taken in reverse order", w[:, ::-1]
    if w.ndim == 4:
        order = "(in, out, height, width)" if kind == "deconv" else "(out, in, height, width)"
        yield "the kernels are turned by 180 degrees: a convolution for a cross-correlation", w[:, :, ::-1, ::-1]
        yield f"height and width of the kernels are exchanged: the weight must be {order}", w.transpose(0, 1, 3, 2)
        yield f"input and output channels of the weight are exchanged: it must be {order}", w.transpose(1, 0, 2, 3)
        yield (
            f"input and output channels of the weight are exchanged in its memory: it must be {order}",
            w.transpose(1, 0, 2, 3).reshape(w.shape),
        )
        for layout, axes in {
            "(height, width, in, out)": (2, 3, 1, 0),
            "(height, width, out, in)": (2, 3, 0, 1),
            "(out, height, width, in)": (0, 2, 3, 1),
        }.items():
            lying = tuple(w.shape[a] for a in axes)
            back = np.argsort(axes)
            yield f"the weight's memory is read as {layout}: it must be {order}", w.reshape(lying).transpose(back)
            yield f"the weight's memory is laid out as {layout}: it must be {order}", w.transpose(axes).reshape(w.shape)
        yield "the input channels of the weight are in reverse order", w[:, ::-1] if kind == "conv" else w[::-1]


def another_weight(case: Case) -> Candidates:
    if "W" in case.own and case.layer and case.layer.kind in ("linear", "conv", "deconv"):
        for cause, w in _weights(case):
            if w.shape == case.own["W"].shape:
                yield cause, evaluated(case, own={**case.own, "W": w})


def bias(case: Case) -> Candidates:
    if "b" not in case.own:
        return
    b = np.asarray(case.own["b"], np.float64)
    yield "the bias is missing", evaluated(case, own={**case.own, "b": 0 * b})
    yield "the bias is added twice", evaluated(case, own={**case.own, "b": 2 * b})
    yield "the bias is subtracted", evaluated(case, own={**case.own, "b": -b})
    yield "the biases are in reverse order", evaluated(case, own={**case.own, "b": b[::-1]})


def clipped(case: Case) -> Candidates:
    optimizer = case.system.optimizers.get(case.quantity.network)
    bounds = {0.01, 0.1} | ({optimizer.clip.bound} if optimizer and optimizer.clip else set())
    for bound in sorted(bounds) if case.own else ():
        own = {name: np.clip(np.asarray(a, np.float64), -bound, bound) for name, a in case.own.items()}
        yield (
            f"the weights are clipped to {number(bound)} before they are used, where they are not",
            evaluated(case, own=own),
        )


def gain(case: Case) -> Candidates:
    if case.layer is None or (g := case.layer.settings.get("gain")) is None:
        return
    written = f"the gain {number(g)} of the weight"
    yield f"{written} is missing", evaluated(case, gain=1.0)
    yield f"{written} is there twice", evaluated(case, gain=g * g)
    yield f"{written} divides, where it must multiply", evaluated(case, gain=1.0 / g)
    if "b" in case.own:
        yield (
            f"{written} is that of the bias, too",
            evaluated(case, own={**case.own, "b": g * np.asarray(case.own["b"])}),
        )


def spectral_norm(case: Case) -> Candidates:
    if case.layer is None or (own := case.layer.settings.get("spectral_norm")) is None:
        return
    w, steps = np.asarray(case.own["W"], np.float64), own["iterations"]
    plain = {key: value for key, value in case.layer.settings.items() if key != "spectral_norm"}
    unnormed = replace(case, layer=replace(case.layer, settings=plain))
    matrix = w.reshape(len(w), -1)
    yield "spectral norm is missing", evaluated(unnormed)
    for count in (steps + 1, 2 * steps, steps - 1, 15, 5, 10, 100):
        if count not in (0, steps):
            cause = f"spectral norm makes {count} power iterations, not {steps}"
            cause += f", or its vector has moved {count - steps} times too often" if count > steps else ""
            yield cause, evaluated(case, spectral_norm={**own, "iterations": count})
    for epsilon in EPSILONS:
        if epsilon != own["epsilon"]:
            cause = f"spectral norm's epsilon is {number(epsilon)}, not {number(own['epsilon'])}"
            yield cause, evaluated(case, spectral_norm={**own, "epsilon": epsilon})
    sigma = float(np.linalg.norm(matrix, 2))
    yield (
        "the weight is divided by its exact largest singular value, not by the estimate",
        evaluated(unnormed, own={**case.own, "W": w / sigma}),
    )
    yield (
        "the weight is divided by its Frobenius norm",
        evaluated(unnormed, own={**case.own, "W": w / np.linalg.norm(matrix)}),
    )
    u = np.asarray(case.statistics["u"], np.float64)
    yield "spectral norm's first vector is in reverse order", evaluated(case, statistics={"u": u[::-1]})


def padding(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "conv":
        return
    own = case.layer.settings["padding"]
    top, bottom, left, right = own
    written = f"where it must be {list(own)} at the top, bottom, left, right"
    for sides in {(bottom, top, right, left), (left, right, top, bottom), (max(own),) * 4, (min(own),) * 4}:
        if sides != own:
            yield f"padding {list(sides)}, {written}", evaluated(case, padding=sides)
    x, w, stride = np.asarray(case.inputs[0], np.float64), _used(case), case.layer.settings["stride"]
    # Windows that begin elsewhere: the image moved by some pixels, zeros around it.
    for down in range(-stride, stride + 1):
        for across in range(-stride, stride + 1):
            around = (top + down, bottom - down, left + across, right - across)
            if (down or across) and min(around) >= 0:
                yield f"padding {list(around)}, {written}", _with_bias(case, convolve(x, w, stride, around))
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    for mode, what in {
        "edge": "copies of the edge",
        "reflect": "a reflection",
        "symmetric": "a reflection with the edge",
        "wrap": "the other side",
    }.items():
        if any(own):
            padded = np.pad(x, sides, mode=mode)  # type: ignore[call-overload]
            yield (
                f"the padding is {what} of the image, where it must be zeros",
                _with_bias(case, convolve(padded, w, stride, (0,) * 4)),
            )


def crop(case: Case) -> Candidates:
    """Of a transposed convolution, which part of its full output is kept."""
    if case.layer is None or case.layer.kind != "deconv":
        return
    x, stride, cut = (
        np.asarray(case.inputs[0], np.float64),
        case.layer.settings["stride"],
        case.layer.settings["padding"],
    )
    full = transposed(x, _used(case), stride, 0)
    height, width = case.layer.shape[1:]
    for down in range(full.shape[2] - height + 1):
        for across in range(full.shape[3] - width + 1):
            if (down, across) != (cut, cut):
                part = full[:, :, down : down + height, across : across + width]
                yield (
                    f"{down} rows and {across} columns are cut off at the top and left, where it must be {cut} of each",
                    _with_bias(case, part),
                )


def products(case: Case) -> Candidates:
    if "W" in case.own and case.layer and case.layer.kind in ("linear", "conv", "deconv"):
        for name, bits in {"TF32": 10, "bfloat16": 7}.items():
            own = {**case.own, "W": mantissa(np.asarray(case.own["W"], np.float64), bits)}
            x = mantissa(np.asarray(case.inputs[0], np.float64), bits)
            yield (
                f"its products are computed in {name}, with {bits + 1} bits: switch that off to compare",
                evaluated(case, inputs=(x,), own=own),
            )


def embedding(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind not in ("embedding", "one_hot"):
        return
    label = np.asarray(case.inputs[0]).astype(int)
    count = len(case.own["W"]) if case.layer.kind == "embedding" else case.layer.shape[0]
    for by in (1, -1):
        yield f"the labels are counted from {by}, not from 0", evaluated(case, inputs=((label + by) % count,))
    yield "the labels are those of other samples: in reverse order", evaluated(case, inputs=(label[::-1],))
    if case.layer.kind == "one_hot":
        on, off = case.layer.settings["on"], case.layer.settings["off"]
        for values in ((1.0, 0.0), (1.0, -1.0), (off, on), (0.9, 0.1), (0.9, 0.0)):
            if values != (on, off):
                code = f"{number(values[0])} at the label and {number(values[1])} elsewhere"
                cause = f"the code is {code}, not {number(on)} and {number(off)}"
                yield cause, evaluated(case, on=values[0], off=values[1])


def _used(case: Case) -> np.ndarray:
    """Returns: the weight as the layer uses it, found by the reference: after spectral norm and gain."""
    assert case.layer is not None
    w, settings = np.asarray(case.own["W"], np.float64), case.layer.settings
    if "spectral_norm" not in settings:
        return w * float(settings.get("gain", 1.0))
    # The layer is linear in what is left of its weight, so a single number of it shows the factor.
    one = replace(case, layer=replace(case.layer, kind="linear", shape=(len(w),)), inputs=(np.eye(w[0].size),))
    rows = evaluated(one, own={"W": w.reshape(len(w), -1)})
    return rows.T.reshape(w.shape)


def _with_bias(case: Case, y: np.ndarray) -> np.ndarray:
    return y + np.asarray(case.own["b"]).reshape(1, -1, 1, 1) if "b" in case.own else y


RULES = (another_weight, bias, clipped, gain, spectral_norm, padding, crop, products, embedding)
