"""Reverse differentiation without numbers: which products of matrices an evaluation and its gradients are made of.

A `Value` stands for an array. It remembers from what it was made, as automatic differentiation does, so that gradients can be
taken of it, and gradients of these. What is kept of an operation is only

    product    out = a b, for matrices a (m, k) and b (k, n): 2 m k n operations, a multiplication and an addition for each term.
               A convolution is one, of its patches with its kernels. Its gradients are products of the same cost:
               d a = d out b^T and d b = a^T d out
    anything   other, which costs nothing here. Of what its gradient with respect to an input is made depends on its `Bend`

Only what leads to a wanted input is done, as in PyTorch and Chainer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Bend(Enum):
    """Of what the gradients of an operation are made, beside the gradient of its result."""

    NONE = "linear: of nothing"
    TIMES = "a product of its inputs: of the other inputs"
    CURVED = "anything else: of all inputs"


class Product(NamedTuple):
    """A product of matrices, (m, k) times (k, n), done `groups` times side by side.

    Args:
        place: what it belongs to, such as ("D", "c1").
        kind: "forward", "inputs" or "weights" (gradients with respect to these), or "second" (the gradient of what was itself
            computed for a gradient).
    """

    place: tuple[str, ...]
    kind: str
    m: int
    k: int
    n: int
    groups: int = 1

    @property
    def operations(self) -> int:
        """The number of floating-point operations, 2 m k n for each group."""
        return 2 * self.m * self.k * self.n * self.groups


@dataclass(eq=False)
class Value:
    """An array without numbers.

    Args:
        rows: number of samples that it has; 0 for a parameter, or one number for the whole batch.
        inputs: values that it was made of, and to which gradients flow; none where it is a constant.
        product: the product that it is, if it is one; then `inputs` are its two matrices, the constant one among them.
        bend: of what gradients through it are made.
        wanted: whether gradients are taken with respect to it, or to what it was made of.
        order: place in time; what was made later has a larger one.
        for_gradient: whether it was computed for a gradient.
    """

    rows: int = 0
    inputs: tuple[Value, ...] = ()
    product: Product | None = None
    bend: Bend = Bend.NONE
    wanted: bool = False
    order: int = 0
    for_gradient: bool = False


@dataclass
class Tape:
    """Makes values, and keeps every product that was done, in `products`."""

    products: list[Product] = field(default_factory=list)
    _recording: bool = True
    _made: int = 0
    _for_gradient: bool = False

    def leaf(self, rows: int = 0, *, wanted: bool = False) -> Value:
        """Returns: a value that is given: data, noise, a parameter. Args: wanted: whether gradients are taken of it."""
        return self._made_of(Value(rows, wanted=wanted))

    def apply(self, inputs: Sequence[Value], bend: Bend, rows: int | None = None) -> Value:
        """Returns: the result of an operation other than a product. Args: rows: samples that it has; as its inputs if None."""
        count = max((v.rows for v in inputs), default=0) if rows is None else rows
        return self._made_of(Value(count, tuple(inputs), bend=bend))

    def multiply(self, a: Value, b: Value, product: Product) -> Value:
        """Returns: the product of two matrices, which is noted as done."""
        self.products.append(product)
        return self._made_of(Value(max(a.rows, b.rows), (a, b), product=product))

    def detach(self, value: Value, *, wanted: bool = False) -> Value:
        """Returns: the same array, through which no gradient flows. Args: wanted: whether gradients are taken of it anew."""
        return self.leaf(value.rows, wanted=wanted)

    @contextmanager
    def recording(self, on: bool) -> Iterator[None]:
        """Whether values made inside can be differentiated."""
        before, self._recording = self._recording, on
        yield
        self._recording = before

    def gradients(self, of: Value, to: Sequence[Value], *, create_graph: bool) -> list[Value | None]:
        """Differentiate one value with respect to others.

        Args:
            of: what is differentiated.
            to: values with respect to which.
            create_graph: whether the gradients can be differentiated again.

        Returns: a gradient for each of `to`; None where `of` does not depend on it.
        """
        needed = self._leading_to(of, {id(v) for v in to})
        found: dict[int, Value] = {}
        before, self._for_gradient = self._for_gradient, True
        with self.recording(create_graph):
            if id(of) in needed:
                found[id(of)] = self.leaf(of.rows)
            # The newest first: everything that reads a value was made after it.
            for value in sorted(needed.values(), key=lambda v: -v.order):
                self._back(value, found[id(value)], needed, found)
        self._for_gradient = before
        return [found.get(id(v)) for v in to]

    def _leading_to(self, of: Value, targets: set[int]) -> dict[int, Value]:
        """Returns: the values between, by identity: those that `of` is made of and that are made of a target, both included."""
        leads: dict[int, bool] = {}
        seen: dict[int, Value] = {}
        stack = [of]
        while stack:
            value = stack[-1]
            unseen = [v for v in value.inputs if v.wanted and id(v) not in leads]
            if unseen and id(value) not in seen:
                seen[id(value)] = value
                stack += unseen
                continue
            stack.pop()
            seen[id(value)] = value
            leads[id(value)] = value.wanted and (
                id(value) in targets or any(leads.get(id(v), False) for v in value.inputs)
            )
        return {key: value for key, value in seen.items() if leads[key]}

    def _back(self, value: Value, gradient: Value, needed: dict[int, Value], found: dict[int, Value]) -> None:
        """Give the gradient of a value to what it was made of."""
        for i, source in enumerate(value.inputs):
            if id(source) not in needed:
                continue
            if value.product is None:
                part = self.apply((gradient, *_read(value, i)), value.bend, source.rows)
            else:
                part = self._product_back(value, value.product, i, gradient)
            part.rows = source.rows
            before = found.get(id(source))
            found[id(source)] = part if before is None else self.apply((before, part), Bend.NONE)

    def _product_back(self, value: Value, product: Product, i: int, gradient: Value) -> Value:
        a, b = value.inputs
        m, k, n = product.m, product.k, product.n
        # Without rows a matrix is a parameter, or made of parameters alone.
        kind = "second" if value.for_gradient else "inputs" if value.inputs[i].rows else "weights"
        if i == 0:  # d a = d out b^T
            return self.multiply(gradient, b, product._replace(kind=kind, m=m, k=n, n=k))
        return self.multiply(a, gradient, product._replace(kind=kind, m=k, k=m, n=n))

    def _made_of(self, value: Value) -> Value:
        self._made += 1
        value.order, value.for_gradient = self._made, self._for_gradient
        if not self._recording:
            value.inputs, value.product, value.wanted = (), None, False
        elif value.inputs:
            value.wanted = any(v.wanted for v in value.inputs)
            if not value.wanted:
                value.inputs, value.product = (), None
        return value


def _read(value: Value, i: int) -> tuple[Value, ...]:
    """Returns: the inputs of an operation that its gradient with respect to its input number i is made of."""
    if value.bend is Bend.CURVED:
        return value.inputs
    return tuple(v for j, v in enumerate(value.inputs) if j != i) if value.bend is Bend.TIMES else ()


def operations(products: Iterable[Product]) -> int:
    """Returns: the floating-point operations of all of them."""
    return sum(each.operations for each in products)
