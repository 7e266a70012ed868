"""The conformance check's view of somebody's Chainer code, with the line of his file behind everything that is compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.system import System
from ganspec.tools.agreement.report import Place, Quantity
from ganspec.tools.conformance.chainer_arrays import replaced
from ganspec.tools.conformance.chainer_side import ChainerSide
from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.conformance.mapping import Held
from ganspec.tools.conformance.observer import Observer
from ganspec.tools.updaters.old_chainer import old_chainer, wide_array


class UpdaterSide(ChainerSide):
    """Chainer links and optimisers behind an updater.

    Attributes:
        lines: "updater.py:31" by place and name of a quantity: the line that computed it.
        losses: lines at which `backward` was called since the last update, by place and network.
        observer: the observer of the current iteration.
        left_out: names of arrays, by network, that have no counterpart.
    """

    def __init__(self, modules: Mapping[str, Any], optimizers: Mapping[str, Any], dtype: str) -> None:
        super().__init__(modules, optimizers, dtype)
        self.lines: dict[tuple[Place, str], str] = {}
        self.losses: dict[tuple[Place, str], tuple[str, ...]] = {}
        self.observer: Observer | None = None
        self.left_out: dict[str, set[str]] = {}
        self.late = ""  # line of what is recorded only now
        self._backward_lines: list[str] = []
        self._updates: dict[tuple[int, str], str] = {}  # line of each update, by number of the repeat and network

    def held(self, network: str) -> list[Held]:
        """Returns: the arrays of a link, but for those that were left out."""
        return [h for h in super().held(network) if h.name not in self.left_out.get(network, ())]

    def leave_out(self, system: System) -> list[str]:
        """Leave out layers that no layer of the system has the name of, where all others have one: old classes keep unused links.

        Returns: a note for each network of which something is left out.
        """
        notes = []
        for network, architecture in system.networks.items():
            wanted = {
                path.rpartition("/")[0] for path in (*architecture.parameter_paths(), *architecture.statistic_paths())
            }
            extra = [h for h in self.held(network) if h.layer.replace(".", "/") not in wanted]
            layers = sorted({h.layer for h in extra})
            if extra and wanted <= {h.layer.replace(".", "/") for h in self.held(network)}:
                self.left_out[network] = {h.name for h in extra}
                notes.append(f"{network}'s {', '.join(layers)} has no counterpart in {system.name}, and was left out")
        return notes

    @contextlib.contextmanager
    def watched(self, observer: Observer, ended: Any) -> Iterator[None]:
        """Tell an observer everything that happens, and note lines."""
        self.observer = observer
        self._backward_lines.clear()
        self._updates.clear()
        observer.kept.records = [_NotedRecord(self) for _ in observer.kept.records]
        observer.updating = self._noting_updates(observer)  # type: ignore[method-assign]
        observer.kept.say_state = self._noting_states(observer)  # type: ignore[method-assign]
        told = observer.differentiated

        def differentiated(value: float | None, network: str = "", *, kept: bool = True) -> str:
            self._backward_lines.append(calling_line())
            return told(value, network, kept=kept)

        ended_well = observer.end

        def end() -> None:
            try:
                ended_well()
            except ConformanceError as error:  # too few updates: what was done until then is compared all the same
                observer.failure = observer.failure or error
                raise

        observer.differentiated, observer.end = differentiated, end  # type: ignore[method-assign]
        with contextlib.ExitStack() as stack:
            stack.enter_context(super().watched(observer, ended))
            stack.enter_context(old_chainer(self.dtype))
            for kind in {type(link) for link in self.modules.values()}:
                stack.enter_context(replaced(kind, "__call__", self._calling(observer, kind.__call__)))
            yield

    def _calling(self, observer: Observer, original: Any) -> Any:
        names = {id(link): name for name, link in self.modules.items()}

        def call(link: Any, *args: Any, **kwargs: Any) -> Any:
            if self.dtype == np.float64:
                args = tuple(wide_array(a) for a in args)
                kwargs = {name: wide_array(a) for name, a in kwargs.items()}
            # Chainer's hooks see calls through Link.__call__ alone, and old classes have a `__call__` of their own.
            if id(link) not in names or original is chainer.Link.__call__:
                return original(link, *args, **kwargs)
            observer.enter(
                names[id(link)], [self.to_numpy(a) for a in (*args, *kwargs.values()) if hasattr(a, "shape")]
            )
            output = original(link, *args, **kwargs)
            observer.leave(self.to_numpy(output) if hasattr(output, "shape") else None)
            return output

        return call

    def _noting_updates(self, observer: Observer) -> Any:
        original = observer.updating

        def updating(gradients: Any) -> None:
            if observer.repeat is not None:
                for network in gradients:
                    self._updates[observer.current, network] = calling_line()
                    self.losses[observer.repeat.place, network] = tuple(dict.fromkeys(self._backward_lines))
            self._backward_lines.clear()
            original(gradients)

        return updating

    def _noting_states(self, observer: Observer) -> Any:
        original = observer.kept.say_state

        def say_state(number: int, role: str, network: str, arrays: Any) -> None:
            self.late = self._updates.get((number, network), "")  # told late: the line is that of the update
            original(number, role, network, arrays)
            self.late = ""

        return say_state


class _NotedRecord(dict[tuple[Place, str], Quantity]):
    """What is recorded of a repeat; the line that computed each quantity is noted."""

    def __init__(self, side: UpdaterSide) -> None:
        super().__init__()
        self._side = side

    def __setitem__(self, key: tuple[Place, str], value: Quantity) -> None:
        if not self._side.lines.get(key):
            self._side.lines[key] = self._side.late or calling_line()
        super().__setitem__(key, value)
