"""The architecture as a file of the spec, lifted from the functions that ran, where the kinds of layer allow it.

A network that is lifted is evaluated by ganspec with his numbers, and compared with his own; only then is the file written. So the
model can be trained by `ganspec train` and checked by `ganspec crosscheck` as every other network is.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.links as L
import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.network.reader import read_architecture
from ganspec.spec.text.errors import Problems, SpecError
from ganspec.spec.text.files import Library

BOUND = 1e-12  # of the relative difference between his outputs and the network's, in float64
_TYPES = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Absolute": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt"}
_NORMALS = {"LeCunNormal": (1, "fan_in"), "HeNormal": (2, "fan_in"), "GlorotNormal": (2, "(fan_in + fan_out)")}
_UNIFORMS = {"LeCunUniform": (3, "fan_in"), "HeUniform": (6, "fan_in"), "GlorotUniform": (6, "(fan_in + fan_out)")}


class CannotLift(Exception):
    """The language of architectures has no form for something; the message says for what."""


@dataclass(frozen=True)
class Lifted:
    """An architecture that was lifted.

    Args:
        text: its TOML.
        error: the largest relative difference between his outputs and the network's.
    """

    text: str
    error: float


def lift(link: chainer.Link, call: Any, inputs: Mapping[str, np.ndarray], title: str, source: str) -> Lifted:
    """Write his model as an architecture file.

    Args:
        link: an instance of his class, in float64.
        call: function of the link, inputs (variables or labels) and whether it trains, that calls it.
        inputs: arrays by name, of one batch, in float64 or whole numbers.
        title: the file's title.
        source: the file's source.

    Raises:
        CannotLift: there is no form for something in it.
    """
    lifting = _Lifting(link, inputs)
    with lifting.recording():
        returned = call(link, lifting.given, True)
    text = lifting.text(returned, title, source)
    return Lifted(text, _compared(text, lifting, link, call, inputs))


@dataclass
class _Layer:
    kind: str
    name: str
    inputs: list[str]
    keys: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict)  # parameters and statistics by the spec's names


class _Lifting:
    """The functions of one call, as layers."""

    def __init__(self, link: chainer.Link, inputs: Mapping[str, np.ndarray]) -> None:
        self.link, self.batch = link, len(next(iter(inputs.values())))
        self.given = {n: chainer.Variable(v) if v.dtype.kind == "f" else v.astype(np.int32) for n, v in inputs.items()}
        self.layers: list[_Layer] = []
        self.labels: dict[str, int] = {}
        self._names: dict[int, str] = {id(v): n for n, v in self.given.items()}
        self._shapes: dict[str, tuple[int, ...]] = {n: v.shape[1:] for n, v in self.given.items()}
        self._kept: list[Any] = []
        self._owners = {id(p): (path.strip("/"), p) for path, p in link.namedparams()}
        self._norms = {id(c.avg_mean): (path.strip("/"), c) for path, c in link.namedlinks() if isinstance(c, L.BatchNormalization)}
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

        chainer.FunctionNode.apply = apply
        try:
            yield
        finally:
            chainer.FunctionNode.apply = original

    def _take(self, function: Any, inputs: Any, outputs: Any) -> None:
        kind = type(function).__name__
        rule = getattr(self, f"_{kind.lower()}", None)  # "_relu" of ReLU
        sources = [self._names.get(id(v)) for v in inputs]
        if kind in _TYPES:
            layer = _Layer(_TYPES[kind], "", [self._source(inputs[0], kind)], {})
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

    def _source(self, value: Any, what: str) -> str:
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

    def _weighted(self, kind: str, inputs: Any, keys: dict[str, Any], swapped: bool = False) -> _Layer:
        path, weight = self._parameter(inputs[1], kind)
        layer = _Layer(kind, path.rpartition("/")[0], [self._source(inputs[0], kind)], keys, {"W": weight})
        keys["weight"] = _initial(weight, swapped)
        keys["bias"] = "none"
        if len(inputs) > 2 and inputs[2] is not None:
            layer.arrays["b"] = self._parameter(inputs[2], kind)[1]
            keys["bias"] = _initial(layer.arrays["b"])
        return layer

    def _linearfunction(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._weighted("linear", inputs, {"units": y.shape[1]})

    def _convolution2dfunction(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.cover_all:
            raise CannotLift("there is no key for cover_all of a convolution")
        keys = {"channels": y.shape[1], "kernel": _one(inputs[1].shape[2:]), "stride": _one((f.sy, f.sx)), "padding": _four(f.ph, f.pw)}
        if (f.dy, f.dx) != (1, 1):
            keys["dilation"] = _one((f.dy, f.dx))
        if f.groups != 1:
            keys["groups"] = f.groups
        return self._weighted("conv", inputs, keys)

    def _deconvolution2dfunction(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if (f.dy, f.dx) != (1, 1) or f.groups != 1:
            raise CannotLift("there is no key for dilation or groups of a transposed convolution")
        keys = {"channels": y.shape[1], "kernel": _one(inputs[1].shape[2:]), "stride": _one((f.sy, f.sx)), "padding": _one((f.ph, f.pw))}
        return self._weighted("deconv", inputs, keys, swapped=True)

    def _embedidfunction(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.ignore_label is not None:
            raise CannotLift("there is no key for ignore_label of an embedding")
        for name, value in self.given.items():
            if inputs[0] is value or getattr(inputs[0], "array", None) is value:
                self.labels[name] = inputs[1].shape[0]
                self._names[id(inputs[0])] = name
        return self._weighted("embedding", inputs, {"units": y.shape[1]})

    def _batchnormalization(self, f: Any, inputs: Any, y: Any) -> _Layer:
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
        return _Layer("batch_norm", path, [self._source(inputs[0], "batch normalization")], keys, arrays)

    def _layernormalization(self, f: Any, inputs: Any, y: Any) -> _Layer:
        path, gamma = self._parameter(inputs[1], "layer normalization")
        beta = self._parameter(inputs[2], "layer normalization")[1]
        keys = {"epsilon": float(f.eps), "gamma": _initial(gamma), "beta": _initial(beta)}
        return _Layer("layer_norm", path.rpartition("/")[0], [self._source(inputs[0], "layer normalization")], keys, {"gamma": gamma, "beta": beta})

    def _groupnormalization(self, f: Any, inputs: Any, y: Any) -> _Layer:
        path, gamma = self._parameter(inputs[1], "group normalization")
        beta = self._parameter(inputs[2], "group normalization")[1]
        keys = {"groups": f.groups, "epsilon": float(f.eps), "gamma": _initial(gamma), "beta": _initial(beta)}
        return _Layer("group_norm", path.rpartition("/")[0], [self._source(inputs[0], "group normalization")], keys, {"gamma": gamma, "beta": beta})

    def _plain(self, kind: str, inputs: Any, **keys: Any) -> _Layer:
        return _Layer(kind, "", [self._source(v, kind) for v in inputs], keys)

    def _leakyrelu(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("leaky_relu", inputs, slope=float(f.slope))

    def _elu(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("elu", inputs, alpha=float(f.alpha))

    def _softplus(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.beta != 1:
            raise CannotLift("there is no key for beta of softplus")
        return self._plain("softplus", inputs)

    def _softmax(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.axis % y.ndim != 1:
            raise CannotLift("softmax is over the channels")
        return self._plain("softmax", inputs)

    def _hardsigmoid(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("hard_sigmoid", inputs, slope=0.2)

    def _clippedrelu(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("clip", inputs, low=0.0, high=float(f.cap))

    def _clip(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("clip", inputs, low=float(f.x_min), high=float(f.x_max))

    def _dropout(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("dropout", inputs, rate=float(f.dropout_ratio))

    def _localresponsenormalization(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._plain("local_response_norm", inputs, n=f.n, k=float(f.k), alpha=float(f.alpha), beta=float(f.beta))

    def _normalizel2(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.axis != (1,):
            raise CannotLift("normalize is over the channels")
        return self._plain("normalize", inputs, epsilon=float(f.eps))

    def _reshape(self, f: Any, inputs: Any, y: Any) -> _Layer | None:
        if id(inputs[0]) not in self._names:
            return None
        if y.shape[0] != self.batch:
            raise CannotLift("a shape that mixes the batch with other axes")
        if inputs[0].shape == y.shape:
            self._names[id(y)] = self._names[id(inputs[0])]
            return None
        return self._plain("flatten", inputs) if y.ndim == 2 else self._plain("reshape", inputs, shape=list(y.shape[1:]))

    _expanddims = _squeeze = _reshape

    def _transpose(self, f: Any, inputs: Any, y: Any) -> _Layer | None:
        if id(inputs[0]) not in self._names:
            return None
        axes = f.axes or tuple(reversed(range(y.ndim)))
        if axes[0] != 0:
            raise CannotLift("an order of axes that moves the batch")
        return self._plain("transpose", inputs, axes=[a - 1 for a in axes[1:]])

    def _concat(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.axis % y.ndim != 1 or len(inputs) > 16:
            raise CannotLift("concat joins 2 to 16 inputs along the channels")
        return self._plain("concat", inputs)

    def _joined(self, kind: str, inputs: Any, y: Any) -> _Layer:
        if any(v.shape != y.shape for v in inputs):
            raise CannotLift(f"{kind} of different shapes")
        return self._plain(kind, inputs)

    def _add(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._joined("add", inputs, y)

    _multiadd = _add

    def _sub(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._joined("subtract", inputs, y)

    def _mul(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._joined("multiply", inputs, y)

    def _mulconstant(self, f: Any, inputs: Any, y: Any) -> _Layer | None:
        if id(inputs[0]) not in self._names:
            return None
        if np.ndim(f.value):
            raise CannotLift("a product with an array that is no layer's")
        return self._plain("scale", inputs, factor=float(f.value))

    def _neg(self, f: Any, inputs: Any, y: Any) -> _Layer | None:
        return self._plain("scale", inputs, factor=-1.0) if id(inputs[0]) in self._names else None

    def _maxpoolingnd(self, f: Any, inputs: Any, y: Any) -> _Layer:
        if f.ndim != 2:
            raise CannotLift("pooling is over the two axes of an image")
        keys = {"kernel": _square(f.ksize), "stride": _square(f.stride)}
        if any(f.pad):
            keys["padding"] = _square(f.pad)
        if f.cover_all:
            keys["cover_all"] = True
        return self._plain("max_pool", inputs, **keys)

    def _averagepooling2d(self, f: Any, inputs: Any, y: Any) -> _Layer:
        keys = {"kernel": _square((f.kh, f.kw)), "stride": _square((f.sy, f.sx))}
        if f.ph or f.pw:
            keys["padding"] = _square((f.ph, f.pw))
        return self._plain("avg_pool", inputs, **keys)

    def _unpooling2d(self, f: Any, inputs: Any, y: Any) -> _Layer:
        factor = _square((f.kh, f.kw))
        if (f.sy, f.sx, f.ph, f.pw) != (factor, factor, 0, 0) or y.shape[2:] != tuple(s * factor for s in inputs[0].shape[2:]):
            raise CannotLift("an unpooling whose windows overlap or are cut")
        return self._plain("upsample", inputs, factor=factor)

    def _sum(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._reduced("sum", f, inputs)

    def _mean(self, f: Any, inputs: Any, y: Any) -> _Layer:
        return self._reduced("mean", f, inputs)

    def _reduced(self, kind: str, f: Any, inputs: Any) -> _Layer:
        axes = tuple(a % inputs[0].ndim for a in f.axis) if f.axis is not None else (0,)
        if 0 in axes or f.keepdims:
            raise CannotLift(f"a {kind} over the batch, or one that keeps its axes")
        return self._plain(kind, inputs, axes=[a - 1 for a in axes])

    # The file.

    def text(self, returned: Any, title: str, source: str) -> str:
        """Write the file."""
        outputs = returned if isinstance(returned, tuple | list) else (returned,)
        if isinstance(returned, dict):
            outputs = tuple(returned.values())
        named = list(returned) if isinstance(returned, dict) else [f"out{i}" for i in range(len(outputs))]
        behind = [self._source(v, "the output") for v in outputs]
        if any(b in self.given for b in behind):
            raise CannotLift("an output that is an input")
        self._drop_unused(set(behind))
        lines = [f"title = {json.dumps(title)}", f"source = {json.dumps(source)}", "", "[inputs]"]
        for name, value in self.given.items():
            if value.dtype.kind == "f":
                lines.append(f"{name} = {list(value.shape[1:])}")
            elif name in self.labels and value.ndim == 1:
                lines.append(f"{name} = {{ labels = {self.labels[name]} }}")
            else:
                raise CannotLift(f"the input {name}, whole numbers that no embedding reads")
        lines += ["", "[network]", "layers = ["]
        before = next(iter(self.given)) if len(self.given) == 1 else ""
        for layer in self.layers:
            keys = {"kind": layer.kind, "name": layer.name}
            if layer.inputs != [before]:
                keys["from"] = layer.inputs[0] if len(layer.inputs) == 1 else layer.inputs
            lines.append("  { " + ", ".join(f"{k} = {_toml(v)}" for k, v in {**keys, **layer.keys}.items()) + " },")
            before = layer.name
        lines.append("]")
        if len(behind) > 1 or behind[0] != self.layers[-1].name:
            lines.append("outputs = { " + ", ".join(f"{n} = {json.dumps(b)}" for n, b in zip(named, behind, strict=True)) + " }")
        return "\n".join(lines) + "\n"

    def _drop_unused(self, used: set[str]) -> None:
        for layer in reversed(list(self.layers)):
            if layer.name in used:
                used |= set(layer.inputs)
            else:
                self.layers.remove(layer)


def _one(pair: tuple[int, ...]) -> Any:
    return int(pair[0]) if pair[0] == pair[1] else [int(p) for p in pair]


def _four(ph: int, pw: int) -> Any:
    return int(ph) if ph == pw else [int(ph), int(ph), int(pw), int(pw)]


def _square(pair: Any) -> int:
    if len(set(pair)) > 1:
        raise CannotLift("a window of pooling that is not square")
    return int(pair[0])


def _toml(value: Any) -> str:
    return repr(value) if isinstance(value, float) else json.dumps(value)


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


def _compared(text: str, lifting: _Lifting, link: chainer.Link, call: Any, inputs: Mapping[str, np.ndarray]) -> float:
    """Evaluate the file with his numbers, in ganspec. Returns: the largest relative difference of the outputs."""
    import torch

    from ganspec.impl_torch.network import Network

    architecture = _read(text)
    network = Network(architecture, "N", dtype="float64")
    state = {f"{layer.name}.{n}": torch.tensor(np.array(getattr(a, "array", a))) for layer in lifting.layers for n, a in layer.arrays.items()}
    network.load_state_dict(state)
    worst = 0.0
    dropped = any(layer.kind == "dropout" for layer in lifting.layers)
    for training in (False,) if dropped else (False, True):
        network.train(training)
        own = network(*(torch.tensor(v) for v in inputs.values()))
        his = call(link, lifting.given, training)
        ours = list(own.values()) if isinstance(own, dict) else [own]
        theirs = list(his.values()) if isinstance(his, dict) else list(his) if isinstance(his, tuple | list) else [his]
        for a, b in zip(ours, theirs, strict=True):
            found = np.asarray(b.array)
            size = max(float(np.abs(found).max(initial=0)), 1e-300)
            worst = max(worst, float(np.abs(a.detach().numpy() - found).max(initial=0)) / size)
    if not worst <= BOUND:
        raise CannotLift(f"the network that was lifted differs from his by {worst:.1e}")
    return worst


def _read(text: str) -> Architecture:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lifted.toml").write_text(text, encoding="utf-8")
        problems, library = Problems(), Library(Path(folder))
        try:
            architecture = read_architecture(library.find("architectures", "lifted.toml", "", ""), library, {}, problems)
            problems.stop_if_any()
        except SpecError as error:
            raise CannotLift(f"the language of architectures refuses it: {error}") from None
    return architecture
