"""Formulas evaluated on somebody's own arrays: what a loss function is called with, such as "D(G(z))"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import add, mul, pow, sub, truediv
from typing import Any

from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output, render
from ganspec.tools.conformance.errors import ConformanceError

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul, "/": truediv, "^": pow}


def value_of(tree: Expression, known: Mapping[str, Any]) -> Any:
    """Evaluate a formula of names, networks' evaluations and arithmetic.

    Args:
        tree: the formula.
        known: arrays, numbers and networks by name.

    Raises:
        ConformanceError: the formula does more than that.
    """
    match tree:
        case Number(value):
            return value
        case Name(name):
            return known[name]
        case Negative(operand):
            return -value_of(operand, known)
        case Binary(operator, left, right):
            return _OPERATORS[operator](value_of(left, known), value_of(right, known))
        case Output(inner, name):
            return value_of(inner, known)[name]
        case Call("detach", (argument,)):
            value = value_of(argument, known)
            return value.detach() if hasattr(value, "detach") else type(value)(value.array)
        case Call(function, arguments) if function in known:
            return known[function](*(value_of(a, known) for a in arguments))
    raise ConformanceError(f"arguments: '{render(tree)}' is more than a network's evaluation and arithmetic")


def names_in(tree: Expression) -> Iterator[str]:
    """Yields: the names that a formula reads and the functions that it calls."""
    match tree:
        case Name(name):
            yield name
        case Negative(operand) | Output(operand, _):
            yield from names_in(operand)
        case Binary(_, left, right):
            yield from names_in(left)
            yield from names_in(right)
        case Call(function, arguments):
            yield function
            for argument in arguments:
                yield from names_in(argument)
