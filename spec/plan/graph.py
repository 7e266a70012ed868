"""Formulas as a graph of operations: nodes with shapes, equal ones shared.

A `Graph` gives equal operations on equal inputs one node: `D(G(z))` that is written three times is evaluated once. The batch
axis is the symbol "N". Two operands have equally many axes, and an axis of size 1 is repeated to the other's size; or one of
them is a single number, or one number for each sample, so that (N,) scales images (N, 3, 32, 32). Backends give each operation
its meaning by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import add, mul, sub, truediv
from typing import Any

Axes = tuple[int | str, ...]  # a shape whose first axis is the batch, "N"; () for one number for the whole batch

# Elementwise functions of one operand, and what each does to a plain number.
ELEMENTWISE: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "softplus": lambda a: max(a, 0.0) + math.log1p(math.exp(-abs(a))),
    "sigmoid": lambda a: 1.0 / (1.0 + math.exp(-a)) if a >= 0 else math.exp(a) / (1.0 + math.exp(a)),
    "tanh": math.tanh,
    "relu": lambda a: max(a, 0.0),
}
REDUCTIONS = ("mean", "sum", "batch_mean", "sample_mean")
CLASSIFICATIONS = ("cross_entropy", "correct")
NON_DIFFERENTIABLE = ("detach", "correct")  # no gradient flows through these
ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
MAX_NODES = 2000  # of one step; the largest of the field's papers here has under 100


class MeaningError(Exception):
    """Operands do not fit an operation; the message says what it takes."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Args:
        op: name of the operation; values come from "constant", "draw", "carried", "recall", "kept" and "network".
        inputs: nodes that it reads.
        shape: shape of its value; None for a network with several outputs, whose "output" nodes have shapes.
        dtype: "float" or "label".
        value: what is fixed: a number, a name, an exponent, bounds, a stabiliser, a label.
        training: whether a network is evaluated in training mode.
    """

    op: str
    inputs: tuple[int, ...]
    shape: Axes | None
    dtype: str = "float"
    value: Any = None
    training: bool = True


@dataclass
class Graph:
    """Nodes in an order in which they can be evaluated."""

    nodes: list[Node] = field(default_factory=list)
    _index: dict[Node, int] = field(default_factory=dict)

    def add(
        self,
        op: str,
        inputs: tuple[int, ...],
        shape: Axes | None,
        dtype: str = "float",
        value: Any = None,
        training: bool = True,
    ) -> int:
        """Returns: the index of this node, or of the equal one that is there."""
        node = Node(op, inputs, shape, dtype, value, training)
        if node not in self._index:
            if len(self.nodes) >= MAX_NODES:
                raise MeaningError(f"the formulas of one step need more than {MAX_NODES} operations")
            self._index[node] = len(self.nodes)
            self.nodes.append(node)
        return self._index[node]

    def constant(self, value: float) -> int:
        return self.add("constant", (), (), value=float(value))

    def negative(self, a: int) -> int:
        if (value := self._number(a)) is not None:
            return self.constant(-value)
        return self.add("negative", (self._float(a, "-"),), self.nodes[a].shape)

    def arithmetic(self, operator: str, a: int, b: int) -> int:
        """Add a + b, a - b, a * b or a / b, expanding the operand with fewer axes."""
        numbers = self._number(a), self._number(b)
        if numbers[0] is not None and numbers[1] is not None:
            return self.constant(_fold(operator, numbers[0], numbers[1]))
        for i in (a, b):
            self._float(i, operator)
        rank = max(len(self.shape(a)), len(self.shape(b)))
        if any(1 < len(self.shape(i)) < rank for i in (a, b)):
            raise MeaningError(_not_broadcast(self.shape(a), self.shape(b)))
        a, b = self._expand(a, rank), self._expand(b, rank)
        shape = self.shape(a) or self.shape(b)
        if self.shape(a) and self.shape(b):
            shape = tuple(self._broadcast(x, y, a, b) for x, y in zip(self.shape(a), self.shape(b), strict=True))
        return self.add(ARITHMETIC[operator], (a, b), shape)

    def power(self, a: int, b: int) -> int:
        """Add a ^ b; the exponent is a plain number."""
        exponent = self._number(b)
        if exponent is None:
            raise MeaningError("an exponent must be a number")
        if (base := self._number(a)) is not None:
            return self.constant(_fold("^", base, exponent))
        if exponent == 1.0:  # frameworks differ in this power's second derivative at 0
            return self._float(a, "^")
        if exponent == 0.0:
            raise MeaningError("v ^ 0 is 1, whatever v is; write 1")
        return self.add("power", (self._float(a, "^"),), self.nodes[a].shape, value=exponent)

    def elementwise(self, function: str, a: int) -> int:
        if (value := self._number(a)) is not None:
            try:
                return self.constant(ELEMENTWISE[function](value))
            except (ValueError, OverflowError):
                raise MeaningError(f"{function}({value:g}) is not a number") from None
        return self.add(function, (self._float(a, function),), self.nodes[a].shape)

    def clip(self, a: int, low: int, high: int) -> int:
        bounds = self._number(low), self._number(high)
        if bounds[0] is None or bounds[1] is None or not bounds[0] < bounds[1]:
            raise MeaningError("clip(v, low, high) needs two numbers, low < high")
        if (value := self._number(a)) is not None:
            return self.constant(min(max(value, bounds[0]), bounds[1]))
        return self.add("clip", (self._float(a, "clip"),), self.nodes[a].shape, value=bounds)

    def reduce(self, function: str, a: int) -> int:
        """Add mean or sum, over all axes; batch_mean, over the batch for each pixel; or sample_mean, over each sample."""
        shape = self._batch(self._float(a, function), function, function not in ("mean", "sum"))
        axes: dict[str, Axes] = {"batch_mean": (1, *shape[1:]), "sample_mean": ("N",)}
        return self.add(function, (a,), axes.get(function, ()))

    def norm(self, a: int, stabiliser: int | None) -> int:
        """Add sqrt(sum of a^2 + stabiliser) of each sample, over all its other axes.

        Without a stabiliser, or with 0, the gradient at 0 is 0.
        """
        self._batch(self._float(a, "norm"), "norm", True)
        number = 0.0 if stabiliser is None else self._number(stabiliser)
        if number is None or number < 0:
            raise MeaningError("the stabiliser of norm(v, stabiliser) is a number of at least 0")
        return self.add("norm", (a,), ("N",), value=number)

    def classify(self, function: str, a: int, label: int) -> int:
        """Add one number for each sample: cross_entropy, -log softmax(a) at the label; or correct, 1 where it is a's largest.

        The label is drawn, or one number for all samples.
        """
        shape = self.shape(self._float(a, function))
        if len(shape) != 2 or shape[0] != "N" or shape[1] == 1:
            raise MeaningError(
                f"{function} takes logits of shape (N, classes), at least 2 classes; found {format_axes(shape)}"
            )
        number = self._number(label)
        if number is None and self.nodes[label].dtype != "label":
            raise MeaningError(f"the second argument of {function} is a label: drawn, or a whole number")
        if number is None:
            return self.add(function, (a, label), ("N",))
        if number != int(number) or not 0 <= number < int(shape[1]):
            raise MeaningError(f"{number:g} is not a label of {shape[1]} classes, which are counted from 0")
        return self.add(function, (a,), ("N",), value=int(number))

    def _batch(self, a: int, function: str, per_sample: bool) -> Axes:
        shape = self.shape(a)
        if not shape:
            raise MeaningError(f"{function} of a single number; it takes values of a batch")
        if per_sample and shape[0] != "N":
            raise MeaningError(f"{function} is over or for each sample; {format_axes(shape)} has no batch axis")
        return shape

    def detach(self, a: int) -> int:
        """Add the same value, through which no gradient flows."""
        if self._number(a) is not None:
            return a
        return self.add("detach", (self._float(a, "detach"),), self.nodes[a].shape)

    def gradient(self, of: int, to: int) -> int:
        """Add the gradient of the sum of `of` with respect to `to`; it can be differentiated again."""
        self._float(of, "grad"), self._float(to, "grad")
        if self._number(to) is not None:
            raise MeaningError("grad(a, b) is with respect to what is computed or drawn; this b is a number")
        if of not in self.dependants(to) or of == to:
            raise MeaningError("grad(a, b) needs an a that depends on b, other than through detach")
        return self.add("grad", (of, to), self.nodes[to].shape)

    def shape(self, a: int) -> Axes:
        shape = self.nodes[a].shape
        if shape is None:
            raise MeaningError(f"the network '{self.nodes[a].value}' has several outputs; name one")
        return shape

    def ancestors(self, of: set[int]) -> set[int]:
        """Returns: the nodes from which those of `of` are computed, and these themselves."""
        return self._upstream(of, ())

    def sources(self, of: set[int]) -> set[int]:
        """Returns: the nodes to which a gradient of those of `of` flows, and these themselves."""
        return self._upstream(of, NON_DIFFERENTIABLE)

    def _upstream(self, of: set[int], ends: tuple[str, ...]) -> set[int]:
        found = set(of)
        for i in range(max(found, default=-1), -1, -1):
            if i in found and self.nodes[i].op not in ends:
                found.update(self.nodes[i].inputs)
        return found

    def dependants(self, on: int) -> set[int]:
        """Returns: the nodes through which a gradient with respect to `on` flows, `on` among them."""
        found = {on}
        for i in range(on + 1, len(self.nodes)):
            if self.nodes[i].op not in NON_DIFFERENTIABLE and not found.isdisjoint(self.nodes[i].inputs):
                found.add(i)
        return found

    def meanings(self, known: dict[tuple[object, ...], int]) -> list[int]:
        """Returns: a number for what each node computes, equal in every graph that is numbered with the same `known`."""
        numbers: list[int] = []
        for node in self.nodes:
            key = (node.op, node.value, node.training, *(numbers[i] for i in node.inputs))
            numbers.append(known.setdefault(key, len(known)))
        return numbers

    def _number(self, a: int) -> float | None:
        node = self.nodes[a]
        return node.value if node.op == "constant" else None

    def _float(self, a: int, what: str) -> int:
        if self.nodes[a].dtype != "float":
            raise MeaningError(f"{what} takes numbers, not labels")
        self.shape(a)
        return a

    def _expand(self, a: int, rank: int) -> int:
        shape = self.shape(a)
        if not shape or len(shape) == rank:
            return a  # a single number meets anything
        missing = rank - len(shape)
        return self.add("expand", (a,), shape + (1,) * missing, value=missing)

    def _broadcast(self, x: int | str, y: int | str, a: int, b: int) -> int | str:
        if y in (x, 1):
            return x
        if x == 1:
            return y
        raise MeaningError(_not_broadcast(self.shape(a), self.shape(b)))


def _not_broadcast(a: Axes, b: Axes) -> str:
    return f"the shapes {format_axes(a)} and {format_axes(b)} cannot be broadcast together"


def format_axes(shape: Axes | None) -> str:
    """Returns: a shape with its batch axis as people write it: "(N, 784)"."""
    if shape is None:
        return "several outputs"
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


_FOLD: dict[str, Callable[[float, float], Any]] = {"+": add, "-": sub, "*": mul, "/": truediv, "^": pow}


def _fold(operator: str, a: float, b: float) -> float:
    try:
        value = _FOLD[operator](a, b)
    except (ZeroDivisionError, OverflowError):
        value = math.nan
    if isinstance(value, complex) or not math.isfinite(value):
        raise MeaningError(f"{a:g} {operator} {b:g} is not a number")
    return float(value)
