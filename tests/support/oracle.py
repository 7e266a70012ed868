"""The third witness: losses, penalties, states and directional derivatives in plain NumPy float64.

It shares no automatic differentiation and no plan with the backends: it walks the formulas themselves, and differentiates with
hyper-dual numbers (`oracle_jet`), exact to rounding in first and mixed second derivatives. The gradient inside a penalty takes
one direction for each pixel, so the oracle is for small networks only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ganspec.spec.parts.schedule import Step
from ganspec.spec.system import Stage, System
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position, Streams
from support.oracle_jet import Jet, aligned, jet
from support.oracle_layers import Evaluation, evaluate

DIRECTIONS = 256  # pixels that are differentiated at a time: they take the memory


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a network: which one it is in its step, the statistics that it found, and its outputs."""

    occurrence: int
    statistics: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


@dataclass
class Oracle:
    """Values of one repeat of one step.

    A network's evaluations are numbered as they are first met, so formulas must be evaluated in the order of the plan: losses,
    reports, carried numbers. Each evaluation moves the network's statistics, which the next one finds.

    Args:
        system: system whose formulas are evaluated.
        state: parameters, statistics and carried numbers before the repeat.
        seed: seed of the streams.
        at: position of the repeat.
        data: images "x" and labels "y".
        earlier: oracles of the steps before this one, whose evaluations it may reuse.
        direction: array by name of parameter ("parameters/D/l1/W"), added to the parameter times e2.
        statistics: statistics of each network, by path; each evaluation moves them.
        made: evaluations so far, by network and inputs.
    """

    system: System
    state: TrainingState
    seed: int
    at: Position
    data: Mapping[str, np.ndarray]
    earlier: Sequence[Oracle] = ()
    direction: Mapping[str, np.ndarray] = field(default_factory=dict)
    statistics: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    made: dict[str, dict[tuple[bytes, ...], Evaluated]] = field(default_factory=dict)
    replaced: dict[str, Jet] = field(default_factory=dict)  # by a gradient's variable, wherever its name stands
    known: dict[str, Jet] = field(default_factory=dict)  # definitions without parameters, along this direction

    def __post_init__(self) -> None:
        for name in self.system.networks:  # copies of an oracle share what is there
            self.statistics.setdefault(name, self.state.of(f"statistics/{name}"))

    @property
    def step(self) -> Step:
        return self.system.schedule.steps[self.at.step]

    @property
    def stage(self) -> Stage:
        return self.system.stages[self.system.at(self.at.iteration)[0]]

    def along(self, direction: Mapping[str, np.ndarray]) -> Oracle:
        """Returns: an oracle with the same evaluations and another direction."""
        return replace(self, direction=direction, known={})

    def value(self, tree: Expression, bound: Mapping[str, Jet] | None = None) -> Jet:
        """Returns: the value of a formula, with its derivatives."""
        bound = bound or {}
        match tree:
            case Number(value):
                return jet(value)
            case Name(name):
                return self._name(name, bound)
            case Negative(operand):
                return self.value(operand, bound) * -1.0
            case Binary("^", left, Number(exponent)):
                return self.value(left, bound).power(exponent)
            case Binary(operator, left, right):
                x, y = aligned(self.value(left, bound), self.value(right, bound))
                return {"+": x.__add__, "-": x.__sub__, "*": x.__mul__, "/": x.__truediv__}[operator](y)
            case Call("detach", (argument,)):
                flat = replace(self, direction={}, known={}, replaced={})
                return flat.value(argument, {name: j.flat() for name, j in bound.items()}).flat()
            case Call("grad", (of, Name(name))):
                return self._gradient(of, name, bound)
            case Call("inference", (Call(network, inputs),)):
                return _only(self._network(network, [self.value(i, bound) for i in inputs], False))
            case Call("inference", (Output(Call(network, inputs), name),)):
                return self._network(network, [self.value(i, bound) for i in inputs], False)[name]
            case Call(function, arguments):
                return self._call(function, [self.value(a, bound) for a in arguments])
            case Output(Call(network, inputs), name):
                return self._network(network, [self.value(i, bound) for i in inputs])[name]
        raise NotImplementedError(tree)

    def _name(self, name: str, bound: Mapping[str, Jet]) -> Jet:
        loss = self.system.loss
        if name in bound:
            return bound[name]
        if name in self.replaced:
            return self.replaced[name]
        if name in loss.definitions:
            if self.replaced:
                return self.value(loss.definitions[name].formula.tree)
            if name not in self.known:
                self.known[name] = self.value(loss.definitions[name].formula.tree)
            return self.known[name]
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

    def _drawn(self, name: str) -> np.ndarray:
        noise, at, streams = self.system.schedule.noise, self.at, Streams(self.seed)
        where = Position(at.iteration, 0 if noise == "iteration" else at.step, at.repeat if noise == "repeat" else 0)
        symbol, distribution, batch = (
            self.stage.symbols[name],
            self.system.draws[name].distribution,
            self.system.run.batch,
        )
        if symbol.dtype == "label":
            return np.floor(streams.sample(distribution, name, where, (batch,)))
        return streams.sample(distribution, name, where, (batch, *symbol.shape))

    def _call(self, function: str, arguments: list[Jet]) -> Jet:
        if function in self.stage.networks:
            return _only(self._network(function, arguments))
        if function in self.system.loss.definitions:
            definition = self.system.loss.definitions[function]
            return self.value(definition.formula.tree, dict(zip(definition.parameters, arguments, strict=True)))
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
                return x.clip(rest[0].f, rest[1].f)
            case "cross_entropy":
                largest = x.f.max(axis=2, keepdims=True)
                total = (x - Jet(largest)).exp().linear(lambda v: v.sum(axis=2)).log() + largest[0, :, 0]
                return total - x.linear(lambda v: v[:, np.arange(v.shape[1]), rest[0].f[0].astype(int)])
            case "correct":
                return jet(x.f[0].argmax(axis=1) == rest[0].f[0])
            case "relu":
                return x.kinked(0.0)
            case "abs" | "sqrt" | "exp" | "log" | "tanh" | "sigmoid" | "softplus":
                return getattr(x, function)()
        raise NotImplementedError(function)

    def _gradient(self, of: Expression, name: str, bound: Mapping[str, Jet]) -> Jet:
        if self.replaced:
            raise NotImplementedError("a gradient inside a gradient, other than in detach")
        self.value(of, bound)  # numbers the evaluations in the order of the formula
        base = self._name(name, bound)
        count = base.f.size
        first, mixed = np.zeros(count), np.zeros(count)
        for start in range(0, count, DIRECTIONS):
            end = min(start + DIRECTIONS, count)
            units = np.eye(count)[start:end].reshape(end - start, *base.f.shape[1:])
            tilted = Jet(base.f, units, base.b)
            inner = replace(self, replaced={} if name in bound else {name: tilted})
            out = inner.value(of, {**bound, name: tilted} if name in bound else bound)
            first[start:end] = out.a.reshape(end - start, -1).sum(axis=1)
            if out.ab is not None:
                mixed[start:end] = out.ab.reshape(end - start, -1).sum(axis=1)
        return Jet(first.reshape(base.f.shape), None, mixed.reshape(base.f.shape))

    def _network(self, name: str, inputs: list[Jet], training: bool = True) -> dict[str, Jet]:
        """The k-th distinct evaluation of a network in a step has the masks of occurrence k."""
        key = (*(i.f.tobytes() for i in inputs), bytes([training]))
        for oracle in reversed(self.earlier) if name in self.step.reuse else ():
            if key in oracle.made.get(name, {}):
                if name in self.step.update:  # made by the same parameters: the gradient flows through that evaluation
                    return replace(oracle, direction=self.direction, known={})._network(name, inputs, training)
                return {output: Jet(f) for output, f in oracle.made[name][key].outputs.items()}
        training = training and name not in self.step.inference
        made = self.made.setdefault(name, {})
        known = made.get(key, Evaluated(len(made), self.statistics[name], {}))
        at = Position(self.at.iteration, self.at.step, self.at.repeat, known.occurrence)

        def mask(layer, shape):
            return Streams(self.seed).mask(layer.settings["rate"], f"mask/{name}/{layer.name}", at, shape)

        how = Evaluation(training, self.system.at(self.at.iteration)[1], mask, known.statistics, dict(known.statistics))
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
    """Returns: a random direction in a network's parameter space, of length 1."""
    generator = np.random.default_rng(seed)
    prefix = f"parameters/{network}/"
    found = {n: generator.standard_normal(a.shape) for n, a in state.arrays.items() if n.startswith(prefix)}
    length = math.sqrt(sum(float((a**2).sum()) for a in found.values()))
    return {n: a / length for n, a in found.items()}


def shaken_state(state: TrainingState, seed: int) -> TrainingState:
    """Returns: a state as training could have left it: no bias is 0, no statistic or carried number has its initial value."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, values in state.arrays.items():
        match name.partition("/")[0]:
            case "carried" | "reports":
                arrays[name] = generator.uniform(0.2, 0.8, values.shape)
            case "statistics" if name.endswith("/variance"):
                arrays[name] = values * generator.uniform(0.5, 2.0, values.shape)
            case "statistics":
                arrays[name] = values + generator.normal(0, 0.1, values.shape)
            case "parameters":
                arrays[name] = values + generator.normal(0, 0.02, values.shape)
            case _:
                arrays[name] = values
    return replace(state, arrays=arrays)
