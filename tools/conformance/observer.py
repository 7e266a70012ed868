"""Watches somebody's code train one iteration: which repeat of which step it is in, what it computes, what it draws.

An `Observer` knows no framework. An adapter tells it of each evaluation of a network, operation, draw and update; it finds
the place of each in the spec's plan (`recognition`) and keeps the value under the spec's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ganspec.spec.system import System
from ganspec.tools.agreement.bounds import norm
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.backward import LayerGradients, Seen
from ganspec.tools.conformance.draws import Request, Tape
from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.conformance.expected import Repeat, order_of
from ganspec.tools.conformance.kept import Kept
from ganspec.tools.conformance.looks import Looks
from ganspec.tools.conformance.recognition import (
    Evaluation,
    distance,
    given_to,
    input_of,
    labels_of,
    next_layer,
    recognised,
)

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
        looks: evaluations that the code may make only to look.
        kept: what the code computes.
    """

    system: System
    repeats: Sequence[Repeat]
    tape: Tape
    blind: bool = False
    looks: Looks = field(default_factory=Looks)
    kept: Kept = field(init=False)
    current: int = 0
    failure: ConformanceError | None = None
    before: Callable[[str, bool], None] = lambda network, updating: None
    behind: LayerGradients = field(default_factory=LayerGradients)
    unmasked: bool = False
    _evaluations: list[Evaluation] = field(default_factory=list)
    _made: set[tuple[int, int]] = field(default_factory=set)
    _updated: set[str] = field(default_factory=set)
    _any: bool = False
    _losses: list[tuple[str, float]] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = Kept(self.system, self.repeats)
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

    def enter(self, network: str, inputs: Sequence[np.ndarray], *, recorded: bool = True) -> None:
        """A network is evaluated; `recorded` is whether for gradients."""
        self.before(network, False)
        theirs = self.kept.records[self.current] if self.repeat is not None else {}
        place = (self.repeat, self.system.run.batch, self.tape.stage, network, inputs, self._made_here(), theirs)
        if not recorded and self.looks.is_one(*place):
            self._evaluations.append(Evaluation(network, None))
            return
        self._any = True
        self._evaluations.append(recognised(*place))
        evaluation = self._evaluations[-1]
        if evaluation.nodes is None or evaluation.again or self.repeat is None:
            return
        self._made |= {(self.current, node) for node in evaluation.nodes}
        for k, values in enumerate(inputs):
            parts = np.split(values, len(evaluation.nodes)) if len(evaluation.nodes) > 1 else [values]
            for node, part in zip(evaluation.nodes, parts, strict=True):
                if k < len(self.repeat.plan.nodes[node].inputs):
                    self.kept.say_input(self.current, node, input_of(self.repeat, self.tape.stage, node, k), part)

    def leave(self, output: np.ndarray | None) -> None:
        """The evaluation is done; `output` is what the network gave, if that is one array."""
        evaluation = self._evaluations[-1]
        if output is not None and evaluation.nodes is not None and self.repeat is not None:
            outputs = self.tape.stage.networks[evaluation.network].outputs
            if len(outputs) == 1 and not evaluation.again:
                self._say_layer(evaluation, next(iter(outputs.values())), output, last=True)
        self._evaluations.pop()

    def operation(self, kind: str, layer: str, inputs: Sequence[np.ndarray]) -> Callable[[np.ndarray], Seen | None]:
        """Something is about to be computed, perhaps inside a network, and perhaps in place.

        Args:
            kind: kind of layer that computes so, "leaky_relu".
            layer: the spec's layer, where the operation's weights tell; else "".
            inputs: arrays that it reads.

        Returns: a function that is told what it gave, and returns which layer's value that is, None where it is none.
        """
        if not self._evaluations or self._evaluations[-1].nodes is None or self._evaluations[-1].again:
            return lambda output: None
        evaluation = self._evaluations[-1]
        found = next_layer(self.tape.stage.networks[evaluation.network], evaluation, kind, layer)
        if found is None:
            return lambda output: None
        architecture = self.tape.stage.networks[evaluation.network]
        for name, values in given_to(found, inputs, self.repeat, evaluation):
            if name not in architecture.inputs:
                self._say_layer(evaluation, name, values)

        def gave(output: np.ndarray) -> Seen | None:
            nodes = evaluation.nodes or ()
            self._say_layer(evaluation, found.name, output)
            whole = len(nodes) == 1 or len(output) == self.system.run.batch * len(nodes)
            return Seen(self.current, nodes, found.name) if whole else None

        return gave

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
                self._keep(quantity, gradient)
                return

    def differentiated(self, value: float | None, network: str = "", *, kept: bool = True) -> str:
        """The code differentiates a number by the parameters of a network; "" for all that there are.

        Args:
            value: the number; None for several.
            network: the network.
            kept: whether parameters keep the gradient, as after `backward`; others may be looked at only.

        Returns: a label for it.
        """
        label = f"{network}#{len(self._losses)}" if not (network and kept) else network
        self._losses += [] if value is None else [(label, value)]
        return label

    def scalar(self, value: float) -> None:
        """The code computed a single number."""
        if self.repeat is not None:
            self.kept.scalars[self.current].append(value)

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
            self.before(network, True)
            self._counts[network] = self._counts.get(network, 0) + 1
            if self.repeat is None:
                raise self.fail(
                    f"{line}: updates {network} once more than the spec does in this iteration: {order_of(self.steps)}"
                )
            if network not in self.repeat.plan.step.update or network in self._updated:
                wanted = " and ".join(n for n in self.repeat.plan.step.update if n not in self._updated)
                place = f"update {self._counts[network]} of {network} in this iteration"
                raise self.fail(
                    f"{line}: {place} comes where the spec updates {wanted} ({self.repeat.place}): {order_of(self.steps)}"
                )
            for path, gradient in gradients[network].items():
                self._keep(self.repeat.named(f"gradient of loss_{network} by {network}/{path}"), gradient)
            labels = labels_of(network, self._losses, self.repeat)
            self._say_loss(network, [value for label, value in self._losses if label in labels])
            names = Names(self.system, self.repeat.place)
            for (node, layer), gradient in self.behind.of(labels).items():
                name = f"gradient of loss_{network} by {names.layer_name(node, layer)}"
                self._keep(self.repeat.named(name), gradient)

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
            self._keep(self.repeat.named(f"moment {name}"), values)
        self._updated |= set(networks)
        if self._updated != set(self.repeat.plan.step.update):
            return None
        missed = self.tape.missed(self.current)
        if missed:
            # What a network gives without its dropout says more than the masks that nobody asked for.
            self.unmasked = self.tape.only_masks(self.current)
            raise self.fail(missed)
        self._losses.clear()
        self.behind.clear()
        self._updated, ended = set(), self.current
        self.current += 1
        return ended

    def _say_loss(self, network: str, values: Sequence[float]) -> None:
        """Keep the value whose gradient this is, if both differ; where the value alone does, a constant was left out."""
        assert self.repeat is not None
        loss = self.repeat.value(self.repeat.plan.losses[network])
        record = self.kept.records[self.current]
        start = f"gradient of loss_{network} by {network}/"
        own = {k: q for k, q in self.repeat.record.items() if q.name.startswith(start) and k in record}
        apart = sum(
            norm(record[k].value - q.value) ** 2 for k, q in own.items() if record[k].value.shape == q.value.shape
        )
        whole = sum(norm(q.value) ** 2 for q in own.values())
        if loss is not None and loss.value.shape == () and values and apart > _VISIBLE**2 * whole:
            self._keep(loss, np.array(sum(values), loss.value.dtype))

    def end(self) -> None:
        """The iteration is over. Raises: ConformanceError: the spec would go on."""
        if self.failure is not None:
            raise self.failure
        self.looks.end(self.steps, {n: [i for m, i in self._made if m == n] for n in range(len(self.steps))})
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
                f"your step ended where the spec updates {wanted} ({self.repeat.place}); it updated {did}; {order_of(self.steps)}"
            )

    def _made_here(self) -> set[int]:
        """Returns: the plan's evaluations that were made in this repeat."""
        return {node for number, node in self._made if number == self.current}

    def _say_layer(self, evaluation: Evaluation, layer: str, values: np.ndarray, *, last: bool = False) -> None:
        architecture = self.tape.stage.networks[evaluation.network]
        self.kept.say_layer(self.current, evaluation.nodes or (), architecture, layer, values, last=last)

    def _keep(self, quantity: Quantity | None, values: np.ndarray) -> None:
        self.kept.say(quantity, values, self.current)
