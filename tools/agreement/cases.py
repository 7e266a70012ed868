"""What a divergent quantity was computed from, gathered from what the witnesses said, so that its cause can be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.system import System
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position
from ganspec.tools.agreement.guesses import Case, guess
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.names import Names
from ganspec.tools.agreement.report import Divergence, Quantity


def with_guess(
    divergence: Divergence,
    system: System,
    records: Mapping[str, Record],
    state: TrainingState,
    draws: DrawSource,
    earlier: Mapping[tuple[int | None, str], np.ndarray],
) -> Divergence:
    """Add the probable cause to a divergence, where one is recognised.

    Args:
        divergence, system: the divergence, and the system.
        records: what each witness said of the repeat, or of the end of an iteration.
        state: the state from which that started.
        draws: source of dropout masks.
        earlier: value of each quantity in the repeat or iteration before, by step and name.

    Returns: the divergence with its guess. Where nobody knows which of two witnesses is right, either may be taken for it, and
        the guess says which is then wrong.
    """
    d = divergence.difference
    # Who is alone is wrong, or right: the others may have made the same mistake.
    for wrong in dict.fromkeys([*filter(None, [divergence.odd]), *reversed(d.pair)]):
        agreeing = [n for n in [*d.pair, *records] if n != wrong and (d.place, d.name) in records[n]]
        if not agreeing:
            continue  # nobody else has it
        right = agreeing[0]
        case = _case(divergence, system, records, right, wrong, state, draws)
        case = case and replace(case, earlier=earlier.get((d.place.step, d.name)))
        cause = guess(case) if case else ""
        if cause:
            alone = wrong == divergence.odd
            return replace(divergence, guess=cause if alone else f"if {right} is right, {wrong}: {cause}")
    return divergence


def _case(
    divergence: Divergence,
    system: System,
    records: Mapping[str, Record],
    right: str,
    wrong: str,
    state: TrainingState,
    draws: DrawSource,
) -> Case | None:
    d = divergence.difference
    quantity, found = (records[name].get((d.place, d.name)) for name in (right, wrong))
    if quantity is None or found is None:
        return None
    if quantity.kind == "average":
        path = quantity.name.removeprefix("average ")
        kind = "parameters" if f"parameters/{path}" in state.arrays else "statistics"
        inputs = (state.arrays[f"averages/{path}"], state.arrays[f"{kind}/{path}"])
        return Case(system, quantity, found.value, 2 * d.allowance, inputs)
    if d.place.step is None:
        return None
    # Two roundings more, for a guess is recomputed in yet another order.
    case = Case(system, quantity, found.value, 2 * d.allowance, fade=system.at(d.place.iteration)[1])
    known = _Known(system, quantity, records[right], state)
    if quantity.kind in ("parameter", "parameter gradient"):
        case = replace(case, others=known.others(records[wrong]))
    if quantity.kind == "layer":
        return known.of_layer(case, draws)
    if quantity.kind in ("parameter", "moment"):
        return known.of_update(case)
    if quantity.kind == "statistic":
        return known.of_statistic(case)
    if quantity.kind == "parameter gradient":
        return replace(case, inputs=(known.parameter(),), whole=known.whole_gradient())
    if quantity.node is not None and quantity.kind != "layer gradient":
        node = known.plan.nodes[quantity.node]
        return replace(case, node=node, inputs=tuple(known.value(i) for i in node.inputs))
    return case


class _Known:
    """What one witness said of a repeat, by the place where it is read."""

    def __init__(self, system: System, quantity: Quantity, record: Record, state: TrainingState) -> None:
        self.system, self.quantity, self.state = system, quantity, state
        self.names = Names(system, quantity.place)
        self.plan: StepPlan = self.names.plan
        self.layers = {(q.node, q.name.rpartition(": ")[2]): q for q in record.values() if q.kind == "layer"}
        self.nodes = {q.node: q for q in record.values() if q.node is not None and not q.network}
        self.record = record

    def value(self, i: int) -> np.ndarray:
        """Returns: the value of a node; empty where the witness has none."""
        node = self.plan.nodes[i]
        if i in self.nodes:
            return self.nodes[i].value
        match node.op:
            case "constant":
                return np.array(node.value)
            case "expand":
                inner = self.value(node.inputs[0])
                return inner.reshape(*inner.shape, *(1,) * int(node.value))
            case "output":
                network = self.plan.nodes[node.inputs[0]].value
                return self._layer(node.inputs[0], self.names.stage.networks[network].outputs[node.value])
            case "network":
                return self._layer(i, next(iter(self.names.stage.networks[node.value].outputs.values())))
        return np.empty(0)

    def of_layer(self, case: Case, draws: DrawSource) -> Case:
        q, place = self.quantity, self.quantity.place
        assert q.node is not None
        assert place.step is not None
        assert place.repeat is not None
        node, architecture = self.plan.nodes[q.node], self.names.stage.networks[q.network]
        layer = next(layer for layer in architecture.layers if layer.name == q.layer)
        given = dict(zip(architecture.inputs, node.inputs, strict=True))
        inputs = [self.value(given[n]) if n in given else self._layer(q.node, n) for n in layer.inputs]
        own = {p.name: self._parameter(q.network, f"{layer.name}/{p.name}") for p in layer.parameters}
        statistics = self.state.of(f"statistics/{q.network}/{layer.name}")
        mask = None
        if layer.kind == "dropout":
            at = Position(place.iteration, place.step, place.repeat, self.plan.occurrences[q.node])
            mask = draws.mask(q.network, layer, at, q.value.shape)
        training = node.training and q.network not in self.plan.step.inference
        return replace(
            case, inputs=tuple(inputs), layer=layer, own=own, statistics=statistics, training=training, mask=mask
        )

    def of_statistic(self, case: Case) -> Case:
        q, architecture = self.quantity, self.names.stage.networks[self.quantity.network]
        layer = next((layer for layer in architecture.layers if layer.name == q.layer), None)
        if layer is None:
            return case
        inputs = []
        for i, node in enumerate(self.plan.nodes):
            if node.op == "network" and node.value == q.network and _moves(layer, node.training):
                given = dict(zip(architecture.inputs, node.inputs, strict=True))
                (name,) = layer.inputs
                inputs.append(self.value(given[name]) if name in given else self._layer(i, name))
        own = {p.name: self._parameter(q.network, f"{layer.name}/{p.name}") for p in layer.parameters}
        statistics = self.state.of(f"statistics/{q.network}/{layer.name}")
        return replace(case, inputs=tuple(inputs), layer=layer, own=own, statistics=statistics)

    def parameter(self) -> np.ndarray:
        """Returns: the parameter whose gradient the quantity is."""
        network, _, path = self.quantity.name.partition(" by ")[2].partition("/")
        return self._parameter(network, path)

    def others(self, found: Record) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
        """Returns: each other parameter of the network before, with its value or gradient here and as another witness has it."""
        start = self.quantity.name.partition("/")[0] + "/"
        network = start.removesuffix("/").rpartition(" ")[2]
        return tuple(
            (self._parameter(network, path), q.value, found[key].value)
            for key, q in self.record.items()
            if q.kind == self.quantity.kind
            and q.name.startswith(start)
            and q.name != self.quantity.name
            and key in found
            if f"parameters/{network}/{(path := q.name.removeprefix(start))}" in self.state.arrays
        )

    def whole_gradient(self) -> float:
        """Returns: the norm of all gradients of the loss whose gradient the quantity is."""
        start = self.quantity.name.partition(" by ")[0] + " by "
        own = [q for q in self.record.values() if q.kind == "parameter gradient" and q.name.startswith(start)]
        return float(np.sqrt(sum(float((np.asarray(q.value, np.float64) ** 2).sum()) for q in own)))

    def of_update(self, case: Case) -> Case:
        network, _, path = self.quantity.name.partition(" ")[2].partition("/")
        if self.quantity.kind == "moment":
            path = path.partition("/")[2]
        optimizer: Any = self.system.optimizers.get(network)
        name = f"gradient of loss_{network} by {network}/{path}"
        gradient = self.record.get((self.quantity.place, name))
        if optimizer is None or gradient is None:
            return case
        own = {moment: self.state.arrays[f"moments/{network}/{moment}/{path}"] for moment in optimizer.moments()}
        rate = self.state.learning_rates[network] * self.system.rate_factor(network, self.state.iteration)
        update = (optimizer, self.state.updates[network] + 1, rate)
        before = self._parameter(network, path)
        return replace(case, inputs=(before, gradient.value), own=own, update=update)

    def _parameter(self, network: str, path: str) -> np.ndarray:
        values = self.state.arrays[f"parameters/{network}/{path}"]
        clip = self.system.optimizers[network].clip if network in self.system.optimizers else None
        if clip and clip.when == "before" and network in self.plan.step.update:
            return np.clip(values, -clip.bound, clip.bound)
        return values

    def _layer(self, node: int, name: str) -> np.ndarray:
        found = self.layers.get((node, name))
        return np.empty(0) if found is None else found.value


def _moves(layer: Layer, training: bool) -> bool:
    """Returns: whether an evaluation in this mode moves the running statistics of a layer."""
    norm = layer.settings.get("spectral_norm")
    return training or (norm is not None and norm["advance"] == "always")
