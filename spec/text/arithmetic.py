"""Numbers written as arithmetic: sizes such as "3 * n", "image / 8", and constants.

A number in a spec may be a TOML number or a formula over named numbers. Formulas here have no tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.formula import Binary, Call, Expression, FormulaError, Name, Negative, Number, Output, parts

FUNCTIONS: dict[str, Callable[[float], float]] = {"sqrt": math.sqrt, "floor": lambda v: float(math.floor(v))}
_LARGEST = 1e15  # a size or constant beyond this is a mistake or an attack, and int() of it would be slow


def evaluate(tree: Expression, names: Mapping[str, float], used: set[str] | None = None) -> float:
    """Compute the value of an arithmetic formula.

    Args:
        tree: formula of numbers, names, + - * / ^, sqrt and floor.
        names: value of each name.
        used: set to which the names that were read are added.

    Returns: the value; whole quotients of whole numbers stay exact.

    Raises:
        FormulaError: an unknown name or function, a division by zero, a value that is not a finite real number.
    """
    match tree:
        case Number(value):
            return value
        case Name(name):
            if name not in names:
                raise _unknown(tree, names)
            if used is not None:
                used.add(name)
            return float(names[name])  # a power of two whole numbers could take very long
        case Negative(operand):
            return -evaluate(operand, names, used)
        case Binary(operator, left, right):
            return _binary(operator, evaluate(left, names, used), evaluate(right, names, used), tree)
        case Call(function, arguments) if function in FUNCTIONS and len(arguments) == 1:
            value = evaluate(arguments[0], names, used)
            if function == "sqrt" and value < 0:
                raise FormulaError(f"the square root of {value:g} is not real", tree.span)
            return FUNCTIONS[function](value)
    raise _unknown(tree, names)


def unknown_part(tree: Expression, names: Iterable[str]) -> FormulaError | None:
    """Look for what arithmetic does not have, without computing anything.

    Args:
        tree: formula of numbers, names, + - * / ^, sqrt and floor.
        names: names that it may use.

    Returns: what is wrong with the first name, function or output of a network that arithmetic does not have; None without one.
    """
    match tree:
        case Name(name) if name not in names:
            return _unknown(tree, names)
        case Call(function, arguments) if function not in FUNCTIONS or len(arguments) != 1:
            return _unknown(tree, names)
        case Output():
            return _unknown(tree, names)
    return next((found for part in parts(tree) if (found := unknown_part(part, names))), None)


def _unknown(tree: Expression, names: Iterable[str]) -> FormulaError:
    """Returns: why a name, a call or an output of a network cannot be evaluated."""
    match tree:
        case Name(name) if not names:
            return FormulaError(f"expected a number, found '{name}'", tree.span)
        case Name(name):
            message = f"unknown name '{name}': expected a number or arithmetic on {', '.join(sorted(names))}"
            return FormulaError(message, tree.span, did_you_mean(name, names))
        case Call(function, arguments) if function in FUNCTIONS:
            return FormulaError(f"{function} takes one argument, found {len(arguments)}", tree.span)
        case Call(function):
            message = f"unknown function '{function}': {expected_one_of(FUNCTIONS)}"
            return FormulaError(message, tree.span, did_you_mean(function, FUNCTIONS))
    return FormulaError("a number is expected here, not an output of a network", tree.span)


def _binary(operator: str, left: float, right: float, tree: Expression) -> float:
    try:
        match operator:
            case "+":
                value = left + right
            case "-":
                value = left - right
            case "*":
                value = left * right
            case "/":
                value = left / right
            case _:
                value = left**right
    except ZeroDivisionError:
        raise FormulaError("division by zero", tree.span) from None
    except OverflowError:
        raise FormulaError("the value is too large", tree.span) from None
    if isinstance(value, complex) or not math.isfinite(value) or abs(value) > _LARGEST:
        raise FormulaError("the value is not a real number of ordinary size", tree.span)
    return value
