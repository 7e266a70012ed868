"""What his updater does in one iteration: batches, draws, evaluations, functions, gradients, updates, each with its line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.formula import Call, Expression, Output
from ganspec.tools.conformance.chainer_arrays import replaced
from ganspec.tools.conformance.draws import Request
from ganspec.tools.conformance.errors import calling_line
from ganspec.tools.conformance.numpy_random import replaying
from ganspec.tools.updaters.leaves import Drawn, Sources
from ganspec.tools.updaters.lifting import Lifted, lift, unknown
from ganspec.tools.updaters.trees import walk


@dataclass(frozen=True)
class Evaluation:
    """A network was evaluated, in training or inference, as the formula says."""

    network: str
    tree: Expression | None
    training: bool
    at: int
    line: str


@dataclass(frozen=True)
class Loss:
    """`backward` was called on a number."""

    lifted: Lifted
    at: int
    line: str


@dataclass(frozen=True)
class Update:
    """A network moved, by the gradients of these losses."""

    network: str
    losses: tuple[Loss, ...]
    at: int
    line: str


@dataclass
class Recording:
    """One iteration.

    Args:
        system: system whose networks are his.
        networks: his networks, by the system's names.
        sources: batches and draws.
    """

    system: System
    networks: dict[str, Any]
    sources: Sources = field(default_factory=Sources)
    evaluations: list[Evaluation] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    reports: dict[str, tuple[Lifted, str, int]] = field(default_factory=dict)
    batch_times: list[int] = field(default_factory=list)
    scalars: dict[Expression, float] = field(default_factory=dict)
    _clock: int = 0
    _inside: int = 0
    _values: dict[int, tuple[Any, Lifted]] = field(default_factory=dict)
    _pending: dict[str, list[Loss]] = field(default_factory=dict)
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Record what happens, for a while."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(replaying(self._draw))
            enter = stack.enter_context
            enter(replaced(chainer.FunctionNode, "apply", self._applying(chainer.FunctionNode.apply)))
            enter(replaced(chainer.Variable, "backward", self._backward(chainer.Variable.backward)))
            enter(replaced(chainer, "grad", self._differentiating(chainer.grad)))
            enter(replaced(chainer.Optimizer, "call_hooks", self._updating(chainer.Optimizer.call_hooks)))
            for name in ("cleargrads", "zerograds"):
                enter(replaced(chainer.Link, name, self._clearing(getattr(chainer.Link, name))))
            for kind in {type(link) for link in self.networks.values()}:
                enter(replaced(kind, "__call__", self._calling(kind.__call__)))
            yield

    def batch(self, x: np.ndarray, y: np.ndarray | None) -> None:
        """The updater takes a batch."""
        self.sources.batches.append((x, y))
        self.batch_times.append(self._tick())

    def report(self, name: str, value: Any) -> None:
        """The updater reported a number."""
        array = value.array if isinstance(value, chainer.Variable) else value
        if id(array) in self._values:
            self.reports[name] = (self._values[id(array)][1], calling_line(), self._tick())

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def _draw(self, request: Request) -> np.ndarray:
        g, shape = self._generator, request.shape
        if request.family == "label":
            values: Any = g.integers(int(request.a), int(request.b), shape)
        elif request.family == "bernoulli":
            values = (g.random(shape) < request.a).astype(np.float64)
        elif request.family == "normal":
            values = (request.a + request.b * g.normal(size=shape)).astype(np.float32).astype(np.float64)
        else:
            u = np.floor(g.random(shape) * 2.0**12) / 2.0**12
            values = request.a + (request.b - request.a) * u
        if not self._inside:
            name = f"draw_{len(self.sources.drawn)}"
            self.sources.drawn.append(Drawn(name, np.array(values), request.family, request.a, request.b, request.line))
        return np.asarray(values)

    # Values.

    def _known(self, value: Any) -> Lifted:
        """Returns: the formula of a variable or an array."""
        array = value.array if isinstance(value, chainer.Variable) else value
        found = self._values.get(id(array))
        constant = not isinstance(value, chainer.Variable) or value.creator_node is None
        if found is not None and not (
            constant and not isinstance(value, chainer.Parameter) and _computed(found[1].tree)
        ):
            return found[1]
        if found is not None and found[1].tree is not None:
            made = Lifted(_constant(found[1].formula()), np.shape(array))
        else:
            owner = next((n for n, link in self.networks.items() for p in link.params() if p is value), None)
            plain = np.asarray(chainer.backends.cuda.to_cpu(array))
            tree = self.sources.explain(plain) if owner is None else None
            what = (
                f"a parameter of {owner}"
                if owner
                else f"an array of shape {list(plain.shape)} from outside of the graph"
            )
            why = f"{calling_line()}: {what} is neither data, a draw, a constant nor a mixture of these"
            made = Lifted(_constant(tree), plain.shape) if tree is not None else unknown(plain.shape, why)
            self._keep(array, made)
        return made

    def _keep(self, array: Any, lifted: Lifted) -> None:
        self._values[id(array)] = (array, lifted)  # the array is held, so that its id stays its own
        if lifted.tree is not None and lifted.over == "all":
            factor, value = lifted.factor or 1.0, float(np.asarray(chainer.backends.cuda.to_cpu(array)).reshape(()))
            self.scalars[replace(lifted, factor=1.0, plus=0.0).formula()] = (value - lifted.plus) / factor

    def _applying(self, original: Any) -> Any:
        def apply(function: Any, inputs: Any) -> Any:
            if self._inside:
                return original(function, inputs)
            lifted = [self._known(i) for i in inputs]
            outputs = original(function, inputs)
            for output in outputs:
                self._keep(output.array, lift(function, lifted, output.array, calling_line()))
            return outputs

        return apply

    def _quietly(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._inside += 1
        try:
            return function(*args, **kwargs)
        finally:
            self._inside -= 1

    def _calling(self, original: Any) -> Any:
        names = {id(link): name for name, link in self.networks.items()}

        def call(link: Any, *args: Any, **kwargs: Any) -> Any:
            if id(link) not in names or self._inside:
                return original(link, *args, **kwargs)
            given = [self._known(a) for a in (*args, *kwargs.values()) if hasattr(a, "shape")]
            output = self._quietly(original, link, *args, **kwargs)
            training = bool(chainer.config.train and kwargs.get("train", True) and not kwargs.get("test", False))
            self._evaluated(names[id(link)], given, output, training)
            return output

        return call

    def _evaluated(self, network: str, given: Sequence[Lifted], output: Any, training: bool) -> None:
        bad = next((g for g in given if g.tree is None), None)
        tree = Call(network, tuple(g.formula() for g in given)) if bad is None else None
        line = calling_line()
        self.evaluations.append(Evaluation(network, tree, training, self._tick(), line))
        names = list(self.system.networks[network].outputs)
        values = (
            list(output.values())
            if isinstance(output, dict)
            else list(output)
            if isinstance(output, (tuple, list))
            else [output]
        )
        for name, value in zip(names, values, strict=False):
            if not hasattr(value, "shape"):
                continue
            if tree is None or len(values) != len(names):
                why = (
                    bad.why
                    if bad is not None
                    else f"{line}: {network} gives {len(values)} values, the system's {len(names)}"
                )
                self._keep(value.array, unknown(value.shape, why))
                continue
            own: Expression = tree if len(names) == 1 else Output(tree, name)
            self._keep(value.array, Lifted(own, value.shape))
            self.sources.outputs.append((np.asarray(chainer.backends.cuda.to_cpu(value.array)), own))

    # Gradients and updates.

    def _differentiating(self, original: Any) -> Any:
        def grad(outputs: Any, inputs: Any, grad_outputs: Any = None, *args: Any, **kwargs: Any) -> Any:
            of, by = [self._known(o) for o in outputs], [self._known(i) for i in inputs]
            found = self._quietly(original, outputs, inputs, grad_outputs, *args, **kwargs)
            line, why = calling_line(), ""
            if len(of) != 1:
                why = f"{line}: a gradient of several outputs has no formula"
            elif any(g is not None and np.any(g.array != 1) for g in grad_outputs or ()):
                why = f"{line}: a gradient with weights of its own (grad_outputs) has no formula"
            for gradient, variable in zip(found, by, strict=True):
                if gradient is None:
                    continue
                bad = next((v for v in (*of, variable) if v.tree is None), None)
                reason = why or (bad.why if bad is not None else "")
                tree = Call("grad", (of[0].formula(), variable.formula())) if not reason else None
                self._keep(gradient.array, Lifted(tree, gradient.shape, reason))
            return found

        return grad

    def _backward(self, original: Any) -> Any:
        def backward(variable: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._inside and not isinstance(variable, chainer.Parameter):
                loss = Loss(self._known(variable), self._tick(), calling_line())
                for losses in self._pending.values():
                    losses.append(loss)
                for name in self.networks:
                    self._pending.setdefault(name, [loss])
            return self._quietly(original, variable, *args, **kwargs)

        return backward

    def _clearing(self, original: Any) -> Any:
        def clear(link: Any) -> Any:
            for name, network in self.networks.items():
                if link is network:
                    self._pending[name] = []
            return original(link)

        return clear

    def _updating(self, original: Any) -> Any:
        def call_hooks(optimizer: Any, timing: str = "pre") -> None:
            if timing == "pre":
                own = {id(p) for p in optimizer.target.params()}
                for name, network in self.networks.items():
                    if any(id(p) in own for p in network.params()):
                        self.updates.append(
                            Update(name, tuple(self._pending.get(name, ())), self._tick(), calling_line())
                        )
            original(optimizer, timing)

        return call_hooks


def _constant(tree: Expression) -> Expression:
    """Returns: a formula through which no gradient flows."""
    return (
        Call("detach", (tree,))
        if _computed(tree) and not (isinstance(tree, Call) and tree.function == "detach")
        else tree
    )


def _computed(tree: Expression | None) -> bool:
    """Returns: whether a formula computes something by which gradients would flow."""
    return tree is not None and any(isinstance(t, (Call, Output)) for t in walk(tree))
