"""Somebody's Chainer code under observation: its links, optimisers, functions and draws."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.conformance.chainer_arrays import (
    floating,
    persistent,
    place_of,
    put_persistent,
    replaced,
    switches,
    targets,
)
from ganspec.tools.conformance.chainer_watch import ArrivingGradients, Links
from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.conformance.mapping import Held, Match
from ganspec.tools.conformance.numpy_random import replaying
from ganspec.tools.conformance.observer import Observer

# What a function node computes, as a kind of layer.
_KINDS = {
    "LinearFunction": "linear", "Convolution2DFunction": "conv", "Deconvolution2DFunction": "deconv",
    "BatchNormalization": "batch_norm", "FixedBatchNormalization": "batch_norm", "EmbedIDFunction": "embedding",
    "LeakyReLU": "leaky_relu", "ReLU": "relu", "ELU": "elu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Dropout": "dropout",
    "MaxPooling2D": "max_pool", "AveragePooling2D": "avg_pool", "Unpooling2D": "upsample", "Concat": "concat",
}  # fmt: skip
# An update rule's arrays for a parameter, by the spec's name of the moment.
MOMENTS = {"AdamRule": {"m": "m", "v": "v"}, "RMSpropRule": {"v": "ms"}}


class ChainerSide:
    """Chainer links and optimisers.

    Args:
        modules: network's link by name.
        optimizers: network's optimiser by name; those that are not given are found when they update.
        dtype: "float32" or "float64", to which the links are turned while they are checked.
    """

    backend = "chainer"
    blind = False

    def __init__(self, modules: Mapping[str, Any], optimizers: Mapping[str, Any], dtype: str) -> None:
        self.modules, self.optimizers, self.dtype = dict(modules), dict(optimizers), np.dtype(dtype)
        self.matches: dict[str, dict[str, Match]] = {}
        self._optimizers: list[Any] = list({id(o): o for o in self.optimizers.values()}.values())
        self.notes: list[str] = []
        self._put_back: Callable[[], None] = lambda: None
        first = next(iter(self.modules.values()))
        self.device = first.device
        for name, link in self.modules.items():
            lazy = [path for path, p in link.namedparams() if p.array is None]
            if lazy:
                mend = f"give the layer its input size, or call {name} once"
                raise ConformanceError(f"{name}'s parameter {lazy[0].lstrip('/')} has no shape yet; {mend}")

    @property
    def device_name(self) -> str:
        """The device on which the networks are: "cpu" or "cuda"."""
        return "cuda" if isinstance(self.device, chainer.backend.GpuDevice) else "cpu"

    def held(self, network: str) -> list[Held]:
        """Returns: the arrays of a link, in the order in which it was built; Chainer itself lists them by name."""
        link = self.modules[network]
        parameters = [Held(path.lstrip("/"), tuple(p.shape), True) for path, p in link.namedparams()]
        statistics = [Held(path, tuple(np.shape(a)), False) for path, a in persistent(link).items() if np.ndim(a)]
        return sorted([*parameters, *statistics], key=lambda h: place_of(link, h.name))

    def check(self, matches: Mapping[str, Mapping[str, Match]]) -> None:
        """Take over which array is which.

        Raises:
            ConformanceError: an optimiser is not of its network's parameters.
        """
        self.matches = {network: dict(found) for network, found in matches.items()}
        self._parameters: dict[str, dict[str, Any]] = {}
        for network, found in self.matches.items():
            there = {path.lstrip("/"): p for path, p in self.modules[network].namedparams()}
            self._parameters[network] = {path: there[m.name] for path, m in found.items() if m.name in there}
        self._owners = {id(p): (n, path) for n, ps in self._parameters.items() for path, p in ps.items()}
        for network, optimizer in self.optimizers.items():
            if not isinstance(optimizer, chainer.Optimizer):
                raise ConformanceError(
                    f"optimizers: that of {network} is of the type {type(optimizer).__name__}, expected a chainer.Optimizer"
                )
            if getattr(optimizer, "target", None) is None:
                raise ConformanceError(f"optimizers: that of {network} is not set up; call optimizer.setup({network})")
            there_too = {id(p) for p in optimizer.target.params()}
            missing = [
                self.matches[network][path].name
                for path, p in self._parameters[network].items()
                if id(p) not in there_too
            ]
            if missing:
                also = sorted({self._owners[i][0] for i in there_too if i in self._owners} - {network})
                what = f"; it has parameters of {' and '.join(also)}" if also else ""
                names = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
                raise ConformanceError(f"optimizers: that of {network} does not have its parameters {names}{what}")

    def adopt(self, values: Iterable[Any]) -> None:
        """Take over the optimisers of these networks that are among some values, beside those that were given."""
        for value in values:
            new = isinstance(value, chainer.Optimizer) and value not in self._optimizers
            if new and any(id(p) in self._owners for p in targets(value)):
                self._optimizers.append(value)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """Turn links and optimisers into what is checked; afterwards they are as they were."""
        parameters = [(p, p.array.copy(), p.grad) for link in self.modules.values() for p in link.params()]
        kept = [(link, copy.deepcopy(persistent(link))) for link in self.modules.values()]
        rules = [
            (p.update_rule, copy.deepcopy(p.update_rule.state), p.update_rule.t)
            for p, _, _ in parameters
            if p.update_rule
        ]
        self._put_back = switches(self.modules.values())
        counts = [(o, o.t) for o in self._optimizers]
        norms = [
            (link, link._highprec_dtype) for m in self.modules.values() for link in m.links() if hasattr(link, "_highprec_dtype")
        ]  # fmt: skip
        try:
            with chainer.using_config("dtype", self.dtype):
                for p, _, _ in parameters:
                    p.cleargrad()
                    p.array = p.array.astype(self.dtype)
                for link, _ in kept:
                    put_persistent(
                        link, {n: a.astype(self.dtype) if floating(a) else a for n, a in persistent(link).items()}
                    )
                for link, _ in norms:
                    link._highprec_dtype = self.dtype
                yield
        finally:
            self._put_back()
            for p, array, grad in parameters:
                p.cleargrad()
                p.array = array
                if grad is not None:
                    p.grad = grad
            for link, values in kept:
                put_persistent(link, values)
            for link, dtype in norms:
                link._highprec_dtype = dtype
            for rule, state, t in rules:
                rule._state, rule.t = state, t
            for optimizer, t in counts:
                optimizer.t = t

    def start(self, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Give networks their first values, by network and path, and optimisers a fresh state."""
        self._put_back()
        for network, values in arrays.items():
            statistics = {}
            for path, match in self.matches[network].items():
                theirs = match.theirs(values[path]).astype(self.dtype)
                if path in self._parameters[network]:
                    parameter = self._parameters[network][path]
                    parameter.array[...] = self.device.xp.asarray(theirs)
                    parameter.cleargrad()
                    if parameter.update_rule is not None:
                        parameter.update_rule._state, parameter.update_rule.t = None, 0
                else:
                    statistics[match.name] = self.device.xp.asarray(theirs)
            put_persistent(self.modules[network], statistics)
        for optimizer in self._optimizers:
            optimizer.t = 0

    def batch(self, values: np.ndarray) -> Any:
        """Returns: an array of a batch as the step takes it: of NumPy or CuPy, labels int32 as Chainer's losses take them."""
        kind = self.dtype if values.dtype.kind == "f" else np.int32
        return self.device.xp.array(values, dtype=kind)

    def to_numpy(self, value: Any) -> np.ndarray:
        """Returns: the values of a variable, an array or a number; on the CPU the very memory."""
        array = value.array if isinstance(value, chainer.Variable) else value
        return np.asarray(chainer.backends.cuda.to_cpu(array) if hasattr(array, "shape") else array)

    def arrays(self, network: str, *, trained: bool) -> dict[str, np.ndarray]:
        """Returns: parameters, or statistics, of a network by path, as the spec holds them."""
        own, found = self._parameters[network], self.matches[network]
        if trained:
            return {path: found[path].ours(self.to_numpy(p)) for path, p in own.items()}
        kept = persistent(self.modules[network])
        return {path: m.ours(self.to_numpy(kept[m.name])) for path, m in found.items() if path not in own}

    @contextlib.contextmanager
    def watched(self, observer: Observer, ended: Any) -> Iterator[None]:
        """Tell an observer everything that happens.

        Args:
            observer: the observer of this iteration.
            ended: function that is called with each optimiser's networks after it has moved them.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(replaying(observer.draw))
            stack.enter_context(Links(observer, self.modules, self.to_numpy))
            gradients = stack.enter_context(ArrivingGradients(observer, self.to_numpy))
            stack.enter_context(replaced(chainer.FunctionNode, "apply", self._applying(observer, gradients)))
            stack.enter_context(replaced(chainer.Optimizer, "call_hooks", self._updating(observer, ended)))
            stack.enter_context(replaced(chainer, "grad", self._differentiating(observer)))
            stack.enter_context(replaced(chainer.Variable, "backward", self._backward(observer)))
            yield

    def _applying(self, observer: Observer, gradients: ArrivingGradients) -> Any:
        original = chainer.FunctionNode.apply

        def apply(function: Any, inputs: Any) -> Any:
            kind = _KINDS.get(type(function).__name__)
            if kind is None:
                outputs = original(function, inputs)
                if len(outputs) == 1 and outputs[0].size == 1 and outputs[0].dtype.kind == "f":
                    observer.scalar(float(self.to_numpy(outputs[0]).sum()))
                return outputs
            given = [self.to_numpy(i) for i in (inputs if kind == "concat" else inputs[:1])]
            gave = observer.operation(kind, self._layer_of(inputs[1:]), given)
            outputs = original(function, inputs)
            seen = gave(self.to_numpy(outputs[0]))
            if seen is not None and outputs[0].requires_grad:
                gradients.follow(function, seen, outputs[0].shape)
            return outputs

        return apply

    def _updating(self, observer: Observer, ended: Any) -> Any:
        original = chainer.Optimizer.call_hooks

        def call_hooks(optimizer: Any, timing: str = "pre") -> None:
            original(optimizer, timing)
            own = [(p, self._owners[id(p)]) for p in optimizer.target.params() if id(p) in self._owners]
            if not own:
                return
            if optimizer not in self._optimizers:
                line, name = calling_line(), own[0][1][0]
                raise observer.fail(
                    f"{line}: an optimiser that is not known updates {name}; give it: optimizers={{...}}"
                )
            if timing == "pre":
                found: dict[str, dict[str, np.ndarray]] = {}
                for p, (network, path) in own:
                    gradient = np.zeros_like(self.to_numpy(p)) if p.grad is None else self.to_numpy(p.grad)
                    found.setdefault(network, {})[path] = self.matches[network][path].ours(gradient)
                observer.updating(found)
            else:
                ended(sorted({network for _, (network, _) in own}), self._moments(own, observer))

        return call_hooks

    def _moments(self, own: Sequence[tuple[Any, tuple[str, str]]], observer: Observer) -> dict[str, np.ndarray]:
        found = {}
        for p, (network, path) in own:
            known = MOMENTS.get(type(p.update_rule).__name__, {})
            for moment in observer.system.optimizers[network].moments():
                kept = (getattr(p.update_rule, "state", None) or {}).get(known.get(moment))
                if kept is not None:
                    found[f"{network}/{moment}/{path}"] = self.matches[network][path].ours(self.to_numpy(kept))
        return found

    def _differentiating(self, observer: Observer) -> Any:
        original = chainer.grad

        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(outputs, inputs, *args, **kwargs)
            for variable, gradient in zip(inputs, found, strict=False):
                if gradient is not None and not isinstance(variable, chainer.Parameter):
                    observer.input_gradient(self.to_numpy(variable), self.to_numpy(gradient))
            return found

        return grad

    def _backward(self, observer: Observer) -> Any:
        original = chainer.Variable.backward

        def backward(variable: Any, *args: Any, **kwargs: Any) -> Any:
            value = float(self.to_numpy(variable).sum()) if variable.size == 1 else None
            with observer.behind.differentiating(observer.differentiated(value)):
                return original(variable, *args, **kwargs)

        return backward

    def _layer_of(self, values: Sequence[Any]) -> str:
        found = next((self._owners[id(v)] for v in values if id(v) in self._owners), None)
        return found[1].rpartition("/")[0] if found else ""
