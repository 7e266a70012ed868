"""From formulas to the graph: what each name means, with every misuse noted.

One `Builder` serves one step of a schedule: within a step all formulas see the same parameters, so equal evaluations
are shared, and across steps they are not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ganspec.spec.layers import Shape
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.loss import Formula, Loss
from ganspec.spec.parts.schedule import Schedule, Step
from ganspec.spec.plan.graph import CLASSIFICATIONS, ELEMENTWISE, REDUCTIONS, Axes, Graph, MeaningError, format_axes
from ganspec.spec.plan.reuse import Kept, reused
from ganspec.spec.text.errors import Problems, counted, did_you_mean, expected_one_of
from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, Number, Output, render

MAX_LEVELS = 200  # of formulas inside formulas; bounds the recursion on a stranger's file
MAX_EXPANSIONS = 10_000  # of definitions in one step; bounds the time

FUNCTIONS = (*ELEMENTWISE, *REDUCTIONS, *CLASSIFICATIONS, "norm", "clip", "detach", "grad", "inference")


@dataclass(frozen=True)
class Symbol:
    """A drawn symbol as formulas see it.

    Args:
        shape: shape of one sample; of a label (classes,).
        dtype: "float" or "label".
    """

    shape: Shape
    dtype: str

    @property
    def axes(self) -> Axes:
        return ("N",) if self.dtype == "label" else ("N", *self.shape)


class _Stop(Exception):
    """The formula cannot be given a meaning; the problem is noted."""


@dataclass
class Builder:
    """Builds the graph of one step.

    Args:
        loss: the loss whose definitions, constants, carried numbers and reports the names mean.
        networks: networks by the names that formulas call.
        symbols: symbols that can be drawn, by name.
        problems: list to which problems are added.
        used: set to which names are added that were given a meaning.
        step: the step whose formulas these are.
        earlier: builders of the steps before it.
        schedule: the schedule, which says how long draws live.
        recalled: reports that the formula being built may read.
        computed: nodes of the reports that this step has computed, by name.
        failed: reports of this step that have no meaning (noted).
        keeps: nodes whose values a later step reuses, by the name that it has for them.
        trained_later: nodes of `keeps` through which a later step's gradient flows.
        named: nodes of definitions, by name ("x_hat"), or by the call as it stands in a formula ("L(G(z))").
        sources: file and line of the formula in which each node was first written.
    """

    loss: Loss
    networks: Mapping[str, Architecture]
    symbols: Mapping[str, Symbol]
    problems: Problems
    used: set[str]
    step: Step
    earlier: list[Builder]
    schedule: Schedule
    recalled: tuple[str, ...] = ()
    computed: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    keeps: dict[Kept, int] = field(default_factory=dict)
    trained_later: set[int] = field(default_factory=set)
    named: dict[str, int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    graph: Graph = field(default_factory=Graph)
    _expanding: list[str] = field(default_factory=list)
    _expanded: dict[tuple[str, tuple[int, ...]], int] = field(default_factory=dict)
    _root: Formula | None = None
    _formula: Formula | None = None
    _level: int = 0

    def build(self, formula: Formula) -> int | None:
        """Returns: the node of a formula, or None where it has no meaning (noted)."""
        self._root, self._formula, self._level = formula, formula, 0
        try:
            return self._walk(formula.tree, {})
        except _Stop:
            return None
        finally:
            self._expanding.clear()

    def build_scalar(self, formula: Formula) -> int | None:
        """Returns: the node of a formula whose value is one number for the whole batch."""
        node = self.build(formula)
        if node is not None and self.graph.nodes[node].shape != ():
            found = format_axes(self.graph.nodes[node].shape)
            self._note(formula, f"the value has shape {found}, a single number is needed", "reduce it with mean(...)")
            return None
        return node

    def _walk(self, tree: Expression, bound: Mapping[str, int]) -> int:
        self._level += 1
        try:
            if self._level > MAX_LEVELS:
                raise MeaningError(f"with its definitions the formula is more than {MAX_LEVELS} levels deep")
            match tree:
                case Number(value):
                    return self.graph.constant(value)
                case Name(name):
                    return self._name(name, tree, bound)
                case Negative(operand):
                    return self.graph.negative(self._walk(operand, bound))
                case Binary("^", left, right):
                    return self.graph.power(self._walk(left, bound), self._walk(right, bound))
                case Binary(operator, left, right):
                    return self.graph.arithmetic(operator, self._walk(left, bound), self._walk(right, bound))
                case Output(Call(function, arguments), name) if function in self.networks:
                    return self._network(function, [self._walk(a, bound) for a in arguments], tree, name)
                case Call("inference", arguments):
                    return self._inference(arguments, tree, "", bound)
                case Output(Call("inference", arguments), name):
                    return self._inference(arguments, tree, name, bound)
                case Output(_, name):
                    raise MeaningError(f"'.{name}' names an output, so it follows a network's evaluation")
                case Call(function, arguments):
                    node = self._call(function, [self._walk(a, bound) for a in arguments], tree)
                    if (
                        function in self.loss.definitions and not bound
                    ):  # inside a definition its names stand for others
                        self.named[render(tree)] = node
                    return node
        except MeaningError as error:
            raise self._stop(tree, str(error)) from None
        finally:
            self._level -= 1
            assert self._formula is not None
            self.sources += [self._formula.source] * (len(self.graph.nodes) - len(self.sources))

    def _name(self, name: str, tree: Expression, bound: Mapping[str, int]) -> int:
        if name in bound:
            return bound[name]
        loss = self.loss
        if name in loss.definitions and not loss.definitions[name].parameters:
            self.named[name] = self._definition(name, [])
            return self.named[name]
        self.used.add(name)
        if name in loss.constants:
            return self.graph.constant(loss.constants[name])
        if name in self.symbols:
            symbol = self.symbols[name]
            return self.graph.add("draw", (), symbol.axes, symbol.dtype, name)
        if name in loss.carried:
            return self.graph.add("carried", (), (), value=name)
        if name in self.recalled:
            return self.computed[name] if name in self.computed else self.graph.add("recall", (), (), value=name)
        plain = [d for d in loss.definitions if not loss.definitions[d].parameters and d not in self._expanding]
        valid = [*bound, *plain, *loss.constants, *self.symbols, *loss.carried, *self.recalled]
        if name in self.networks:
            inputs = ", ".join(self.networks[name].inputs)
            raise self._stop(tree, f"'{name}' is a network; give it its inputs in parentheses: {name}({inputs})")
        if name in (*loss.definitions, *FUNCTIONS):
            raise self._stop(tree, f"'{name}' is a function; give it arguments in parentheses")
        if name in self.failed:
            raise _Stop  # said where it stands
        if name in loss.reports:
            message = f"the report '{name}' can be read in carried numbers and in later reports only"
            raise self._stop(tree, message, "later in the file, and computed in this step or an earlier one")
        hint = did_you_mean(name, valid)
        fed = [network for network, architecture in self.networks.items() if name in architecture.inputs]
        if name == "y":
            hint = "labels come with data.labels, and go to networks that take them"
        elif fed and not hint:
            hint = f'to draw it, add to the system: draws.{name} = {{ sample = "normal(0, 1)", shape = "{fed[0]}.{name}" }}'
        raise self._stop(tree, f"unknown name '{name}': {expected_one_of(valid)}", hint)

    def _call(self, function: str, arguments: list[int], tree: Expression) -> int:
        if function in self.networks:
            return self._network(function, arguments, tree, "")
        if function in self.loss.definitions:
            return self._definition(function, arguments)
        graph = self.graph
        wanted = {"clip": (3,), "grad": (2,), "norm": (1, 2)}.get(
            function, (2,) if function in CLASSIFICATIONS else (1,)
        )
        if function in FUNCTIONS and len(arguments) not in wanted:
            counts = " or ".join(map(str, wanted))
            raise MeaningError(f"{function} takes {counts} argument{'s' * (wanted != (1,))}, found {len(arguments)}")
        if function in ELEMENTWISE:
            return graph.elementwise(function, arguments[0])
        if function in REDUCTIONS:
            return graph.reduce(function, arguments[0])
        if function in CLASSIFICATIONS:
            node = graph.classify(function, arguments[0], arguments[1])
            self._check_labels(arguments[1], graph.shape(arguments[0])[1], f"{function}'s logits")
            return node
        match function, arguments:
            case "norm", [a, *rest]:
                return graph.norm(a, rest[0] if rest else None)
            case "clip", [a, low, high]:
                return graph.clip(a, low, high)
            case "detach", [a]:
                return graph.detach(a)
            case "grad", [of, to]:
                return graph.gradient(of, to)
        valid = [*self.networks, *self.loss.definitions, *FUNCTIONS]
        raise self._stop(
            tree, f"unknown function '{function}': {expected_one_of(valid)}", did_you_mean(function, valid)
        )

    def _definition(self, name: str, arguments: list[int]) -> int:
        self.used.add(name)
        definition = self.loss.definitions[name]
        if len(arguments) != len(definition.parameters):
            raise MeaningError(f"{name} takes {_counted(definition.parameters, 'argument')}, found {len(arguments)}")
        if name in self._expanding:
            circle = [*self._expanding[self._expanding.index(name) :], name]
            raise MeaningError(f"the definition of '{name}' mentions itself: {' -> '.join(circle)}")
        key = (name, tuple(arguments))
        if key not in self._expanded:
            # Remembering each expansion keeps definitions of definitions linear, not exponential, in time;
            # the bound is for those whose arguments always differ.
            if len(self._expanded) >= MAX_EXPANSIONS:
                raise MeaningError(f"the formulas of one step expand more than {MAX_EXPANSIONS:,} definitions")
            outer, self._formula = self._formula, definition.formula
            self._expanding.append(name)
            self._expanded[key] = self._walk(
                definition.formula.tree, dict(zip(definition.parameters, arguments, strict=True))
            )
            self._expanding.pop()
            self._formula = outer
        return self._expanded[key]

    def _inference(
        self, arguments: tuple[Expression, ...], tree: Expression, output: str, bound: Mapping[str, int]
    ) -> int:
        """Add the evaluation of a network in inference mode, whatever the schedule says."""
        match arguments:
            case (Call(function, inputs),) if function in self.networks:
                return self._network(function, [self._walk(a, bound) for a in inputs], tree, output, False)
            case (Output(Call(function, inputs), name),) if function in self.networks and not output:
                return self._network(function, [self._walk(a, bound) for a in inputs], tree, name, False)
        raise MeaningError("inference(...) takes one evaluation of a network, such as inference(D(x))")

    def _network(self, name: str, arguments: list[int], tree: Expression, output: str, training: bool = True) -> int:
        network = self.networks[name]
        inputs = network.inputs
        if len(arguments) != len(inputs):
            raise MeaningError(f"the network {name} takes {_counted(inputs, 'input')}, found {len(arguments)}")
        for argument, (label, wanted) in zip(arguments, inputs.items(), strict=True):
            axes = Symbol(wanted.shape, wanted.dtype).axes
            node = self.graph.nodes[argument]
            if (node.shape, node.dtype) != (axes, wanted.dtype):
                found = format_axes(node.shape) + (" labels" if node.dtype == "label" else "")
                expected = format_axes(axes) + (" labels" if wanted.dtype == "label" else "")
                raise MeaningError(f"{name}'s input {label} has shape {expected}, found {found}")
            if wanted.dtype == "label":
                self._check_labels(argument, wanted.shape[0], f"{name}'s input {label}")
        shapes: dict[str, Axes] = {key: ("N", *network.output_shape(key)) for key in network.outputs}
        single = next(iter(shapes.values())) if len(shapes) == 1 else None
        training = training and name not in self.step.inference
        evaluation = self.graph.add("network", tuple(arguments), single, value=name, training=training)
        if name in self.step.reuse:
            evaluation = reused(self, evaluation)
        if not output and single is None:
            message = f"the network {name} has several outputs: name one of {', '.join(shapes)}"
            raise self._stop(tree, message, f"write {name}(...).{next(iter(shapes))}")
        if not output:
            return evaluation
        if output not in shapes:
            message = f"the network {name} has no output '{output}': {expected_one_of(shapes)}"
            raise self._stop(tree, message, did_you_mean(output, shapes))
        if single is not None:
            return evaluation
        return self.graph.add("output", (evaluation,), shapes[output], value=output)

    def _check_labels(self, node: int, count: int | str, what: str) -> None:
        drawn = self.graph.nodes[node]
        if drawn.op == "draw" and self.symbols[drawn.value].shape != (count,):
            labels = self.symbols[drawn.value].shape[0]
            raise MeaningError(f"{what} has {count} classes, '{drawn.value}' has {labels} labels")

    def _stop(self, tree: Expression, message: str, hint: str = "") -> _Stop:
        assert self._formula is not None
        self._note(self._formula, message, hint, tree.span)
        return _Stop()

    def _note(self, formula: Formula, message: str, hint: str = "", span: tuple[int, int] | None = None) -> None:
        text = formula.text
        span = span or (0, len(text))
        if any((p.file, p.text, p.span) == (formula.file, text, span) for p in self.problems.found):
            return  # the same place, reached from another formula
        if self._root is not None and self._root.key != formula.key:
            message += f" (in {self._root.key})"
        self.problems.add(formula.file, formula.key, message, hint, text=text, span=span)


def _counted(names: Collection[str], what: str) -> str:
    """Returns: "1 input (z)", "2 inputs (z, y)"."""
    listed = f" ({', '.join(names)})" if names else ""
    return f"{counted(len(names), what)}{listed}"
