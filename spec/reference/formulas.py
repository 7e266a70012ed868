"""Losses, penalties, carried numbers and their directional derivatives, straight from the formulas.

This shares neither the plan nor any automatic differentiation with the backends: it walks the formulas themselves, and
differentiates with hyper-dual numbers (`jets`), exact to rounding in first and mixed second derivatives. The gradient inside a
penalty takes one direction for each pixel, so this is for small networks only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.parts.schedule import Step
from ganspec.spec.reference.jets import Jet, aligned, jet
from ganspec.spec.reference.layers import Evaluation, evaluate
from ganspec.spec.reference.meanings import Meanings
from ganspec.spec.system import Stage, System
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position

DIRECTIONS = 256  # pixels along which a gradient is taken at a time; they are what takes memory


@dataclass(frozen=True)
class Argument:
    """What a definition's parameter stands for: an expression, with the parameters of the definition in which that stands."""

    tree: Expression
    bound: Bound
    meaning: int


Bound = Mapping[str, Argument]


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a network.

    Args:
        occurrence: its number among the evaluations of this network in the step, from 0.
        training: whether it is in training mode.
        statistics: running statistics that it found.
        outputs: outputs by name.
    """

    occurrence: int
    training: bool
    statistics: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


@dataclass
class Evaluator:
    """Values of one repeat of one step.

    Networks' evaluations are numbered as they are first met, so formulas are evaluated in the plan's order: losses, reports,
    carried numbers. Each evaluation moves the network's statistics, which the next one finds.

    Args:
        system: system whose formulas are evaluated.
        state: parameters, statistics and carried numbers before the repeat.
        draws: source of noise and of dropout masks.
        at: position of the repeat.
        data: "x" and "y".
        earlier: evaluators of the steps before this one, whose values it may reuse.
        direction: direction e2, added to parameters by name ("parameters/D/l1/W").
        statistics: running statistics of each network, by path; they move with each evaluation.
        made: evaluations so far, by network, and by the meanings of their inputs and their mode.
        replaced: the variable of a gradient, by its meaning.
        known: values along this direction, by meaning.
        meanings: numbers of meanings, which all steps of an iteration share.
    """

    system: System
    state: TrainingState
    draws: DrawSource
    at: Position
    data: Mapping[str, np.ndarray]
    earlier: Sequence[Evaluator] = ()
    direction: Mapping[str, np.ndarray] = field(default_factory=dict)
    statistics: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    made: dict[str, dict[tuple[int, ...], Evaluated]] = field(default_factory=dict)
    replaced: dict[int, Jet] = field(default_factory=dict)
    known: dict[int, Jet] = field(default_factory=dict)
    meanings: Meanings | None = None

    def __post_init__(self) -> None:
        if self.meanings is None:
            self.meanings = self.earlier[0].meanings if self.earlier else Meanings(self.system)
        for name in self.system.networks:  # copies of an evaluator share what is there
            self.statistics.setdefault(name, self.state.of(f"statistics/{name}"))

    @property
    def step(self) -> Step:
        return self.system.schedule.steps[self.at.step]

    @property
    def stage(self) -> Stage:
        return self.system.stages[self.system.at(self.at.iteration)[0]]

    def along(self, direction: Mapping[str, np.ndarray]) -> Evaluator:
        """Returns: an evaluator with the same evaluations and another direction."""
        return replace(self, direction=direction, known={})

    def value(self, tree: Expression, bound: Bound | None = None) -> Jet:
        """Returns: the value of a formula, with its derivatives."""
        bound = bound or {}
        meaning = self._meaning(tree, bound)
        if meaning in self.replaced:
            return self.replaced[meaning]
        if meaning not in self.known:
            self.known[meaning] = self._compute(tree, bound)
        return self.known[meaning]

    def _meaning(self, tree: Expression, bound: Bound) -> int:
        assert self.meanings is not None
        return self.meanings.of(tree, {name: argument.meaning for name, argument in bound.items()}, self.step)

    def _compute(self, tree: Expression, bound: Bound) -> Jet:
        match tree:
            case Number(value):
                return jet(value)
            case Name(name):
                return self._name(name, bound)
            case Negative(operand):
                return self.value(operand, bound) * -1.0
            case Binary("^", left, right):
                return self.value(left, bound).power(float(self.value(right, bound).f[0]))
            case Binary(operator, left, right):
                x, y = aligned(self.value(left, bound), self.value(right, bound))
                return {"+": x.__add__, "-": x.__sub__, "*": x.__mul__, "/": x.__truediv__}[operator](y)
            case Call("detach", (argument,)):
                return replace(self, direction={}, known={}, replaced={}).value(argument, bound).constant()
            case Call("grad", (of, to)):
                return self._gradient(of, to, bound)
            case Call("inference", (Call(network, inputs),)):
                return _only(self._network(network, inputs, bound, False))
            case Call("inference", (Output(Call(network, inputs), name),)):
                return self._network(network, inputs, bound, False)[name]
            case Output(Call("inference", (Call(network, inputs),)), name):
                return self._network(network, inputs, bound, False)[name]
            case Output(Call(network, inputs), name):
                return self._network(network, inputs, bound)[name]
            case Call(network, inputs) if network in self.stage.networks:
                return _only(self._network(network, inputs, bound))
            case Call(function, arguments) if function in self.system.loss.definitions:
                return self._definition(function, arguments, bound)
            case Call(function, arguments):
                return self._call(function, [self.value(a, bound) for a in arguments])
        raise NotImplementedError(tree)

    def _name(self, name: str, bound: Bound) -> Jet:
        loss = self.system.loss
        if name in bound:
            return self.value(bound[name].tree, bound[name].bound)
        if name in loss.definitions:
            return self.value(loss.definitions[name].formula.tree)
        if name in loss.constants:
            return jet(loss.constants[name])
        if name in self.data:
            return jet(self.data[name])
        if name in loss.carried:
            return jet(self.state.arrays[f"carried/{name}"])
        if name in loss.reports:
            if set(loss.reports[name].networks).isdisjoint(self.step.update):
                return jet(self.state.arrays[f"reports/{name}"])  # as an earlier step computed it
            return self.value(loss.reports[name].value.tree)
        return jet(self._drawn(name))

    def _definition(self, name: str, arguments: Sequence[Expression], bound: Bound) -> Jet:
        for argument in arguments:  # first, for evaluations are numbered in this order
            self.value(argument, bound)
        definition = self.system.loss.definitions[name]
        given = [Argument(a, bound, self._meaning(a, bound)) for a in arguments]
        return self.value(definition.formula.tree, dict(zip(definition.parameters, given, strict=True)))

    def _drawn(self, name: str) -> np.ndarray:
        noise, at = self.system.schedule.noise, self.at
        where = Position(at.iteration, 0 if noise == "iteration" else at.step, at.repeat if noise == "repeat" else 0)
        return self.draws.symbol(name, self.stage.symbols[name], where, self.system.run.batch)

    def _call(self, function: str, arguments: list[Jet]) -> Jet:
        x, *rest = arguments
        match function:
            case "mean":
                return x.linear(lambda v: v.reshape(len(v), -1).mean(axis=1))
            case "sum":
                return x.linear(lambda v: v.reshape(len(v), -1).sum(axis=1))
            case "batch_mean":
                return x.mean(1)
            case "sample_mean":
                return x.linear(lambda v: v.reshape(*v.shape[:2], -1).mean(axis=2))
            case "norm":
                return ((x * x).sample_sum() + (rest[0].f[0] if rest else 0.0)).sqrt()
            case "clip":
                return x.clip(float(rest[0].f[0]), float(rest[1].f[0]))
            case "cross_entropy":
                largest = x.f.max(axis=2, keepdims=True)
                total: Jet = (x - Jet(largest)).exp().linear(lambda v: v.sum(axis=2)).log() + largest[0, :, 0]
                return total - x.linear(lambda v: v[:, np.arange(v.shape[1]), rest[0].f[0].astype(int)])
            case "correct":
                return jet(x.f[0].argmax(axis=1) == rest[0].f[0])
            case "relu":
                return x.kinked(0.0)
            case "abs" | "sqrt" | "exp" | "log" | "tanh" | "sigmoid" | "softplus":
                result: Jet = getattr(x, function)()
                return result
        raise NotImplementedError(function)

    def _gradient(self, of: Expression, to: Expression, bound: Bound) -> Jet:
        if self.replaced:
            raise NotImplementedError("a gradient inside a gradient, other than in detach")
        self.value(of, bound)  # numbers the evaluations in the order of the formula
        base, variable = self.value(to, bound), self._meaning(to, bound)
        count = base.f.size
        first, mixed = np.zeros(count), None
        for start in range(0, count, DIRECTIONS):
            end = min(start + DIRECTIONS, count)
            units = np.eye(count)[start:end].reshape(end - start, *base.f.shape[1:])
            inner = replace(self, replaced={variable: Jet(base.f, units, base.b)}, known={})
            out = inner.value(of, bound)
            if out.a is not None:  # else an output of a network that does not read this input: the gradient is 0
                first[start:end] = out.a.reshape(end - start, -1).sum(axis=1)
            if out.ab is not None:
                mixed = np.zeros(count) if mixed is None else mixed
                mixed[start:end] = out.ab.reshape(end - start, -1).sum(axis=1)
        return Jet(first.reshape(base.f.shape), None, None if mixed is None else mixed.reshape(base.f.shape))

    def _network(
        self, name: str, trees: Sequence[Expression], bound: Bound, training: bool = True
    ) -> dict[str, Jet]:
        training = training and name not in self.step.inference
        inputs = [self.value(tree, bound) for tree in trees]
        read = tuple(self._meaning(tree, bound) for tree in trees)
        trained = name in self.step.update
        for evaluator in reversed(self.earlier) if name in self.step.reuse else ():
            for key, evaluated in evaluator.made.get(name, {}).items() if evaluator.step.always_runs else ():
                if key[:-1] == read and (evaluated.training or not trained):
                    if trained:  # made by the same parameters: the gradient flows through that evaluation
                        return replace(evaluator, direction=self.direction, known={})._evaluate(name, inputs, key)
                    return {output: Jet(f) for output, f in evaluated.outputs.items()}
        return self._evaluate(name, inputs, (*read, training))

    def _evaluate(self, name: str, inputs: list[Jet], key: tuple[int, ...]) -> dict[str, Jet]:
        """The k-th distinct evaluation of a network in a step has the masks of occurrence k."""
        made = self.made.setdefault(name, {})
        known = made.get(key, Evaluated(len(made), bool(key[-1]), self.statistics[name], {}))
        at = Position(self.at.iteration, self.at.step, self.at.repeat, known.occurrence)

        def mask(layer: Layer, shape: tuple[int, ...]) -> np.ndarray:
            return self.draws.mask(name, layer, at, shape)

        fade = self.system.at(self.at.iteration)[1]
        how = Evaluation(known.training, fade, mask, known.statistics, dict(known.statistics))
        network = self.stage.networks[name]
        values = dict(zip(network.inputs, inputs, strict=True))
        for layer in network.layers:
            own = {p.name: self._parameter(name, f"{layer.name}/{p.name}") for p in layer.parameters}
            values[layer.name] = evaluate(layer, [values[i] for i in layer.inputs], own, how)
        outputs = {output: values[layer] for output, layer in network.outputs.items()}
        if key not in made:
            made[key] = replace(known, outputs={output: v.f for output, v in outputs.items()})
            self.statistics[name] = how.moved
        return outputs

    def _parameter(self, network: str, path: str) -> Jet:
        name = f"parameters/{network}/{path}"
        values, direction = self.state.arrays[name], self.direction.get(name)
        clip = self.system.optimizers[network].clip
        if clip and clip.when == "before" and network in self.step.update:
            values = np.clip(values, -clip.bound, clip.bound)
        return Jet(values[None], None, None if direction is None else direction[None])


def _only(outputs: dict[str, Jet]) -> Jet:
    (output,) = outputs.values()
    return output


def unit_direction(state: TrainingState, network: str, seed: int) -> dict[str, np.ndarray]:
    """Returns: a random direction in the space of a network's parameters, of length 1, by name of parameter."""
    generator = np.random.default_rng(seed)
    prefix = f"parameters/{network}/"
    found = {n: generator.standard_normal(a.shape) for n, a in state.arrays.items() if n.startswith(prefix)}
    length = math.sqrt(sum(float((a**2).sum()) for a in found.values()))
    return {n: a / length for n, a in found.items()}
