"""Parameters of somebody's networks between updates: what moves them there is no optimiser, but perhaps a clip put in by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganspec.tools.conformance.observer import Observer
from ganspec.tools.conformance.sides import Side

Arrays = Mapping[str, np.ndarray]


class Parameters:
    """Watches the parameters of all networks during one iteration.

    A network whose weights the spec clips after its update is looked at when it is used next, for the code may clip by hand.

    Args:
        side: the networks.
        observer: the observer of the iteration, which is told of every change.
    """

    def __init__(self, side: Side, observer: Observer) -> None:
        self.side, self.observer = side, observer
        self.clip = {name: optimizer.clip for name, optimizer in observer.system.optimizers.items()}
        self._known = {network: self._copied(network) for network in side.modules}
        self._waiting: dict[str, int] = {}  # networks that have moved, and the repeat in which they did
        self._looked: set[tuple[int, str]] = set()

    def moved(self, network: str, number: int) -> None:
        """An optimiser has moved a network in the repeat of a number."""
        self._known[network] = self._copied(network)
        self._waiting[network] = number

    def used(self, network: str, updating: bool) -> None:
        """A network is about to be evaluated, or to be moved by its optimiser."""
        if network in self._waiting:
            self._settle(network)
        repeat = self.observer.repeat
        if repeat is None or (not updating and (self.observer.current, network) in self._looked):
            return
        known, what = self._known[network], "changed between updates"
        clip = self.clip.get(network)
        first = (self.observer.current, network) not in self._looked
        if first and clip is not None and clip.when == "before" and network in repeat.plan.step.update:
            known = {path: np.clip(values, -clip.bound, clip.bound) for path, values in known.items()}
            what = "clipped before the step"
        self._looked.add((self.observer.current, network))
        now = self._known[network] = self._copied(network)
        self._tell(self.observer.current, network, known, now, what, first=True)

    def end(self) -> None:
        """The iteration is over."""
        for network in list(self._waiting):
            self._settle(network)

    def _copied(self, network: str) -> dict[str, np.ndarray]:
        return {path: np.array(values) for path, values in self.side.arrays(network, trained=True).items()}

    def _settle(self, network: str) -> None:
        """Keep what an update made of the parameters."""
        number, clip = self._waiting.pop(network), self.clip.get(network)
        before, now = self._known[network], self._copied(network)
        if clip is not None and clip.when == "after":
            self.observer.kept.say_state(number, "parameter", network, now)
        else:
            self.observer.kept.say_state(number, "parameter", network, before)
            self._tell(number, network, before, now, "changed between updates", first=False)
        self._known[network] = now

    def _tell(self, number: int, network: str, before: Arrays, now: Arrays, what: str, *, first: bool) -> None:
        changed = {p: a for p, a in before.items() if not np.array_equal(a, now[p], equal_nan=a.dtype.kind == "f")}
        self.observer.kept.say_change(number, network, changed, now, what, first)
