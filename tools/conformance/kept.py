"""What somebody's code computes in one iteration, kept under the spec's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.plan.plan import describe_node
from ganspec.spec.system import System
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.expected import Repeat

_MOVING = ("reshape", "flatten")  # kinds of layers that give their input's numbers, in the same order


class Kept:
    """The values of one iteration.

    Args:
        system: the system.
        repeats: what the spec's own training computes in this iteration.
    """

    def __init__(self, system: System, repeats: Sequence[Repeat]) -> None:
        self.system, self.repeats = system, repeats
        self.records: list[Record] = [{} for _ in repeats]
        self.scalars: list[list[float]] = [[] for _ in repeats]  # single numbers that were computed, in their order

    def say(self, quantity: Quantity | None, values: np.ndarray, number: int) -> None:
        """Keep a value under the name of ganspec's own quantity, in its shape if it has as many numbers.

        What equals ganspec's own to the last bit is that, and needs no memory; of anything else a copy is kept, for code may
        change it later.
        """
        if quantity is None:
            return
        record = self.records[number]
        if values.dtype.kind in "iu" and quantity.value.dtype.kind in "iu":
            values = values.astype(quantity.value.dtype)  # labels of any width are the same labels
        if values.size == quantity.value.size and values.dtype.kind == quantity.value.dtype.kind:
            values = values.reshape(quantity.value.shape)
        same = values.dtype == quantity.value.dtype and np.array_equal(values, quantity.value)
        record[quantity.place, quantity.name] = quantity if same else replace(quantity, value=np.array(values))

    def say_layer(
        self,
        number: int,
        nodes: Sequence[int],
        architecture: Architecture,
        layer: str,
        values: np.ndarray,
        *,
        last: bool,
    ) -> None:
        """Keep what a layer gives; what the network gives at last counts more than what was seen inside.

        Args:
            number: number of the repeat.
            nodes: evaluations of the plan, whose batches the values are one after another.
            architecture, layer: the network and its layer.
            values: what it gives.
            last: whether that is what the network gives at last.
        """
        split = len(nodes) > 1 and len(values) % len(nodes) == 0
        for node, part in zip(nodes, np.split(values, len(nodes)) if split else [values] * len(nodes), strict=True):
            quantity = self.repeats[number].value(node, layer)
            if quantity is not None and (last or (quantity.place, quantity.name) not in self.records[number]):
                self.say(quantity, part, number)
        own = next((la for la in architecture.layers if la.name == layer), None)
        if own is not None and own.kind in _MOVING and own.inputs[0] not in architecture.inputs:
            self.say_layer(number, nodes, architecture, own.inputs[0], values, last=False)  # the same numbers

    def say_input(self, number: int, node: int, quantity: Quantity | None, values: np.ndarray) -> None:
        """Keep what the evaluation of a node reads: a draw, a formula's value, or what another network gave.

        What another network gave is known from there. If the code gives something else, that is a quantity of its own.
        """
        if quantity is None:
            return
        known = self.records[number].get((quantity.place, quantity.name))
        if quantity.kind != "layer" or known is None or np.array_equal(known.value.ravel(), values.ravel()):
            self.say(quantity, values, number)
            return
        repeat = self.repeats[number]
        name = f"%{node} {describe_node(node, repeat.plan)}: what it reads"
        key, source = (quantity.place, name), repeat.plan.sources[node]
        for record in (repeat.record, repeat.exact):
            if (own := record.get((quantity.place, quantity.name))) is not None:
                read = replace(own, kind="value", name=name, source=source, network="", layer="", node=node)
                _insert(record, read)
        repeat.moved = [{**m, key: m.get((quantity.place, quantity.name), 0.0)} for m in repeat.moved]
        self.say(repeat.named(name), values, number)

    def say_state(self, number: int, role: str, network: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep parameters, statistics or averages as they are at the end of a repeat."""
        repeat = self.repeats[number]
        for path, values in arrays.items():
            self.say(repeat.named(f"{role} {network}/{path}"), values, number)

    def say_change(
        self,
        number: int,
        network: str,
        before: Mapping[str, np.ndarray],
        now: Mapping[str, np.ndarray],
        what: str,
        first: bool,
    ) -> None:
        """Keep parameters that something else than an update moved.

        Args:
            number: number of the repeat.
            network: the network.
            before: the values that they should have, by path, of those that moved.
            now: the values that they have.
            what: what the quantities are called, "changed between updates".
            first: whether that was at the beginning of the repeat, or at its end.
        """
        repeat, made = self.repeats[number], {}
        sources = {layer.name: layer.source for layer in self.system.networks[network].holds}
        for path, values in before.items():
            layer, name = path.rpartition("/")[0], f"parameter {network}/{path}, {what}"
            quantity = Quantity("parameter", name, repeat.place, values, sources.get(layer, ""), network, layer)
            made[repeat.place, name] = quantity
            self.records[number][repeat.place, name] = replace(quantity, value=np.array(now[path]))
        repeat.record = {**made, **repeat.record} if first else {**repeat.record, **made}

    def followed(self, number: int, value: float) -> list[tuple[int, float]]:
        """Follow a number back to the repeats before, in which the code computed as many numbers in the same order.

        Args:
            number: number of the repeat in which it was computed.
            value: the number.

        Returns: number of a repeat of the same step, and its value there.
        """
        own, step = self.scalars[number], self.repeats[number].place.step
        at = [i for i, scalar in enumerate(own) if scalar == value]
        found = []
        for other in range(number):
            scalars = self.scalars[other]
            if self.repeats[other].place.step == step and len(scalars) == len(own):
                there = {scalars[i] for i in at}
                found += [(other, there.pop())] if len(there) == 1 else []
        return found


def _insert(record: Record, quantity: Quantity) -> None:
    """Put a quantity before all others of its node."""
    rest = dict(record)
    record.clear()
    for key, other in rest.items():
        if other.node == quantity.node and (quantity.place, quantity.name) not in record:
            record[quantity.place, quantity.name] = quantity
        record[key] = other
