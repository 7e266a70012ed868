"""What each function of Chainer is as a layer of an architecture."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.links as L
import numpy as np

from ganspec.tools.conformance.chainer_arrays import replaced

_TYPES = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Absolute": "abs",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
}
_NORMALS = {"LeCunNormal": (1, "fan_in"), "HeNormal": (2, "fan_in"), "GlorotNormal": (2, "(fan_in + fan_out)")}
_UNIFORMS = {"LeCunUniform": (3, "fan_in"), "HeUniform": (6, "fan_in"), "GlorotUniform": (6, "(fan_in + fan_out)")}


class CannotLift(Exception):
    """The language of architectures has no form for something; the message says for what."""


@dataclass
class LiftedLayer:
    """A layer of an architecture.

    Args:
        kind: its kind.
        name: its name.
        inputs: names of what it reads.
        keys: its other keys.
        arrays: parameters and statistics by the spec's names.
    """

    kind: str
    name: str
    inputs: list[str]
    keys: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict)


class Lifting:
    """The functions of one call, as layers.

    Args:
        link: his model.
        inputs: what it is called with, by name.
    """

    def __init__(self, link: chainer.Link, inputs: Mapping[str, np.ndarray]) -> None:
        self.link, self.batch = link, len(next(iter(inputs.values())))
        self.given = {n: chainer.Variable(v) if v.dtype.kind == "f" else v.astype(np.int32) for n, v in inputs.items()}
        self.layers: list[LiftedLayer] = []
        self.labels: dict[str, int] = {}
        self._names: dict[int, str] = {id(v): n for n, v in self.given.items()}
        self._shapes: dict[str, tuple[int, ...]] = {n: v.shape[1:] for n, v in self.given.items()}
        self._kept: list[Any] = []
        self._owners = {id(p): (path.strip("/"), p) for path, p in link.namedparams()}
        self._norms = {
            id(c.avg_mean): (path.strip("/"), c) for path, c in link.namedlinks() if isinstance(c, L.BatchNormalization)
        }
        self._used: set[int] = set()

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Take down each function that runs."""
        original = chainer.FunctionNode.apply

        def apply(function: Any, inputs: Any) -> Any:
            outputs = original(function, inputs)
            self._kept += [inputs, outputs]
            self._take(function, inputs, outputs)
            return outputs

        with replaced(chainer.FunctionNode, "apply", apply):
            yield

    def _take(self, function: Any, inputs: Any, outputs: Any) -> None:
        kind = type(function).__name__
        rule = getattr(self, f"_{kind.lower()}", None)  # "_relu" of ReLU
        sources = [self._names.get(id(v)) for v in inputs]
        if kind in _TYPES:
            layer = LiftedLayer(_TYPES[kind], "", [self.source(inputs[0], kind)], {})
        elif rule is None:
            if all(s is None for s in sources):
                return  # of constants or parameters alone; whoever reads it says so
            raise CannotLift(f"there is no kind of layer for {kind}")
        else:
            layer = rule(function, inputs, outputs[0])
        if layer is None:
            return
        layer.name = self._free(layer.name or layer.kind)
        self.layers.append(layer)
        self._names[id(outputs[0])] = layer.name
        self._shapes[layer.name] = outputs[0].shape[1:]

    def _free(self, name: str) -> str:
        name = re.sub(r"\W", "_", name) or "layer"
        taken = {layer.name for layer in self.layers} | set(self.given)
        if name not in taken:
            return name
        return next(f"{name}_{i}" for i in range(2, 10**6) if f"{name}_{i}" not in taken)

    def source(self, value: Any, what: str) -> str:
        """Returns: the name of the layer or input that a value comes from."""
        name = self._names.get(id(value))
        if name is None:
            raise CannotLift(f"{what} reads something that comes from no layer and no input")
        return name

    def _parameter(self, value: Any, what: str) -> tuple[str, Any]:
        """Returns: the path of a parameter and the parameter."""
        found = self._owners.get(id(value))
        if found is None:
            raise CannotLift(f"{what} uses a weight that is computed")
        if id(value) in self._used:
            raise CannotLift(f"{found[0]} is used twice, and layers of an architecture share nothing")
        self._used.add(id(value))
        return found

    def _weighted(self, kind: str, inputs: Any, keys: dict[str, Any], swapped: bool = False) -> LiftedLayer:
        path, weight = self._parameter(inputs[1], kind)
        layer = LiftedLayer(kind, path.rpartition("/")[0], [self.source(inputs[0], kind)], keys, {"W": weight})
        keys["weight"] = _initial(weight, swapped)
        if kind != "embedding":
            keys["bias"] = "none"
        if len(inputs) > 2 and inputs[2] is not None:
            layer.arrays["b"] = self._parameter(inputs[2], kind)[1]
            keys["bias"] = _initial(layer.arrays["b"])
        return layer

    def _linearfunction(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._weighted("linear", inputs, {"units": y.shape[1]})

    def _convolution2dfunction(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.cover_all:
            raise CannotLift("there is no key for cover_all of a convolution")
        keys = {
            "channels": y.shape[1],
            "kernel": _one(inputs[1].shape[2:]),
            "stride": _one((f.sy, f.sx)),
            "padding": _four(f.ph, f.pw),
        }
        if (f.dy, f.dx) != (1, 1):
            keys["dilation"] = _one((f.dy, f.dx))
        if f.groups != 1:
            keys["groups"] = f.groups
        return self._weighted("conv", inputs, keys)

    def _deconvolution2dfunction(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if (f.dy, f.dx) != (1, 1) or f.groups != 1:
            raise CannotLift("there is no key for dilation or groups of a transposed convolution")
        keys = {
            "channels": y.shape[1],
            "kernel": _one(inputs[1].shape[2:]),
            "stride": _one((f.sy, f.sx)),
            "padding": _one((f.ph, f.pw)),
        }
        return self._weighted("deconv", inputs, keys, swapped=True)

    def _embedidfunction(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.ignore_label is not None:
            raise CannotLift("there is no key for ignore_label of an embedding")
        for name, value in self.given.items():
            if inputs[0] is value or getattr(inputs[0], "array", None) is value:
                self.labels[name] = inputs[1].shape[0]
                self._names[id(inputs[0])] = name
        return self._weighted("embedding", inputs, {"units": y.shape[1]})

    def _batchnormalization(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        path, link = self._norms.get(id(f.running_mean), ("", None))
        if link is None or id(link) in self._used:
            raise CannotLift("a batch normalization is used twice, or belongs to no link")
        self._used.add(id(link))
        keys = {"epsilon": float(f.eps), "momentum": round(1 - f.decay, 12)}
        arrays: dict[str, Any] = {"mean": link.avg_mean, "variance": link.avg_var}
        for name, given in (("gamma", inputs[1]), ("beta", inputs[2])):
            own = getattr(link, name, None)
            keys[name] = "none" if own is None else _initial(own)
            if own is not None:
                arrays[name] = self._parameter(given, "batch normalization")[1]
        return LiftedLayer("batch_norm", path, [self.source(inputs[0], "batch normalization")], keys, arrays)

    def _layernormalization(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        path, gamma = self._parameter(inputs[1], "layer normalization")
        beta = self._parameter(inputs[2], "layer normalization")[1]
        keys = {"epsilon": float(f.eps), "gamma": _initial(gamma), "beta": _initial(beta)}
        return LiftedLayer(
            "layer_norm",
            path.rpartition("/")[0],
            [self.source(inputs[0], "layer normalization")],
            keys,
            {"gamma": gamma, "beta": beta},
        )

    def _groupnormalization(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        path, gamma = self._parameter(inputs[1], "group normalization")
        beta = self._parameter(inputs[2], "group normalization")[1]
        keys = {"groups": f.groups, "epsilon": float(f.eps), "gamma": _initial(gamma), "beta": _initial(beta)}
        return LiftedLayer(
            "group_norm",
            path.rpartition("/")[0],
            [self.source(inputs[0], "group normalization")],
            keys,
            {"gamma": gamma, "beta": beta},
        )

    def _plain(self, kind: str, inputs: Any, **keys: Any) -> LiftedLayer:
        return LiftedLayer(kind, "", [self.source(v, kind) for v in inputs], keys)

    def _leakyrelu(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("leaky_relu", inputs, slope=float(f.slope))

    def _elu(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("elu", inputs, alpha=float(f.alpha))

    def _softplus(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.beta != 1:
            raise CannotLift("there is no key for beta of softplus")
        return self._plain("softplus", inputs)

    def _softmax(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.axis % y.ndim != 1:
            raise CannotLift("softmax is over the channels")
        return self._plain("softmax", inputs)

    def _hardsigmoid(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("hard_sigmoid", inputs, slope=0.2)

    def _clippedrelu(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("clip", inputs, low=0.0, high=float(f.cap))

    def _clip(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("clip", inputs, low=float(f.x_min), high=float(f.x_max))

    def _dropout(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("dropout", inputs, rate=float(f.dropout_ratio))

    def _localresponsenormalization(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._plain("local_response_norm", inputs, n=f.n, k=float(f.k), alpha=float(f.alpha), beta=float(f.beta))

    def _normalizel2(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.axis != (1,):
            raise CannotLift("normalize is over the channels")
        return self._plain("normalize", inputs, epsilon=float(f.eps))

    def _reshape(self, f: Any, inputs: Any, y: Any) -> LiftedLayer | None:
        if id(inputs[0]) not in self._names:
            return None
        if y.shape[0] != self.batch:
            raise CannotLift("a shape that mixes the batch with other axes")
        if inputs[0].shape == y.shape:
            self._names[id(y)] = self._names[id(inputs[0])]
            return None
        return (
            self._plain("flatten", inputs) if y.ndim == 2 else self._plain("reshape", inputs, shape=list(y.shape[1:]))
        )

    _expanddims = _squeeze = _reshape

    def _transpose(self, f: Any, inputs: Any, y: Any) -> LiftedLayer | None:
        if id(inputs[0]) not in self._names:
            return None
        axes = f.axes or tuple(reversed(range(y.ndim)))
        if axes[0] != 0:
            raise CannotLift("an order of axes that moves the batch")
        return self._plain("transpose", inputs, axes=[a - 1 for a in axes[1:]])

    def _concat(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.axis % y.ndim != 1 or len(inputs) > 16:
            raise CannotLift("concat joins 2 to 16 inputs along the channels")
        return self._plain("concat", inputs)

    def _joined(self, kind: str, inputs: Any, y: Any) -> LiftedLayer:
        if any(v.shape != y.shape for v in inputs):
            raise CannotLift(f"{kind} of different shapes")
        return self._plain(kind, inputs)

    def _add(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._joined("add", inputs, y)

    _multiadd = _add

    def _sub(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._joined("subtract", inputs, y)

    def _mul(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._joined("multiply", inputs, y)

    def _mulconstant(self, f: Any, inputs: Any, y: Any) -> LiftedLayer | None:
        if id(inputs[0]) not in self._names:
            return None
        if np.ndim(f.value):
            raise CannotLift("a product with an array that is no layer's")
        return self._plain("scale", inputs, factor=float(f.value))

    def _neg(self, f: Any, inputs: Any, y: Any) -> LiftedLayer | None:
        return self._plain("scale", inputs, factor=-1.0) if id(inputs[0]) in self._names else None

    def _maxpoolingnd(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        if f.ndim != 2:
            raise CannotLift("pooling is over the two axes of an image")
        keys = {"kernel": _square(f.ksize), "stride": _square(f.stride)}
        if any(f.pad):
            keys["padding"] = _square(f.pad)
        if f.cover_all:
            keys["cover_all"] = True
        return self._plain("max_pool", inputs, **keys)

    def _averagepooling2d(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        keys = {"kernel": _square((f.kh, f.kw)), "stride": _square((f.sy, f.sx))}
        if f.ph or f.pw:
            keys["padding"] = _square((f.ph, f.pw))
        return self._plain("avg_pool", inputs, **keys)

    def _unpooling2d(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        factor = _square((f.kh, f.kw))
        if (f.sy, f.sx, f.ph, f.pw) != (factor, factor, 0, 0) or y.shape[2:] != tuple(
            s * factor for s in inputs[0].shape[2:]
        ):
            raise CannotLift("an unpooling whose windows overlap or are cut")
        return self._plain("upsample", inputs, factor=factor)

    def _sum(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._reduced("sum", f, inputs)

    def _mean(self, f: Any, inputs: Any, y: Any) -> LiftedLayer:
        return self._reduced("mean", f, inputs)

    def _reduced(self, kind: str, f: Any, inputs: Any) -> LiftedLayer:
        axes = tuple(a % inputs[0].ndim for a in f.axis) if f.axis is not None else (0,)
        if 0 in axes or f.keepdims:
            raise CannotLift(f"a {kind} over the batch, or one that keeps its axes")
        return self._plain(kind, inputs, axes=[a - 1 for a in axes])


def _one(pair: tuple[int, ...]) -> Any:
    return int(pair[0]) if pair[0] == pair[1] else [int(p) for p in pair]


def _four(ph: int, pw: int) -> Any:
    return int(ph) if ph == pw else [int(ph), int(ph), int(pw), int(pw)]


def _square(pair: Any) -> int:
    if len(set(pair)) > 1:
        raise CannotLift("a window of pooling that is not square")
    return int(pair[0])


def _initial(parameter: Any, swapped: bool = False) -> Any:
    """Returns: the distribution of a parameter's initial values, in the language of specs."""
    initializer = parameter.initializer
    name = type(initializer).__name__
    if name in ("Constant", "Zero", "One", "NaN") or isinstance(initializer, int | float):
        value = getattr(initializer, "fill_value", initializer)
        return float(value)
    fans = {"fan_in": "fan_out", "fan_out": "fan_in"} if swapped else {}
    if name in ("Normal", "Uniform"):
        scale = float(initializer.scale)
        return f"normal(0, {scale!r})" if name == "Normal" else f"uniform({-scale!r}, {scale!r})"
    for table, form in ((_NORMALS, "normal(0, {0})"), (_UNIFORMS, "uniform(-{0}, {0})")):
        if name in table:
            number, fan = table[name]
            fan = re.sub(r"fan_in|fan_out", lambda m: fans.get(m[0], m[0]), fan)
            scale = "" if initializer.scale == 1 else f"{float(initializer.scale)!r} * "
            return form.format(f"{scale}sqrt({number} / {fan})")
    raise CannotLift(f"initial values from {name or 'an array'}")
