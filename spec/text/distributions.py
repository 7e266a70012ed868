"""Distributions written as formulas: "uniform(-1, 1)", "normal(0, 0.02)", or a number for a constant.

Both random draws and initial values are written this way, so that nothing hides behind a name: Glorot's uniform
initialisation is "uniform(-sqrt(6 / (fan_in + fan_out)), sqrt(6 / (fan_in + fan_out)))". Numbers are drawn from a
distribution in `streams`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ganspec.spec.text.arithmetic import FUNCTIONS, evaluate
from ganspec.spec.text.errors import did_you_mean
from ganspec.spec.text.formula import Call, Expression, FormulaError

KINDS = {"uniform": ("low", "high"), "normal": ("mean", "std")}


@dataclass(frozen=True)
class Distribution:
    """A distribution of independent numbers.

    Args:
        kind: "uniform" on [a, b), "normal" with mean a and standard deviation b, or "constant" a (then b is 0).
        a: lower bound, mean or value.
        b: upper bound or standard deviation.
    """

    kind: str
    a: float
    b: float

    def __str__(self) -> str:
        return f"{self.a!r}" if self.kind == "constant" else f"{self.kind}({self.a!r}, {self.b!r})"


def distribution(tree: Expression, names: Mapping[str, float], used: set[str] | None = None) -> Distribution:
    """Read a distribution from a formula over named numbers.

    Args:
        tree: formula such as uniform(-1, 1), or arithmetic for a constant.
        names: value of each name.
        used: set to which the names that were read are added.

    Returns: the distribution.

    Raises:
        FormulaError: an unknown distribution, the wrong number of arguments, an empty interval or a negative
            standard deviation.
    """
    if isinstance(tree, Call) and tree.function in KINDS:
        if len(tree.arguments) != 2:
            low, high = KINDS[tree.function]
            raise FormulaError(
                f"{tree.function} takes two arguments, {low} and {high}; found {len(tree.arguments)}", tree.span
            )
        a, b = (float(evaluate(argument, names, used)) for argument in tree.arguments)
        if tree.function == "uniform" and not a < b:
            raise FormulaError(f"uniform needs low < high, found {a:g} and {b:g}", tree.span)
        if tree.function == "normal" and not b > 0:
            raise FormulaError(f"normal needs a standard deviation above 0, found {b:g}", tree.span)
        return Distribution(tree.function, a, b)
    if isinstance(tree, Call) and tree.function not in FUNCTIONS:
        raise FormulaError(
            f"unknown distribution '{tree.function}': expected uniform(low, high), normal(mean, std) or a number",
            tree.span,
            did_you_mean(tree.function, KINDS),
        )
    return Distribution("constant", float(evaluate(tree, names, used)), 0.0)
