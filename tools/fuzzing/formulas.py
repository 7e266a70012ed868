"""Draws losses: formulas whose shapes fit, with definitions, penalties, carried numbers and reports.

What a formula mentions is made when it is first mentioned, so nothing is left unused. Three kinds of value are told apart by
their shape for one sample: a tuple for a batch of such samples, () for one number per sample, and None for one number in all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ganspec.tools.fuzzing.networks import Draw, Label, Network, Shape
from ganspec.tools.fuzzing.vocabulary import EXPONENTS, NUMBERS, SAFE, SMOOTH, STARTS, WILD, tidy

MOST_DEFINITIONS = 4


@dataclass
class Formulas:
    """A loss file while it is drawn.

    Args:
        draw: hypothesis' function that draws from a strategy.
        networks: the networks by name.
        image: shape of x.
        labels: number of labels; 0 where there are none.
        data: tables of the file.
        shapes: shape of every drawn symbol and of every definition without parameters, by name.
        functions: shapes of the one parameter and of the value of every definition with a parameter.
        differentiated: definitions in which a gradient stands; they are not differentiated again.
        recalled: reports that the formula being drawn can read.
        latent: whether a formula reads z.
        labelled: number of labels of y, if a formula reads it, else 0.
        shared: whether all formulas read the same images of G, so that steps can reuse them.
    """

    draw: Draw
    networks: Mapping[str, Network]
    image: Shape
    labels: int
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    shapes: dict[str, Shape | None] = field(default_factory=dict)
    functions: dict[str, tuple[Shape, Shape | None]] = field(default_factory=dict)
    differentiated: set[str] = field(default_factory=set)
    recalled: list[str] = field(default_factory=list)
    latent: bool = False
    labelled: int = 0
    shared: bool = False
    _inside: int = 0  # of gradients
    _gradients: int = 0  # that were drawn so far

    def one(self, options: Any) -> Any:
        """Returns: one of the options; the first is the simplest."""
        return self.draw(st.sampled_from(options))

    def table(self, name: str) -> dict[str, Any]:
        return self.data.setdefault(name, {})

    # One number for the whole batch.

    def scalar(self, depth: int, bound: Mapping[str, Shape] | None = None) -> str:
        """Returns: a formula of one number."""
        bound = bound or {}
        if depth <= 0:
            return self._number()
        match self.draw(st.integers(0, 9)):
            case 0 | 1:
                return f"mean({self.value(self._shape(), depth - 1, bound)})"
            case 2:
                return f"mean({self._reduced(depth - 1, bound)})"
            case 3:
                return f"sum({self.value(self._shape(), depth - 1, bound)})"
            case 4:
                return f"({self.scalar(depth - 1, bound)} {self.one('+-*')} {self.scalar(depth - 1, bound)})"
            case 5:  # a number may be folded, so the function must be finite everywhere
                return str(self.one((*SMOOTH, *SAFE[:-1]))).replace("A", f"({self.scalar(depth - 1, bound)})")
            case 6 if not bound:
                return self._definition(None, depth - 1)
            case 7:
                return self._called(None, depth - 1, bound)
        return self._number()

    def _number(self) -> str:
        """Returns: a number, a constant, a carried number or a report."""
        names = [*self.recalled, *self.table("carried"), *self.table("constants")]
        match self.draw(st.integers(0, 3)):
            case 1 if names:
                return str(self.one(names))
            case 2 if len(self.table("constants")) < 3:
                name = f"c{len(self.table('constants'))}"
                self.table("constants")[name] = float(self.one(NUMBERS))
                return name
            case 3 if len(self.table("carried")) < 2:
                name = f"k{len(self.table('carried'))}"
                self.table("carried")[name] = {"start": self.one(STARTS)}  # `systems` adds the rest
                return name
        return f"({self.one(NUMBERS)})"

    # One value, or one array, for each sample.

    def value(self, shape: Shape, depth: int, bound: Mapping[str, Shape]) -> str:
        """Returns: a formula of a batch of this shape for one sample."""
        if depth <= 0:
            return self._leaf(shape, bound)
        match self.draw(st.integers(0, 11)):
            case 0 | 1:
                return self._leaf(shape, bound)
            case 2 | 3:
                return self._evaluation(shape, depth - 1, bound) or self._leaf(shape, bound)
            case 4 | 5:
                return self._applied(self.value(shape, depth - 1, bound))
            case 6:
                return self._combined(shape, depth - 1, bound)
            case 7 if shape:
                return f"({self.value(shape, depth - 1, bound)} - batch_mean({self.value(shape, depth - 1, bound)}))"
            case 7:
                return self._reduced(depth - 1, bound)
            case 8:
                return f"detach({self.value(shape, depth - 1, bound)})"
            case 9 if not self._inside:
                return self._gradient(shape, depth - 1, bound) or self._leaf(shape, bound)
            case 10 if not bound:
                return self._definition(shape, depth - 1)
            case 11:
                return self._called(shape, depth - 1, bound)
        return self._leaf(shape, bound)

    def _leaf(self, shape: Shape, bound: Mapping[str, Shape]) -> str:
        """Returns: a name of this shape: data, a draw, a parameter, a definition; made if need be."""
        names = [name for name, its in bound.items() if its == shape]
        names += [
            n for n, its in self.shapes.items() if its == shape and not (self._inside and n in self.differentiated)
        ]
        names += ["z"] * (shape == self.networks["G"].inputs["z"]) + ["x"] * (shape == self.image)
        drawn = self.table("draws")
        if not names or (len(drawn) < 4 and self.draw(st.integers(0, 5)) == 5):
            name = f"u{len(drawn)}"
            sample = self.one(("normal(0, 1)", "uniform(0, 1)", "uniform(-2, 0.5)", "0", "0.5"))
            drawn[name] = {"sample": sample, "shape": "x" if shape == self.image else list(shape)}
            self.shapes[name] = shape
            return name
        name = str(self.one(names))
        self.latent |= name == "z"
        return name

    def _evaluation(self, shape: Shape, depth: int, bound: Mapping[str, Shape]) -> str:
        """Returns: an evaluation of a network with an output of this shape; empty where there is none."""
        fits = [
            (n, output) for n, each in self.networks.items() for output, its in each.outputs.items() if its == shape
        ]
        if not fits:
            return ""
        name, output = self.one(fits)
        return self.evaluate(name, output, depth, bound)

    def evaluate(self, name: str, output: str, depth: int, bound: Mapping[str, Shape], first: str = "") -> str:
        """Returns: an evaluation of a network, of `first` if that is given, and of whatever else it takes."""
        if self.shared and name == "G":
            return self.fakes()
        inputs = []
        for wanted in self.networks[name].inputs.values():
            if isinstance(wanted, Label):
                inputs.append(self._label())
            else:
                inputs.append(first or self.value(wanted, depth, bound))
                first = ""
        call = f"{name}({', '.join(inputs)})"
        if self.draw(st.integers(0, 9)) == 9:
            return f"inference({call}{output})" if self.draw(st.booleans()) else f"inference({call}){output}"
        return f"{call}{output}"

    def fakes(self) -> str:
        """Returns: what G makes of z, and of y where it takes labels."""
        self.latent = True
        if len(self.networks["G"].inputs) == 1:
            return "G(z)"
        self.labelled = self.labels
        return "G(z, y)"

    def _label(self) -> str:
        """Returns: labels: those of the data, or drawn ones."""
        taken = any(isinstance(s, Label) for network in self.networks.values() for s in network.inputs.values())
        if not taken or self.draw(st.booleans()):
            self.labelled = self.labels
            return "y"
        self.table("draws")["c"] = {
            "sample": f"uniform(0, {self.labels})",
            "shape": "labels",
        }  # `systems` names the place
        return "c"

    def _applied(self, a: str) -> str:
        """Returns: a function of each number."""
        kind = self.draw(st.integers(0, 9))
        if kind == 8:
            return f"({a}) ^ {self.one(EXPONENTS)}"
        return str(self.one(WILD if kind == 9 else SAFE if kind > 5 else SMOOTH)).replace("A", f"({a})")

    def _combined(self, shape: Shape, depth: int, bound: Mapping[str, Shape]) -> str:
        """Returns: a sum, difference, product or quotient with something that fits every batch of this shape."""
        a = self.value(shape, depth, bound)
        match self.draw(st.integers(0, 3)):
            case 0:
                b = self.scalar(depth, bound)
            case 1:
                b = self.value((), depth, bound)
            case _:
                b = self.value(shape, depth, bound)
        operator = self.one("+-*/")
        return f"({a} / ({b} ^ 2 + 0.1))" if operator == "/" else f"({a} {operator} {b})"

    def _reduced(self, depth: int, bound: Mapping[str, Shape]) -> str:
        """Returns: one number per sample, of an array per sample."""
        logits = [s for network in self.networks.values() for s in network.outputs.values() if len(s) == 1 and s[0] > 1]
        kind = self.one(("norm(A)", "sample_mean(A)", "norm(A, 0.01)", "cross_entropy", "correct"))
        if "(" in kind:
            return str(kind).replace("A", self.value(self._shape(), depth, bound))
        if not logits:
            return f"norm({self.value(self._shape(), depth, bound)})"
        shape = self.one(logits)
        label = self._label() if self.labels == shape[0] else self.draw(st.integers(0, shape[0] - 1))
        return f"{kind}({self.value(shape, depth, bound)}, {label})"

    def _shape(self) -> Shape:
        """Returns: the shape of something that there is."""
        outputs = [shape for network in self.networks.values() for shape in network.outputs.values()]
        return self.one(list(dict.fromkeys([*outputs, self.image, ()])))  # type: ignore[no-any-return]

    # Gradients and definitions.

    def _gradient(self, shape: Shape, depth: int, bound: Mapping[str, Shape]) -> str:
        """Returns: a gradient with respect to something of this shape; empty where nothing can be made of it."""
        variable = self._leaf(shape, bound)
        self._inside += 1
        self._gradients += 1
        try:
            takes = [
                (name, output)
                for name, network in self.networks.items()
                for output in network.outputs
                if next((s for s in network.inputs.values() if not isinstance(s, Label)), None) == shape
            ]
            if takes and self.draw(st.integers(0, 3)) < 3:
                name, output = self.one(takes)
                inner = variable if self.draw(st.integers(0, 2)) < 2 else self._applied(variable)
                of = self.evaluate(name, output, depth, bound, first=inner)
            else:
                of = f"({variable} * {self._applied(variable)})"
            if self.draw(st.integers(0, 2)) == 2:
                of = f"sum({self._applied(of)})" if self.draw(st.booleans()) else self._applied(of)
        finally:
            self._inside -= 1
        return f"grad({of}, {variable})"

    def _definition(self, shape: Shape | None, depth: int) -> str:
        """Returns: the name of a definition without parameters, an old or a new one."""
        old = [n for n in self.shapes if n.startswith("d") and self.shapes[n] == shape]
        old = [n for n in old if not (self._inside and n in self.differentiated)]
        if (old and self.draw(st.booleans())) or not self._may_define:
            return self.one(old) if old else self._number() if shape is None else self._leaf(shape, {})
        before = self._gradients
        text = self.scalar(depth) if shape is None else self.value(shape, depth, {})
        name = f"d{len(self.table('define'))}"
        self.table("define")[name] = tidy(text)
        self.shapes[name] = shape
        self._mark(name, text, before)
        return name

    def _called(self, shape: Shape | None, depth: int, bound: Mapping[str, Shape]) -> str:
        """Returns: a call of a definition with a parameter, an old or a new one."""
        old = [n for n, (_, its) in self.functions.items() if its == shape]
        old = [n for n in old if not (self._inside and n in self.differentiated)]
        if not (old and self.draw(st.booleans())):
            if bound or not self._may_define:
                return self._number() if shape is None else self._leaf(shape, bound)
            before, takes = self._gradients, self._shape()
            text = self.scalar(depth, {"v": takes}) if shape is None else self.value(shape, depth, {"v": takes})
            name, text = f"f{len(self.table('define'))}", tidy(text)
            if not re.search(r"\bv\b", text):  # every parameter is used
                return f"({text})"
            self.table("define")[f"{name}(v)"] = text
            self.functions[name] = (takes, shape)
            self._mark(name, text, before)
            old = [name]
        name = self.one(old)
        return f"{name}({self.value(self.functions[name][0], depth, bound)})"

    @property
    def _may_define(self) -> bool:
        """Whether a definition can be added; one that reads a report would have no meaning elsewhere."""
        return len(self.table("define")) < MOST_DEFINITIONS and not self.recalled

    def _mark(self, name: str, text: str, before: int) -> None:
        """Remember that a definition has a gradient in it, of its own or of what it mentions."""
        if self._gradients > before or any(f"{other}" in text for other in self.differentiated):
            self.differentiated.add(name)
