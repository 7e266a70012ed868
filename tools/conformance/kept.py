"""What somebody's code computes in one iteration, kept under the spec's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ganspec.spec.system import System
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.conformance.expected import Repeat


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
        """Keep a value under the name of ganspec's own quantity, in its shape if it has as many numbers."""
        if quantity is None:
            return
        record = self.records[number]
        if values.size == quantity.value.size and values.dtype.kind == quantity.value.dtype.kind:
            values = values.reshape(quantity.value.shape)
        record[quantity.place, quantity.name] = replace(quantity, value=values)

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
            self.records[number][repeat.place, name] = replace(quantity, value=now[path])
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
