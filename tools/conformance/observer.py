"""Watches somebody's code train one iteration: which repeat of which step it is in, what it computes, what it draws.

An `Observer` knows no framework. An adapter tells it of each evaluation of a network, operation, draw and update; it finds
the place of each in the spec's plan (`recognition`) and keeps the value under the spec's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ganspec.spec.system import System
from ganspec.tools.agreement.bounds import norm
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.draws import Request, Tape
from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.conformance.expected import Repeat
from ganspec.tools.conformance.recognition import Evaluation, distance, input_of, next_layer, recognised

_NEAR = 0.1  # relative distance below which a variable is taken for one of several by which the spec differentiates
_VISIBLE = 1e-4  # relative distance of a gradient from which its loss is looked at


@dataclass
class Observer:
    """Watches one iteration.

    Args:
        system: the system.
        repeats: what the spec's own training computes in this iteration.
        tape: its draws.
        blind: whether nothing but draws is seen, for the code is plain NumPy.
        records: what the code computes, for each of the repeats.
    """

    system: System
    repeats: Sequence[Repeat]
    tape: Tape
    blind: bool = False
    records: list[Record] = field(default_factory=list)
    current: int = 0
    failure: ConformanceError | None = None
    before: Callable[[str], None] = lambda network: None
    _evaluations: list[Evaluation] = field(default_factory=list)
    _made: set[tuple[int, int]] = field(default_factory=set)
    _updated: set[str] = field(default_factory=set)
    _any: bool = False
    _losses: list[float] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.records = [{} for _ in self.repeats]
        self.steps = [r for r in self.repeats if r.place.step is not None]

    @property
    def repeat(self) -> Repeat | None:
        """The repeat that the code is in; None after the last."""
        return self.steps[self.current] if self.current < len(self.steps) else None

    def fail(self, message: str) -> ConformanceError:
        """Returns: the error to raise; it is kept, for code may swallow exceptions."""
        self.failure = self.failure or ConformanceError(message)
        return self.failure

    # Evaluations of networks, and what happens inside.

    def enter(self, network: str, inputs: Sequence[np.ndarray]) -> None:
        """A network is evaluated."""
        self.before(network)
        self._any = True
        self._evaluations.append(
            recognised(self.repeat, self.system.run.batch, self.tape.stage, network, inputs, self._made_here())
        )
        evaluation = self._evaluations[-1]
        if evaluation.nodes is None or evaluation.again or self.repeat is None:
            return
        self._made |= {(self.current, node) for node in evaluation.nodes}
        for k, values in enumerate(inputs):
            parts = np.split(values, len(evaluation.nodes)) if len(evaluation.nodes) > 1 else [values]
            for node, part in zip(evaluation.nodes, parts, strict=True):
                if k < len(self.repeat.plan.nodes[node].inputs):
                    self._say(input_of(self.repeat, self.tape.stage, node, k), part)

    def leave(self, output: np.ndarray | None) -> None:
        """The evaluation is done; `output` is what the network gave, if that is one array."""
        evaluation = self._evaluations[-1]
        if output is not None and evaluation.nodes is not None and self.repeat is not None:
            outputs = self.tape.stage.networks[evaluation.network].outputs
            if len(outputs) == 1:
                self._said(evaluation, next(iter(outputs.values())), output)
        self._evaluations.pop()

    def operation(self, kind: str, layer: str, inputs: Sequence[np.ndarray]) -> Callable[[np.ndarray], None]:
        """Something is about to be computed, perhaps inside a network, and perhaps in place.

        Args:
            kind: kind of layer that computes so, "leaky_relu".
            layer: the spec's layer, where the operation's weights tell; else "".
            inputs: arrays that it reads.

        Returns: a function that is told what it gave.
        """
        if not self._evaluations or self._evaluations[-1].nodes is None or self._evaluations[-1].again:
            return lambda output: None
        evaluation = self._evaluations[-1]
        found = next_layer(self.tape.stage.networks[evaluation.network], evaluation, kind, layer)
        if found is None:
            return lambda output: None
        architecture = self.tape.stage.networks[evaluation.network]
        for name, values in zip(found.inputs, inputs, strict=False):
            if name not in architecture.inputs:
                self._said(evaluation, name, values)
        return lambda output: self._said(evaluation, found.name, output)

    def input_gradient(self, variable: np.ndarray, gradient: np.ndarray) -> None:
        """The code asked for a gradient with respect to the inputs of a network."""
        if self.repeat is None:
            return
        for i, node in enumerate(self.repeat.plan.nodes):
            quantity, to = (self.repeat.value(n) for n in (i, node.inputs[-1])) if node.op == "grad" else (None, None)
            alone = sum(n.op == "grad" for n in self.repeat.plan.nodes) == 1
            if quantity is None or to is None or to.value.size != variable.size:
                continue
            if alone or distance(to.value, variable) < _NEAR:
                self._say(quantity, gradient)
                return

    def differentiated(self, value: float) -> None:
        """The code calls `backward` on a number."""
        self._losses.append(value)

    # Draws.

    def draw(self, request: Request) -> np.ndarray:
        """The code draws. Returns: the numbers that it gets. Raises: ConformanceError: they are not among the spec's."""
        try:
            if self.blind:
                mask = None if request.family not in ("bernoulli", "uniform") else self.tape.any_mask(request)
                return mask if mask is not None else self.tape.noise(request, len(self.steps) - 1, ahead=True)
            if self.repeat is None:
                raise ConformanceError(
                    f"{request}\n    draws after the last update of the iteration; the spec draws nothing there"
                )
            inside = self._evaluations[-1] if self._evaluations else None
            if request.family in ("bernoulli", "uniform"):
                nodes = inside.nodes if inside else None
                if request.family == "bernoulli" or (inside is not None and inside.nodes is not None):
                    mask = self.tape.mask(request, self.current, nodes)
                    if mask is not None:
                        return mask
            return self.tape.noise(request, self.current, ahead=not self._any)
        except ConformanceError as error:
            raise self.fail(str(error)) from None

    # Updates.

    def updating(self, gradients: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Parameters are about to move.

        Args:
            gradients: gradient by network and path of each network that moves.

        Raises:
            ConformanceError: the spec updates another network now.
        """
        line = calling_line()
        for network in gradients:
            self.before(network)
            self._counts[network] = self._counts.get(network, 0) + 1
            if self.repeat is None:
                raise self.fail(
                    f"{line}: updates {network} once more than the spec does in this iteration: {self._order()}"
                )
            if network not in self.repeat.plan.step.update or network in self._updated:
                wanted = " and ".join(n for n in self.repeat.plan.step.update if n not in self._updated)
                place = f"update {self._counts[network]} of {network} in this iteration"
                raise self.fail(
                    f"{line}: {place} comes where the spec updates {wanted} ({self.repeat.place}): {self._order()}"
                )
            for path, gradient in gradients[network].items():
                self._say(self.repeat.named(f"gradient of loss_{network} by {network}/{path}"), gradient)
            if len(gradients) == 1 and len(self.repeat.plan.step.update) == 1:
                self._say_loss(network)
        self._losses.clear()

    def updated(self, networks: Sequence[str], moments: Mapping[str, np.ndarray]) -> int | None:
        """Parameters moved.

        Args:
            networks: networks that moved.
            moments: moments by name, "D/m/l1/W".

        Returns: the number of the repeat that has ended with it; None while another network has still to move.
        """
        if self.repeat is None:
            return None
        for name, values in moments.items():
            self._say(self.repeat.named(f"moment {name}"), values)
        self._updated |= set(networks)
        if self._updated != set(self.repeat.plan.step.update):
            return None
        missed = self.tape.missed(self.current)
        if missed:
            raise self.fail(missed)
        self._updated, ended = set(), self.current
        self.current += 1
        return ended

    def _say_loss(self, network: str) -> None:
        """Keep the value whose gradient this is, if both differ: then the loss is wrong, not only its backward pass.

        A value alone that differs is no mistake: a constant may be left out of a loss.
        """
        assert self.repeat is not None
        loss = self.repeat.value(self.repeat.plan.losses[network])
        record = self.records[self.current]
        start = f"gradient of loss_{network} by {network}/"
        own = {k: q for k, q in self.repeat.record.items() if q.name.startswith(start) and k in record}
        apart = sum(
            norm(record[k].value - q.value) ** 2 for k, q in own.items() if record[k].value.shape == q.value.shape
        )
        whole = sum(norm(q.value) ** 2 for q in own.values())
        if loss is not None and loss.value.shape == () and self._losses and apart > _VISIBLE**2 * whole:
            self._say(loss, np.array(sum(self._losses), loss.value.dtype))

    def say_state(self, number: int, role: str, network: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep parameters, statistics or averages as they are at the end of a repeat."""
        repeat = self.repeats[number]
        for path, values in arrays.items():
            self._say(repeat.named(f"{role} {network}/{path}"), values, number)

    def end(self) -> None:
        """The iteration is over. Raises: ConformanceError: the spec would go on."""
        if self.failure is not None:
            raise self.failure
        if self.blind:
            missed = self.tape.missed(len(self.steps) - 1)
            if missed:
                raise ConformanceError(missed)
        elif self.repeat is not None:
            did = (
                ", ".join(f"{n} {c} times" for n, c in self._counts.items()) or "no optimiser of these networks at all"
            )
            wanted = " and ".join(n for n in self.repeat.plan.step.update if n not in self._updated)
            raise ConformanceError(
                f"your step ended where the spec updates {wanted} ({self.repeat.place}); it updated {did}; {self._order()}"
            )

    def _order(self) -> str:
        counts: list[list[object]] = []
        for repeat in self.steps:
            name = repeat.plan.step.name
            if counts and counts[-1][0] == name:
                counts[-1][1] = int(str(counts[-1][1])) + 1
            else:
                counts.append([name, 1])
        said = ", then ".join(f"{name} {count} times" if count != 1 else f"{name} once" for name, count in counts)
        return f"the spec's order is {said}"

    def _made_here(self) -> set[int]:
        """Returns: the plan's evaluations that were made in this repeat."""
        return {node for number, node in self._made if number == self.current}

    def _said(self, evaluation: Evaluation, layer: str, values: np.ndarray) -> None:
        assert self.repeat is not None
        nodes = evaluation.nodes or ()
        parts = (
            np.split(values, len(nodes)) if len(nodes) > 1 and len(values) % len(nodes) == 0 else [values] * len(nodes)
        )
        for node, part in zip(nodes, parts, strict=True):
            quantity = self.repeat.value(node, layer)
            if quantity is not None and (quantity.place, quantity.name) not in self.records[self.current]:
                self._say(quantity, part)

    def _say(self, quantity: Quantity | None, values: np.ndarray, number: int | None = None) -> None:
        """Keep a value under the name of ganspec's own quantity, in its shape if it has as many numbers.

        What equals ganspec's own to the last bit is that, and needs no memory; of anything else a copy is kept, for code may
        change it later.
        """
        if quantity is None:
            return
        record = self.records[self.current if number is None else number]
        if values.size == quantity.value.size and values.dtype.kind == quantity.value.dtype.kind:
            values = values.reshape(quantity.value.shape)
        same = values.dtype == quantity.value.dtype and np.array_equal(values, quantity.value)
        record[quantity.place, quantity.name] = quantity if same else replace(quantity, value=np.array(values))
