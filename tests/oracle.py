"""The third witness: losses, penalties, states and directional derivatives in plain NumPy float64.

It shares no automatic differentiation and no plan with the backends: it walks the formulas themselves, and differentiates with
hyper-dual numbers (Fike and Alonso 2011, AIAA 2011-886), exact to rounding in first and mixed second derivatives. The
gradient inside a penalty is taken one pixel at a time, so it is for small networks only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spec.architecture import Layer
from spec.formula import Binary, Call, Expression, Name, Negative, Number, Output
from spec.state import TrainingState
from spec.streams import Position, Streams
from spec.system import System


class Jet:
    """f + a e1 + b e2 + ab e1 e2 with e1^2 = e2^2 = 0; `a` and `b` carry two directional derivatives."""

    __array_ufunc__ = None  # let NumPy arrays on the left yield to our operators

    def __init__(self, f: Any, a: Any = 0.0, b: Any = 0.0, ab: Any = 0.0) -> None:
        f = np.asarray(f, dtype=np.float64)
        zero = np.zeros_like(f)
        self.f, self.a, self.b, self.ab = f, zero + a, zero + b, zero + ab

    def linear(self, function: Callable[[np.ndarray], np.ndarray]) -> Jet:
        return Jet(function(self.f), function(self.a), function(self.b), function(self.ab))

    def map(self, f: np.ndarray, f1: np.ndarray, f2: np.ndarray) -> Jet:
        """A function of each element, from its value, slope and curvature there."""
        return Jet(f, f1 * self.a, f1 * self.b, f1 * self.ab + f2 * self.a * self.b)

    def __add__(self, other: Any) -> Jet:
        o = jet(other)
        return Jet(self.f + o.f, self.a + o.a, self.b + o.b, self.ab + o.ab)

    def __sub__(self, other: Any) -> Jet:
        return self + jet(other) * -1.0

    def __mul__(self, other: Any) -> Jet:
        return bilinear(np.multiply, self, jet(other))

    def __truediv__(self, other: Any) -> Jet:
        o = jet(other)
        return self * o.map(1.0 / o.f, -1.0 / o.f**2, 2.0 / o.f**3)

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self) -> Jet:
        # At 0 the norm's derivative is defined to be 0.
        root = np.sqrt(self.f)
        safe = np.where(root > 0, root, 1.0)
        positive = root > 0
        return self.map(root, np.where(positive, 0.5 / safe, 0.0), np.where(positive, -0.25 / safe**3, 0.0))


def jet(value: Any) -> Jet:
    return value if isinstance(value, Jet) else Jet(value)


def bilinear(function: Callable[[np.ndarray, np.ndarray], np.ndarray], x: Jet, y: Jet) -> Jet:
    return Jet(
        function(x.f, y.f),
        function(x.a, y.f) + function(x.f, y.a),
        function(x.b, y.f) + function(x.f, y.b),
        function(x.ab, y.f) + function(x.a, y.b) + function(x.b, y.a) + function(x.f, y.ab),
    )


def convolve(x: np.ndarray, w: np.ndarray, stride: int, padding: tuple[int, ...]) -> np.ndarray:
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, w)


def transposed(x: np.ndarray, w: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Each input pixel paints its kernel onto the output."""
    n, _, height, width = x.shape
    kernel = w.shape[2]
    out = np.zeros((n, w.shape[1], (height - 1) * stride + kernel, (width - 1) * stride + kernel))
    for i in range(height):
        for j in range(width):
            painted = np.einsum("nc,coij->noij", x[:, :, i, j], w)
            out[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += painted
    return out[:, :, padding : out.shape[2] - padding, padding : out.shape[3] - padding]


@dataclass
class Oracle:
    """Values of one repeat of one step.

    Args:
        system: whose formulas.
        state: parameters, statistics and states before the repeat.
        seed: of the streams.
        at: the position of the repeat.
        data: "x" and "y".
        direction: added to parameters by name ("parameters/D/l1/W"), times e2.
    """

    system: System
    state: TrainingState
    seed: int
    at: Position
    data: Mapping[str, np.ndarray]
    direction: Mapping[str, np.ndarray] = field(default_factory=dict)
    evaluations: dict[str, list[bytes]] = field(default_factory=dict)

    def value(self, tree: Expression, bound: Mapping[str, Jet] | None = None) -> Jet:
        """Returns: the value of a formula, with its derivatives."""
        bound = bound or {}
        match tree:
            case Number(value):
                return Jet(value)
            case Name(name):
                return self._name(name, bound)
            case Negative(operand):
                return self.value(operand, bound) * -1.0
            case Binary("^", left, Number(exponent)):
                x = self.value(left, bound)
                e = exponent
                return x.map(x.f**e, e * x.f ** (e - 1), e * (e - 1) * x.f ** (e - 2))
            case Binary(operator, left, right):
                x, y = aligned(self.value(left, bound), self.value(right, bound))
                return {"+": x.__add__, "-": x.__sub__, "*": x.__mul__, "/": x.__truediv__}[operator](y)
            case Call("grad", (of, Name(name))):
                return self._gradient(of, name, bound)
            case Call(function, arguments):
                return self._call(function, [self.value(a, bound) for a in arguments], bound)
            case Output(Call(function, arguments), name):
                return self._network(function, [self.value(a, bound) for a in arguments])[name]
        raise NotImplementedError(tree)

    def _name(self, name: str, bound: Mapping[str, Jet]) -> Jet:
        loss = self.system.loss
        if name in bound:
            return bound[name]
        if name in loss.definitions:
            return self.value(loss.definitions[name].formula.tree, bound)
        if name in loss.constants:
            return Jet(loss.constants[name])
        if name in self.data:
            return Jet(self.data[name])
        if name in loss.states:
            return Jet(self.state.arrays[f"states/{name}"])
        if name in loss.reports:
            return self.value(loss.reports[name].value.tree, bound)
        schedule = self.system.schedule
        step = 0 if schedule.noise == "iteration" else self.at.step
        where = Position(self.at.iteration, step, self.at.repeat if schedule.noise == "repeat" else 0)
        shape = (self.system.run.batch, *self.system.symbols[name].shape)
        return Jet(Streams(self.seed).sample(self.system.draws[name].distribution, name, where, shape))

    def _call(self, function: str, arguments: list[Jet], bound: Mapping[str, Jet]) -> Jet:
        if function in self.system.networks:
            (output,) = self._network(function, arguments).values()
            return output
        if function in self.system.loss.definitions:
            definition = self.system.loss.definitions[function]
            inner = {**bound, **dict(zip(definition.parameters, arguments, strict=True))}
            return self.value(definition.formula.tree, inner)
        x, *rest = arguments
        f = x.f
        one, zero = np.ones_like(f), np.zeros_like(f)
        match function:
            case "mean":
                return x.linear(np.mean)
            case "sum":
                return x.linear(np.sum)
            case "norm":
                return (x * x).linear(lambda v: v.reshape(len(v), -1).sum(axis=1)).sqrt()
            case "detach":
                return Jet(f)
            case "abs":
                return x.map(abs(f), np.sign(f), zero)
            case "clip":
                low, high = rest[0].f, rest[1].f
                inside = (f >= low) & (f <= high)
                return x.map(np.clip(f, low, high), one * inside, zero)
            case "sqrt":
                return x.sqrt()
            case "exp":
                return x.map(np.exp(f), np.exp(f), np.exp(f))
            case "log":
                return x.map(np.log(f), 1 / f, -1 / f**2)
            case "tanh":
                t = np.tanh(f)
                return x.map(t, 1 - t**2, -2 * t * (1 - t**2))
            case "relu":
                return x.map(f * (f > 0), one * (f > 0), zero)
            case "sigmoid" | "softplus":
                s = 1 / (1 + np.exp(-f))
                if function == "sigmoid":
                    return x.map(s, s * (1 - s), s * (1 - s) * (1 - 2 * s))
                return x.map(np.logaddexp(f, 0.0), s, s * (1 - s))
        raise NotImplementedError(function)

    def _gradient(self, of: Expression, name: str, bound: Mapping[str, Jet]) -> Jet:
        base = self._name(name, bound)
        first, mixed = np.zeros_like(base.f), np.zeros_like(base.f)
        for place in np.ndindex(base.f.shape):
            unit = np.zeros_like(base.f)
            unit[place] = 1.0
            out = self.value(of, {**bound, name: Jet(base.f, unit, base.b)})
            first[place], mixed[place] = out.a.sum(), out.ab.sum()
        return Jet(first, 0.0, mixed)

    def _network(self, name: str, inputs: list[Jet]) -> dict[str, Jet]:
        network = self.system.networks[name]
        training = name not in self.system.schedule.steps[self.at.step].inference
        # The masks of the k-th distinct evaluation of a network in a step are those of occurrence k.
        key = b"".join(x.f.tobytes() for x in inputs)
        seen = self.evaluations.setdefault(name, [])
        if key not in seen:
            seen.append(key)
        at = Position(self.at.iteration, self.at.step, self.at.repeat, seen.index(key))
        values = dict(zip(network.inputs, inputs, strict=True))
        for layer in network.layers:
            values[layer.name] = self._layer(name, layer, [values[i] for i in layer.inputs], training, at)
        return {output: values[layer] for output, layer in network.outputs.items()}

    def _own(self, network: str, layer: Layer, name: str) -> Jet:
        path = f"parameters/{network}/{layer.name}/{name}"
        return Jet(self.state.arrays[path], 0.0, self.direction.get(path, 0.0))

    def _layer(self, network: str, layer: Layer, inputs: list[Jet], training: bool, at: Position) -> Jet:
        x, settings = inputs[0], layer.settings
        own = {p.name: self._own(network, layer, p.name) for p in layer.parameters}
        n = len(x.f)
        match layer.kind:
            case "linear":
                y = bilinear(lambda v, w: v @ w.T, x, own["W"])
                return y + own["b"] if "b" in own else y
            case "conv":
                y = bilinear(lambda v, w: convolve(v, w, settings["stride"], settings["padding"]), x, own["W"])
                return y + own["b"].linear(lambda b: b[:, None, None]) if "b" in own else y
            case "deconv":
                y = bilinear(lambda v, w: transposed(v, w, settings["stride"], settings["padding"]), x, own["W"])
                return y + own["b"].linear(lambda b: b[:, None, None]) if "b" in own else y
            case "batch_norm":
                return self._batch_norm(network, layer, x, own, training)
            case "leaky_relu":
                slope = np.where(x.f >= 0, 1.0, settings["slope"])
                return x.map(slope * x.f, slope, 0 * x.f)
            case "relu":
                return x.map(x.f * (x.f > 0), 1.0 * (x.f > 0), 0 * x.f)
            case "elu":
                alpha, e = settings["alpha"], np.exp(np.minimum(x.f, 0.0))
                positive = x.f > 0
                below = np.where(positive, 0.0, alpha * e)
                return x.map(np.where(positive, x.f, alpha * (e - 1)), np.where(positive, 1.0, below), below)
            case "tanh":
                return self._call("tanh", [x], {})
            case "sigmoid":
                return self._call("sigmoid", [x], {})
            case "dropout":
                if not training:
                    return x
                rate = settings["rate"]
                kept = Streams(self.seed).mask(rate, f"mask/{network}/{layer.name}", at, x.f.shape)
                return x * (kept / (1.0 - rate))
            case "reshape" | "flatten":
                return x.linear(lambda v: v.reshape(n, *layer.shape))
            case "upsample":
                k = settings["factor"]
                return x.linear(lambda v: v.repeat(k, axis=2).repeat(k, axis=3))
            case "concat":
                parts = [[getattr(i, c) for i in inputs] for c in ("f", "a", "b", "ab")]
                return Jet(*(np.concatenate(part, axis=1) for part in parts))
            case "add":
                return sum(inputs[1:], x)
            case "embedding":
                return own["W"].linear(lambda w: w[x.f.astype(int)])
        raise NotImplementedError(layer.kind)

    def _batch_norm(self, network: str, layer: Layer, x: Jet, own: Mapping[str, Jet], training: bool) -> Jet:
        axes = (0, *range(2, x.f.ndim))
        wide = (1, -1, *(1,) * (x.f.ndim - 2))
        if training:
            mean = x.linear(lambda v: v.mean(axis=axes, keepdims=True))
            centred = x - mean
            variance = (centred * centred).linear(lambda v: v.mean(axis=axes, keepdims=True))
        else:
            arrays = self.state.of(f"statistics/{network}/{layer.name}")
            centred = x - arrays["mean"].reshape(wide)
            variance = Jet(arrays["variance"].reshape(wide))
        y = centred / (variance + layer.settings["epsilon"]).sqrt()
        if "gamma" in own:
            y = y * own["gamma"].linear(lambda g: g.reshape(wide))
        return y + own["beta"].linear(lambda g: g.reshape(wide)) if "beta" in own else y


def aligned(x: Jet, y: Jet) -> tuple[Jet, Jet]:
    """Broadcasting from the left: the operand with fewer axes gets more on its right."""
    rank = max(x.f.ndim, y.f.ndim)

    def widen(j: Jet) -> Jet:
        return j.linear(lambda v: v.reshape(*v.shape, *(1,) * (rank - v.ndim)) if v.ndim else v)

    return widen(x), widen(y)


def unit_direction(state: TrainingState, network: str, seed: int) -> dict[str, np.ndarray]:
    """Returns: a random direction in a network's parameter space, of length 1."""
    generator = np.random.default_rng(seed)
    prefix = f"parameters/{network}/"
    found = {n: generator.standard_normal(a.shape) for n, a in state.arrays.items() if n.startswith(prefix)}
    length = math.sqrt(sum(float((a**2).sum()) for a in found.values()))
    return {n: a / length for n, a in found.items()}
