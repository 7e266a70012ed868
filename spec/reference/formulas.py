"""Losses, penalties, reports and carried numbers with their directional derivatives, straight from the formulas.

An `Evaluator` walks the trees of the formulas, as a reader of the paper would. It uses neither the plan nor any automatic
differentiation of the backends: it differentiates with hyper-dual numbers (`jets`), exact to rounding. Along e2 lies a direction
in the space of parameters, along which a loss is differentiated. Along e1 lie the numbers of the array to which a formula's
`grad` is taken, one direction each: so a penalty costs one evaluation of its network for each pixel, and this is for small
networks only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.parts.schedule import Step
from ganspec.spec.reference import functions
from ganspec.spec.reference.evaluations import Evaluated, Gradient
from ganspec.spec.reference.jets import Jet, jet
from ganspec.spec.reference.layers import evaluate_layers
from ganspec.spec.reference.meanings import Argument, Bound, Meanings
from ganspec.spec.reference.mode import Evaluation
from ganspec.spec.system import Stage, System
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position

DIRECTIONS = 256  # pixels along which a gradient is taken at a time; they are what takes memory


@dataclass
class Evaluator:
    """Values of one repeat of one step.

    Networks' evaluations are numbered as they are first met, so formulas are evaluated in the plan's order: losses, reports,
    carried numbers. Each evaluation moves the network's statistics, which the next one finds. A network is evaluated once on
    inputs that mean the same: what the formulas write several times is one evaluation, with one dropout mask.

    Args:
        system: system whose formulas are evaluated.
        state: parameters, statistics and carried numbers before the repeat.
        draws: source of noise and of dropout masks.
        at: position of the repeat.
        data: "x" and "y".
        earlier: evaluators of the steps before this one, whose values it may reuse.
        direction: direction e2, added to parameters by name ("parameters/D/l1/W").
        second: a second direction, e1, likewise; for formulas without `grad`, which needs e1 for itself.
        statistics: running statistics of each network, by path; they move with each evaluation.
        made: evaluations so far, by network, and by the meanings of the inputs and the mode.
        gradients: gradients that the formulas took so far.
        replaced: the variable of a gradient, by its meaning.
        known: values along this direction, by meaning.
        meanings: numbers of meanings, the same in all steps of an iteration; None for those of `earlier`, or new ones.
    """

    system: System
    state: TrainingState
    draws: DrawSource
    at: Position
    data: Mapping[str, np.ndarray]
    earlier: Sequence[Evaluator] = ()
    direction: Mapping[str, np.ndarray] = field(default_factory=dict)
    second: Mapping[str, np.ndarray] = field(default_factory=dict)
    statistics: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    made: dict[str, dict[tuple[int, ...], Evaluated]] = field(default_factory=dict)
    gradients: list[Gradient] = field(default_factory=list)
    replaced: Mapping[int, Jet] = field(default_factory=dict)
    known: dict[int, Jet] = field(default_factory=dict)
    meanings: Meanings | None = None

    def __post_init__(self) -> None:
        self.meanings = self.meanings or (self.earlier[0].meanings if self.earlier else Meanings(self.system))
        for name in self.system.networks:  # copies of an evaluator share what is there
            self.statistics.setdefault(name, self.state.of(f"statistics/{name}"))

    @property
    def step(self) -> Step:
        """The step of the schedule that is computed."""
        return self.system.schedule.steps[self.at.step]

    @property
    def stage(self) -> Stage:
        """The stage of growth: networks as they are in this iteration."""
        return self.system.stages[self.system.at(self.at.iteration)[0]]

    def along(self, direction: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray] | None = None) -> Evaluator:
        """Returns: an evaluator with the same evaluations and other directions in the space of parameters."""
        return replace(self, direction=direction, second=second or {}, known={})

    def value(self, tree: Expression, bound: Bound | None = None) -> Jet:
        """Evaluate a formula.

        Args:
            tree: formula, as it was parsed.
            bound: what the parameters of the definition that the formula is in stand for, by name.

        Returns: its value, with its derivatives.
        """
        meaning = self._meaning(tree, bound or {})
        if meaning in self.replaced:
            return self.replaced[meaning]
        if meaning not in self.known:
            self.known[meaning] = self._compute(tree, bound or {})
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
                return functions.arithmetic(operator, self.value(left, bound), self.value(right, bound))
            case Call("detach", (argument,)):
                still = replace(self, direction={}, second={}, known={}, replaced={})
                return still.value(argument, bound).constant()
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
                return functions.call(function, *(self.value(a, bound) for a in arguments))
        raise NotImplementedError(tree)

    def symbol(self, name: str) -> np.ndarray:
        """Returns: a batch of data, or a draw of noise at the position where its life begins."""
        if name in self.data:
            return self.data[name]
        noise, at = self.system.schedule.noise, self.at
        where = Position(at.iteration, 0 if noise == "iteration" else at.step, at.repeat if noise == "repeat" else 0)
        return self.draws.symbol(name, self.stage.symbols[name], where, self.system.run.batch)

    def evaluation(self, network: str, occurrence: int) -> Evaluated | None:
        """Returns: one evaluation of a network, by its number in the step; None if the formulas make fewer."""
        return next((e for e in self.made.get(network, {}).values() if e.occurrence == occurrence), None)

    def again(
        self, network: str, inputs: list[Jet], evaluated: Evaluated
    ) -> tuple[dict[str, Jet], dict[str, np.ndarray]]:
        """Evaluate a network as an evaluation of it did: with its masks, in its mode, from the statistics that it found.

        Args:
            network: name of the network.
            inputs: values of its inputs, with derivatives.
            evaluated: the evaluation.

        Returns: what each layer gives, by name, and the running statistics afterwards, by path.
        """
        at = Position(self.at.iteration, self.at.step, self.at.repeat, evaluated.occurrence)

        def mask(layer: Layer, shape: tuple[int, ...]) -> np.ndarray:
            return self.draws.mask(network, layer, at, shape)

        fade, before = self.system.at(self.at.iteration)[1], evaluated.statistics
        how = Evaluation(evaluated.training, fade, mask, before, dict(before))
        architecture = self.stage.networks[network]
        paths = [f"{layer.name}/{p.name}" for layer in architecture.layers for p in layer.parameters]
        parameters = {path: self._parameter(network, path) for path in paths}
        return evaluate_layers(architecture, parameters, inputs, how), how.moved

    def _name(self, name: str, bound: Bound) -> Jet:
        loss = self.system.loss
        if name in bound:
            return self.value(bound[name].tree, bound[name].bound)
        if name in loss.definitions:
            return self.value(loss.definitions[name].formula.tree)
        if name in loss.constants:
            return jet(loss.constants[name])
        if name in loss.carried:
            return jet(self.state.arrays[f"carried/{name}"])
        if name in loss.reports:
            if set(loss.reports[name].networks).isdisjoint(self.step.update):
                return jet(self.state.arrays[f"reports/{name}"])  # as an earlier step computed it
            return self.value(loss.reports[name].value.tree)
        return jet(self.symbol(name))

    def _definition(self, name: str, arguments: Sequence[Expression], bound: Bound) -> Jet:
        definition = self.system.loss.definitions[name]
        for argument in arguments:  # first, for evaluations of networks are numbered in this order
            self.value(argument, bound)
        given = [Argument(a, bound, self._meaning(a, bound)) for a in arguments]
        return self.value(definition.formula.tree, dict(zip(definition.parameters, given, strict=True)))

    def _gradient(self, of: Expression, to: Expression, bound: Bound) -> Jet:
        """The gradient of the sum of a formula with respect to another, in its shape.

        Each number of the variable gets a direction e1 of its own; the derivatives along them are the gradient, and the mixed
        ones with e2 the gradient's derivative along the direction of parameters. Where the variable stands again, under whatever
        name, it is the same variable.
        """
        if self.replaced or self.second:
            raise NotImplementedError("a gradient inside a gradient, other than in detach")
        value = self.value(of, bound)  # numbers the evaluations in the order of the formula
        base, variable = self.value(to, bound), self._meaning(to, bound)
        count, mixed = base.f.size, None
        first = np.zeros(count)
        for start in range(0, count, DIRECTIONS):
            end = min(start + DIRECTIONS, count)
            inner = replace(self, replaced={variable: base.tilted(start, end)}, known={})
            out = inner.value(of, bound)
            if out.a is not None:  # else an output of a network that does not read this input: the gradient is 0
                first[start:end] = out.a.reshape(end - start, -1).sum(axis=1)
            if out.ab is not None:
                mixed = np.zeros(count) if mixed is None else mixed
                mixed[start:end] = out.ab.reshape(end - start, -1).sum(axis=1)
        gradient = Jet(first.reshape(base.f.shape), None, None if mixed is None else mixed.reshape(base.f.shape))
        if not self.direction:
            self.gradients.append(Gradient(value.f, base.f, gradient.f))
        return gradient

    def _network(self, name: str, inputs: Sequence[Expression], bound: Bound, training: bool = True) -> dict[str, Jet]:
        """Outputs of a network; the k-th distinct evaluation of a network in a step has the masks of occurrence k."""
        outputs = self.stage.networks[name].outputs
        values, meanings = [self.value(i, bound) for i in inputs], tuple(self._meaning(i, bound) for i in inputs)
        for evaluator in reversed(self.earlier) if name in self.step.reuse else ():
            if (found := evaluator._reusable(name, meanings, name in self.step.update)) is None:
                continue
            if name not in self.step.update:
                return {output: Jet(f) for output, f in found.outputs.items()}
            # Made by the same parameters: the gradient flows through that evaluation.
            there = replace(evaluator, direction=self.direction, second=self.second, known={})
            layers, _ = there.again(name, values, found)
            return {output: layers[layer] for output, layer in outputs.items()}
        training = training and name not in self.step.inference
        key, made = (*meanings, training), self.made.setdefault(name, {})
        evaluated = made.get(key, Evaluated(len(made), training, self.statistics[name]))
        layers, moved = self.again(name, values, evaluated)
        if key not in made:
            kept = {layer.name: layers[layer.name].f for layer in self.stage.networks[name].layers}
            made[key] = replace(evaluated, layers=kept, outputs={o: layers[at].f for o, at in outputs.items()})
            self.statistics[name] = moved
        return {output: layers[layer] for output, layer in outputs.items()}

    def _reusable(self, name: str, inputs: tuple[int, ...], trained: bool) -> Evaluated | None:
        """This step's evaluation of a network on these inputs, for a later step; in any mode, if that step trains it not."""
        found = [e for key, e in self.made.get(name, {}).items() if key[:-1] == inputs and (e.training or not trained)]
        return found[0] if found and self.step.always_runs else None

    def _parameter(self, network: str, path: str) -> Jet:
        name = f"parameters/{network}/{path}"
        values, along = self.state.arrays[name], (self.second.get(name), self.direction.get(name))
        clip = self.system.optimizers[network].clip
        if clip and clip.when == "before" and network in self.step.update:
            values = np.clip(values, -clip.bound, clip.bound)
        a, b = (None if d is None else d[None] for d in along)
        return Jet(values[None], a, b)


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
