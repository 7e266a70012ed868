"""Which expressions mean the same: in one step equal expressions are one value, and one evaluation of a network.

A number stands for each meaning. Names stand for what they mean: a definition for its formula, a constant for its number. Values
play no part: where x is positive, D(x) and D(abs(x)) are still two evaluations, each with dropout masks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ganspec.spec.parts.schedule import Step
from ganspec.spec.plan.graph import ELEMENTWISE
from ganspec.spec.system import System
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output

_ARITHMETIC = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
}


@dataclass(frozen=True)
class Argument:
    """What a definition's parameter stands for: an expression, and what its own names stand for; `meaning` numbers it."""

    tree: Expression
    bound: Bound
    meaning: int


Bound = Mapping[str, Argument]


@dataclass
class Meanings:
    """Numbers for the meanings of expressions, the same in all steps of an iteration.

    Args:
        system: system whose formulas they are.
    """

    system: System
    _meanings: dict[tuple[object, ...], int] = field(default_factory=dict)
    _numbers: dict[int, float] = field(default_factory=dict)
    _expanded: dict[tuple[object, ...], int] = field(default_factory=dict)

    def of(self, tree: Expression, bound: Mapping[str, int], step: Step) -> int:
        """Number the meaning of an expression.

        Args:
            tree: the expression.
            bound: meanings of the parameters of the definition in which it stands.
            step: step in which it is evaluated: reports that it computes mean their formulas, others their last value.

        Returns: a number that is equal for equal meanings.
        """
        match tree:
            case Number(value):
                return self._number(value)
            case Name(name):
                return self._name(name, bound, step)
            case Negative(operand):
                return self._operation("negative", [self.of(operand, bound, step)], lambda a: -a)
            case Binary(operator, left, right):
                a, b = self.of(left, bound, step), self.of(right, bound, step)
                if operator == "^" and self._numbers.get(b) == 1.0:  # v ^ 1 is v
                    return a
                return self._operation(operator, [a, b], _ARITHMETIC[operator])
            case Output(Call("inference", (Call(network, inputs),)), name):
                return self._network(network, inputs, name, bound, step, False)
            case Output(Call(network, inputs), name):
                return self._network(network, inputs, name, bound, step, True)
            case Call("inference", (Call(network, inputs),)):
                return self._network(network, inputs, "", bound, step, False)
            case Call("inference", (Output(Call(network, inputs), name),)):
                return self._network(network, inputs, name, bound, step, False)
            case Call(function, arguments) if function in self.system.networks:
                return self._network(function, arguments, "", bound, step, True)
            case Call(function, arguments) if function in self.system.loss.definitions:
                return self._definition(function, [self.of(a, bound, step) for a in arguments], step)
            case Call(function, arguments):
                return self._function(function, [self.of(a, bound, step) for a in arguments])
        raise NotImplementedError(tree)

    def _name(self, name: str, bound: Mapping[str, int], step: Step) -> int:
        loss = self.system.loss
        if name in bound:
            return bound[name]
        if name in loss.definitions:
            return self._definition(name, [], step)
        if name in loss.constants:
            return self._number(loss.constants[name])
        if name in loss.reports and not set(loss.reports[name].networks).isdisjoint(step.update):
            return self.of(loss.reports[name].value.tree, {}, step)
        return self._meaning("name", name)

    def _definition(self, name: str, arguments: list[int], step: Step) -> int:
        key = (name, step, *arguments)
        if key not in self._expanded:  # remembered, or else definitions of definitions would take exponential time
            definition = self.system.loss.definitions[name]
            bound = dict(zip(definition.parameters, arguments, strict=True))
            self._expanded[key] = self.of(definition.formula.tree, bound, step)
        return self._expanded[key]

    def _network(
        self,
        name: str,
        inputs: tuple[Expression, ...],
        output: str,
        bound: Mapping[str, int],
        step: Step,
        training: bool,
    ) -> int:
        training = training and name not in step.inference
        meaning = self._meaning("network", name, training, *(self.of(i, bound, step) for i in inputs))
        several = len(self.system.networks[name].outputs) > 1
        return self._meaning("output", meaning, output) if several else meaning

    def _function(self, function: str, arguments: list[int]) -> int:
        match function, arguments:
            case "norm", [a]:
                return self._meaning("norm", a, self._number(0.0))
            case "detach", [a] if a in self._numbers:
                return a
            case "clip", [a, low, high] if a in self._numbers:
                return self._number(min(max(self._numbers[a], self._numbers[low]), self._numbers[high]))
        if function in ELEMENTWISE:
            return self._operation(function, arguments, ELEMENTWISE[function])
        return self._meaning(function, *arguments)

    def _operation(self, name: str, operands: list[int], compute: object) -> int:
        """Returns: the meaning of an operation; that of plain numbers is a plain number."""
        if all(a in self._numbers for a in operands):
            return self._number(float(compute(*(self._numbers[a] for a in operands))))  # type: ignore[operator]
        return self._meaning(name, *operands)

    def _number(self, value: float) -> int:
        meaning = self._meaning("number", float(value))
        self._numbers[meaning] = float(value)
        return meaning

    def _meaning(self, *key: object) -> int:
        return self._meanings.setdefault(key, len(self._meanings))
