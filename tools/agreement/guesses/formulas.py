"""Operations of formulas, and what can be wrong in them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ganspec.spec.plan.graph import ARITHMETIC, ELEMENTWISE
from ganspec.spec.reference import functions
from ganspec.spec.reference.jets import Jet, jet
from ganspec.tools.agreement.guesses.case import Candidates, Case, number, told_apart
from ganspec.tools.agreement.guesses.shaping import functions as elementwise
from ganspec.tools.agreement.guesses.weighted import EPSILONS

_OPERATORS = {op: operator for operator, op in ARITHMETIC.items()}
_SAME: Any = object()


def operated(case: Case, op: str = "", value: Any = _SAME, inputs: tuple[np.ndarray, ...] | None = None) -> np.ndarray:
    """Returns: what the reference gives for the node, with some of it replaced."""
    assert case.node is not None
    op, value = op or case.node.op, case.node.value if value is _SAME else value
    x, *rest = (jet(a) for a in (case.inputs if inputs is None else inputs))
    return _result(op, value, x, rest).f[0]


def _result(op: str, value: Any, x: Jet, rest: list[Jet]) -> Jet:
    match op:
        case "negative":
            return x * -1.0
        case "add" | "subtract" | "multiply" | "divide":
            return functions.arithmetic(_OPERATORS[op], x, *rest)
        case "power":
            return x.power(value)
        case "expand":
            return x.linear(lambda v: v.reshape(*v.shape, *(1,) * value))
        case "detach":
            return x
        case "clip":
            return functions.call("clip", x, *map(jet, value))
    return functions.call(op, x, *rest, *([] if value is None else [jet(value)]))


def known(case: Case) -> bool:
    """Returns: whether the node is an operation, and its inputs give the right value."""
    if case.node is None or not case.inputs or case.node.op in ("grad", "network", "output", "draw"):
        return False
    value = operated(case)
    return value.shape == case.right.shape and float(np.linalg.norm(value - case.right)) <= case.tolerance


def reduction(case: Case) -> Candidates:
    if case.node is None or case.node.op not in ("mean", "sum", "batch_mean", "sample_mean"):
        return
    x, op = np.asarray(case.inputs[0], np.float64), case.node.op
    flat = x.reshape(len(x), -1)
    right = {
        "mean": "over everything",
        "sum": "over everything",
        "batch_mean": "over the batch",
        "sample_mean": "over each sample",
    }[op]
    if op == "mean":
        yield f"a sum {right}, where the mean is meant", x.sum()
        if flat.shape[1] > 1:
            yield "a sum over each sample and a mean over the batch, where the mean is over both", flat.sum(1).mean()
            yield "a mean over each sample and a sum over the batch, where the mean is over both", flat.mean(1).sum()
    elif op == "sum":
        yield f"a mean {right}, where the sum is meant", x.mean()
        yield "a sum over each sample and a mean over the batch, where the sum is over both", flat.sum(1).mean()
    elif op == "batch_mean":
        yield "a sum over the batch, where the mean is meant", x.sum(0, keepdims=True)
        yield (
            "the mean over everything, where it is over the batch for each pixel",
            np.broadcast_to(x.mean(), case.right.shape),
        )
    else:
        yield "a sum over each sample, where the mean is meant", flat.sum(1)
        yield "the mean over everything, where it is over each sample", np.broadcast_to(x.mean(), case.right.shape)
    if op in ("mean", "batch_mean"):
        n = len(x)
        yield f"divided by {n - 1}, one less than the batch", case.right * n / max(n - 1, 1)
        yield (
            "the middle value, where the mean is meant",
            np.median(x, axis=0, keepdims=True) if op == "batch_mean" else np.median(x),
        )
    if op in ("mean", "sum"):
        one = flat[0].mean() if op == "mean" else flat[0].sum()
        yield "the first sample alone", np.asarray(one)


def norm(case: Case) -> Candidates:
    if case.node is None or case.node.op != "norm":
        return
    x, own = np.asarray(case.inputs[0], np.float64), case.node.value
    flat = x.reshape(len(x), -1)
    square = (flat * flat).sum(1)
    shape = case.right.shape
    yield (
        "one norm for the whole batch, where each sample has its own",
        np.broadcast_to(np.sqrt((flat * flat).sum() + own), shape),
    )
    for alone in ((), (1,)):
        yield (
            "one norm for the whole batch, where each sample has its own",
            np.full(alone, np.sqrt((flat * flat).sum() + own)),
        )
    yield "the square of the norm: the root is missing", square + own
    yield (
        "the norm is divided by the root of the count: a mean of squares, where their sum is meant",
        np.sqrt((flat * flat).mean(1) + own),
    )
    yield "the sum of absolute values, where the Euclidean norm is meant", abs(flat).sum(1)
    yield "the largest absolute value, where the Euclidean norm is meant", abs(flat).max(1)
    for value in EPSILONS:
        if value != own:
            yield f"the stabiliser under the root is {number(value)}, not {number(own)}", np.sqrt(square + value)
        if value:
            yield (
                f"{number(value)} is added to the norm, where the stabiliser {number(own)} must be under the root",
                np.sqrt(square) + value,
            )
    meant = "where it is over all numbers of a sample"
    for axes in ((1,), (2,), (3,), (2, 3), (1, 2), (1, 3)) if x.ndim == 4 else ():
        part = np.sqrt((x * x).sum(axes) + own)
        rest, over = part.reshape(len(x), -1), " and ".join(("channels", "height", "width")[a - 1] for a in axes)
        yield f"the norm is over the {over} only, {meant}", part
        yield f"the norm is over the {over} only, and the mean over the rest, {meant}", rest.mean(1)
        yield f"the norm is over the {over} only, of the first of the rest, {meant}", rest[:, 0]
    if x.size != len(x):
        yield "the norm is over the batch, where each sample has its own", np.sqrt((x * x).sum(0) + own)


def arithmetic(case: Case) -> Candidates:
    if case.node is None or case.node.op not in _OPERATORS:
        return
    op, (a, b) = case.node.op, case.inputs
    first, second = _words(case)
    if op in ("subtract", "divide"):
        yield (
            f"the operands are exchanged: {second} {_OPERATORS[op]} {first}, where it is {first} {_OPERATORS[op]} {second}",
            operated(case, inputs=(b, a)),
        )
    for other, symbol in _OPERATORS.items():
        if other != op:
            cause = f"{first} {symbol} {second}, where it is {first} {_OPERATORS[op]} {second}"
            yield cause, operated(case, other)
    zero = operated(case, "subtract", inputs=(a, a)) if a.ndim >= b.ndim else operated(case, "subtract", inputs=(b, b))
    if op in ("add", "subtract"):
        yield f"{second} is missing", zero + operated(case, "add", inputs=(a, 0 * b))
        yield f"{first} is missing", zero + operated(case, op, inputs=(0 * a, b))
        yield f"both are negative: -({first} {_OPERATORS[op]} {second})", -case.right
        yield f"{second} is there twice", operated(case, inputs=(a, 2 * b))
    else:
        yield f"the factor {second} is missing", zero + operated(case, "add", inputs=(a, 0 * b))
        if op == "multiply":
            yield f"the factor {first} is missing", zero + operated(case, "add", inputs=(0 * a, b))
    for i, (name, x) in enumerate(((first, a), (second, b))):
        if x.ndim and len(x) > 1:
            for what, value in {
                "has the samples in reverse order": x[::-1],
                "is that of the first sample, for all": np.broadcast_to(x[:1], x.shape),
                "is the mean over the batch, for all": np.broadcast_to(x.mean(0, keepdims=True), x.shape),
            }.items():
                yield f"{name} {what}", operated(case, inputs=(value, b) if i == 0 else (a, value))
        if x.size and ((x >= 0) & (x <= 1)).all() and ((x > 0) & (x < 1)).any():
            yield (
                f"1 - {name} stands for {name}: the two that are mixed are exchanged",
                operated(case, inputs=(1 - x, b) if i == 0 else (a, 1 - x)),
            )


def _words(case: Case) -> tuple[str, str]:
    """Returns: names of the two operands."""
    names = ["the first operand", "the second operand"]
    for i, x in enumerate(case.inputs):
        if x.ndim == 0:
            names[i] = number(float(x))
    return names[0], names[1]


def function(case: Case) -> Candidates:
    """Another elementwise function of the same input."""
    if case.node is None or case.node.op not in (*ELEMENTWISE, "power", "detach"):
        return
    x, op = np.asarray(case.inputs[0], np.float64), case.node.op
    meant = f"where {_meaning(case)} is meant"
    others = {
        **elementwise(x),
        "the square": x * x,
        "half the square": x * x / 2,
        "the cube": x**3,
        "the square root": np.sqrt(x),
        "1 divided by it": 1 / x,
        "exp": np.exp(x),
        "log": np.log(x),
        "log to the base of 2": np.log2(x),
        "log to the base of 10": np.log10(x),
        "log(1 + v)": np.log1p(x),
        "log(1 - v)": np.log(1 - x),
        "softplus, which is linear above 20": np.where(x > 20, x, np.logaddexp(x, 0.0)),
        "log(1 + exp(v)), which is infinite for large v": np.log(1 + np.exp(x)),
        "-log(sigmoid(v)): softplus(-v)": np.logaddexp(-x, 0.0),
        "log(sigmoid(v)): -softplus(-v)": -np.logaddexp(-x, 0.0),
        "softplus(v) of the wrong sign: -softplus(v)": -np.logaddexp(x, 0.0),
        "sigmoid(-v)": 1 / (1 + np.exp(x)),
        "relu(-v)": np.maximum(-x, 0.0),
    }
    others = {name: value for name, value in others.items() if name not in _NAMES_OF.get(op, ())}
    for name, value in told_apart(others, case.right).items():
        cause = f"the function is missing: v itself, {meant}" if name == "the identity" else f"{name}, {meant}"
        yield cause, value
    if op in ("sqrt", "log"):
        for epsilon in EPSILONS:
            if epsilon:
                yield f"{number(epsilon)} is added before {op}", operated(case, inputs=(x + epsilon,))
                yield (
                    f"{number(epsilon)} is the least that {op} is taken of",
                    operated(case, inputs=(np.maximum(x, epsilon),)),
                )
    if op == "power":
        for exponent in (1.0, 2.0, 3.0, 0.5, -1.0, -0.5, 4.0):
            if exponent != case.node.value:
                yield f"the power {number(exponent)}, not {number(case.node.value)}", operated(case, value=exponent)
        yield "the absolute value, where the square is meant", abs(x)
        yield (
            "the mean before the power, where it is the power of each: one number for the batch",
            np.broadcast_to(x.mean() ** case.node.value, case.right.shape),
        )


_NAMES_OF = {
    "abs": ("the absolute value",),
    "power": ("the square", "the cube", "the square root", "1 divided by it", "the identity", "the absolute value"),
    "relu": ("relu",),
    "softplus": ("softplus",),
    "sigmoid": ("sigmoid",),
    "sqrt": ("the square root",),
}


def _meaning(case: Case) -> str:
    assert case.node is not None
    match case.node.op:
        case "power":
            return f"v ^ {number(case.node.value)}"
        case "negative":
            return "-v"
        case "detach":
            return "v"
    return f"{case.node.op}(v)"


def missing_sign(case: Case) -> Candidates:
    if case.node is not None and case.node.op == "negative":
        yield "the sign is missing: what should be minimised is maximised", -case.right


def clip(case: Case) -> Candidates:
    if case.node is None or case.node.op != "clip":
        return
    x, (low, high) = np.asarray(case.inputs[0], np.float64), case.node.value
    within = f"[{number(low)}, {number(high)}]"
    ways = {
        f"clip is missing: the number is not kept in {within}": x,
        f"the number is not kept above {number(low)}": np.minimum(x, high),
        f"the number is not kept below {number(high)}": np.maximum(x, low),
    }
    for a, b in ((0.0, 1.0), (-1.0, 1.0), (-0.01, 0.01), (0.0, math.inf)):
        ways[f"the number is kept in [{number(a)}, {number(b)}], not in {within}"] = x.clip(a, b)
    for i, (cause, value) in enumerate(ways.items()):
        if not any(np.array_equal(value, other) for other in list(ways.values())[:i]):  # the first says the most
            yield cause, value


RULES = (reduction, norm, arithmetic, function, missing_sign, clip)
