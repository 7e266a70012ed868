"""Functions that Chainer evaluated outside of networks, as formulas of the language.

A value carries the formula by which it was computed. Sums and means over an array, or over each sample, keep their factor apart:
`F.sum(v) / batchsize` is read as the mean that it is. What has no formula carries the reason instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganspec.spec.text.formula import Binary, Call, Expression, Negative, Number

_CLOSE = 1e-9  # factors that differ by less are the same: 1 / 3 times 3 is not always 1


@dataclass(frozen=True)
class Lifted:
    """A value as a formula.

    Args:
        tree: the formula; None where it has none.
        shape: shape of the value.
        why: why it has none, "updater.py:41: ...".
        over: "all" or "sample" where the value is `factor` times the mean of `tree` over that, plus `plus`; else "".
        size: number of elements that were summed for one number.
        factor, plus: see `over`.
    """

    tree: Expression | None
    shape: tuple[int, ...]
    why: str = ""
    over: str = ""
    size: int = 1
    factor: float = 1.0
    plus: float = 0.0

    def formula(self) -> Expression:
        """Returns: the whole formula."""
        assert self.tree is not None
        if not self.over:
            return self.tree
        whole = self.over == "all"
        if whole and _same(self.factor, self.size) and not _same(self.size, 1):
            summed: Expression = Call("sum", (self.tree,))
        elif whole and _same(self.factor, -self.size) and not _same(self.size, 1):
            summed = Negative(Call("sum", (self.tree,)))
        else:
            mean = Call("mean" if whole else "sample_mean", (self.tree,))
            summed = times(self.factor, mean)
        return plus_number(summed, self.plus)


def number(value: float) -> Expression:
    """Returns: a number as a formula; whole ones without a point, and those next to a short one as that."""
    short = float(f"{value:.12g}")
    value = short if abs(short - value) <= 1e-14 * abs(value) else value
    whole = value == int(value) if math.isfinite(value) else False
    made = Number(int(abs(value)) if whole else abs(value))  # type: ignore[arg-type]
    return Negative(made) if value < 0 else made


def times(factor: float, tree: Expression) -> Expression:
    """Returns: factor tree, as short as can be."""
    if _same(factor, 1):
        return tree
    if _same(factor, -1):
        return Negative(tree)
    made = Binary("*", number(abs(factor)), tree)
    return Negative(made) if factor < 0 else made


def plus_number(tree: Expression, value: float) -> Expression:
    """Returns: tree + value, as short as can be."""
    if value == 0:
        return tree
    if value > 0 and isinstance(tree, Negative):
        return Binary("-", number(value), tree.operand)
    return Binary("+" if value > 0 else "-", tree, number(abs(value)))


def plus(left: Expression, right: Expression, sign: int = 1) -> Expression:
    """Returns: left + right, or left - right."""
    if isinstance(right, Negative):
        right, sign = right.operand, -sign
    if sign > 0 and isinstance(left, Negative):
        return Binary("-", right, left.operand)
    return Binary("+" if sign > 0 else "-", left, right)


def unknown(shape: Sequence[int], why: str) -> Lifted:
    """Returns: a value without a formula."""
    return Lifted(None, tuple(shape), why)


def lift(function: Any, inputs: Sequence[Lifted], output: Any, line: str) -> Lifted:
    """Read what a function computed.

    Args:
        function: the function node, after its forward pass.
        inputs: its inputs.
        output: the array that it gave.
        line: line of his file that called it.
    """
    bad = next((i for i in inputs if i.tree is None), None)
    if bad is not None:
        return replace(bad, shape=output.shape)
    name = type(function).__name__
    rule = _RULES.get(name)
    found = rule(function, inputs, output) if rule is not None else None
    if found is None:
        return unknown(output.shape, f"{line}: {name} has no formula in the language of losses")
    return replace(found, shape=tuple(output.shape))


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= _CLOSE * max(abs(a), abs(b))


def _of(tree: Expression) -> Lifted:
    return Lifted(tree, ())


def _call(name: str) -> Callable[..., Lifted]:
    return lambda function, inputs, output: _of(Call(name, (inputs[0].formula(),)))


def _unchanged(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted:
    return inputs[0]


def _reshaped(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    """The same numbers; as formulas know no axes, only where samples stay samples."""
    (a,) = inputs
    keeps = a.shape[:1] == output.shape[:1] or output.size == 1 or a.shape == ()
    return a if keeps else None


def _scaled(factor: Callable[[Any], float]) -> Callable[..., Lifted]:
    return lambda function, inputs, output: _times(inputs[0], factor(function))


def _times(a: Lifted, by: float) -> Lifted:
    """Returns: a value times a number."""
    if a.over:
        return replace(a, factor=a.factor * by, plus=a.plus * by)
    return _of(times(by, a.formula()))


def _added(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted:
    (a,), value = inputs, float(function.value)
    return replace(a, plus=a.plus + value) if a.over else _of(plus_number(a.formula(), value))


def _binary(operator: str) -> Callable[..., Lifted]:
    def rule(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted:
        left, right = (i.formula() for i in inputs)
        if operator == "*" and math.prod(inputs[1].shape) < math.prod(inputs[0].shape):
            left, right = right, left  # eps * x, as papers write it
        if operator in "+-":
            return _of(plus(left, right, 1 if operator == "+" else -1))
        if operator == "*" and left == right:
            return _of(Binary("^", left, number(2)))
        for one, other in ((inputs[0], inputs[1]), (inputs[1], inputs[0])):
            value = _constant(one.tree)
            if operator == "*" and value is not None and not one.over:
                return _times(other, value)
        value = _constant(inputs[1].tree)
        if operator == "/" and value and not inputs[1].over:
            return _times(inputs[0], 1 / value)
        return _of(Binary(operator, left, right))

    return rule


def _constant(tree: Expression | None) -> float | None:
    match tree:
        case Number(value):
            return value
        case Negative(Number(value)):
            return -value
    return None


def _total(mean: bool) -> Callable[..., Lifted | None]:
    """A sum or a mean over all numbers, or over those of each sample."""

    def rule(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
        (a,), axis = inputs, function.axis
        axes = set(range(len(a.shape))) if axis is None else {i % len(a.shape) for i in axis}
        size = math.prod(a.shape[i] for i in axes)
        factor = 1.0 if mean else float(size)
        big = {i for i, n in enumerate(a.shape) if n != 1}
        if big <= axes:  # one number
            if a.over == "sample":
                return Lifted(a.formula(), (), "", "all", size, factor)
            return (
                Lifted(a.formula(), (), "", "all", size, factor)
                if a.over != "all"
                else replace(a, factor=a.factor * factor)
            )
        if 0 not in axes and big - {0} <= axes:
            return Lifted(a.formula(), (), "", "sample", size, factor)
        if axes == {0} and mean:
            return _of(Call("batch_mean", (a.formula(),)))
        return a if not big & axes else None

    return rule


def _root(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted:
    (a,) = inputs
    squared = a.over == "sample" and _same(a.factor, a.size) and a.plus >= 0 and isinstance(a.tree, Binary)
    if squared and isinstance(a.tree, Binary) and a.tree.operator == "^" and _constant(a.tree.right) == 2:
        return _of(Call("norm", (a.tree.left, *([number(a.plus)] if a.plus else []))))
    return _of(Call("sqrt", (a.formula(),)))


def _power(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    exponent = 2.0 if type(function).__name__ == "Square" else function.value
    if np.ndim(exponent) or not isinstance(float(exponent), float):
        return None
    return (
        _root(function, inputs, output)
        if exponent == 0.5
        else _of(Binary("^", inputs[0].formula(), number(float(exponent))))
    )


def _squares(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted:
    """Squares summed for each sample."""
    (a,) = inputs
    size = math.prod(a.shape[1:])
    return Lifted(Binary("^", a.formula(), number(2)), (), "", "sample", size, float(size))


def _distance(squared: bool) -> Callable[..., Lifted]:
    def rule(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted:
        a, b = inputs
        value = _constant(b.tree)
        apart = plus_number(a.formula(), -value) if value is not None else plus(a.formula(), b.formula(), -1)
        term = Binary("^", apart, number(2)) if squared else Call("abs", (apart,))
        return Lifted(term, (), "", "all", math.prod(a.shape), 1.0)

    return rule


def _sigmoid_cross_entropy(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    logits, target = inputs[0].formula(), _constant(inputs[1].tree)
    if target not in (0, 1) or function.reduce != "mean":
        return None
    term = Call("softplus", (Negative(logits) if target == 1 else logits,))
    size = math.prod(inputs[0].shape)
    return Lifted(term, (), "", "all", size, size / float(function.count))


def _softmax_cross_entropy(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    plain = function.reduce == "mean" and function.class_weight is None and len(inputs[0].shape) == 2
    if not plain:
        return None
    term = Call("cross_entropy", (inputs[0].formula(), inputs[1].formula()))
    return Lifted(term, (), "", "all", inputs[0].shape[0], 1.0)


def _maximum(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    values = [_constant(i.tree) for i in inputs]
    return _of(Call("relu", (inputs[1 - values.index(0)].formula(),))) if 0 in values else None


def _clip(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    low, high = function.x_min, function.x_max
    if low is None or high is None:
        return None
    return _of(Call("clip", (inputs[0].formula(), number(float(low)), number(float(high)))))


def _softplus(function: Any, inputs: Sequence[Lifted], output: Any) -> Lifted | None:
    return _of(Call("softplus", (inputs[0].formula(),))) if function.beta == 1 else None


_RULES: dict[str, Callable[..., Lifted | None]] = {
    "Add": _binary("+"), "Sub": _binary("-"), "Mul": _binary("*"), "Div": _binary("/"),
    "AddConstant": _added, "Neg": _scaled(lambda f: -1.0), "MulConstant": _scaled(lambda f: float(f.value)),
    "SubFromConstant": lambda f, i, o: _added(f, [_times(i[0], -1.0)], o),
    "DivFromConstant": lambda f, i, o: _of(Binary("/", number(float(f.value)), i[0].formula())),
    "PowVarConst": _power, "Square": _power, "Sqrt": _root, "BatchL2NormSquared": _squares,
    "Absolute": _call("abs"), "Exp": _call("exp"), "Log": _call("log"), "Sigmoid": _call("sigmoid"), "Tanh": _call("tanh"),
    "ReLU": _call("relu"), "Softplus": _softplus, "Clip": _clip, "Maximum": _maximum,
    "Sum": _total(mean=False), "Mean": _total(mean=True),
    "MeanSquaredError": _distance(squared=True), "MeanAbsoluteError": _distance(squared=False),
    "SigmoidCrossEntropy": _sigmoid_cross_entropy, "SoftmaxCrossEntropy": _softmax_cross_entropy,
    "BroadcastTo": _unchanged, "Cast": _unchanged, "Identity": _unchanged, "Copy": _unchanged,
    "Reshape": _reshaped, "Squeeze": _reshaped, "ExpandDims": _reshaped,
}  # fmt: skip
