"""What Chainer code computes, shown to an observer: evaluations of networks, and gradients by what their layers gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.conformance.backward import Seen
from ganspec.tools.conformance.observer import Observer

ToNumpy = Callable[[Any], np.ndarray]


class ArrivingGradients(chainer.FunctionHook):  # type: ignore[misc]
    """Shows an observer the gradients that arrive at what some functions gave.

    Args:
        observer: the observer.
        to_numpy: function that copies an array's values.
    """

    name = "ganspec.conformance.gradients"

    def __init__(self, observer: Observer, to_numpy: ToNumpy) -> None:
        super().__init__()
        self.observer, self.to_numpy = observer, to_numpy
        self._followed: dict[int, tuple[Any, Seen]] = {}  # by identity; the function is kept, so that no other gets it

    def follow(self, function: Any, seen: Seen, shape: tuple[int, ...]) -> None:
        """Show the gradients by what a function gave, which is a layer's value of a shape."""
        self.observer.behind.watch(seen, shape)
        self._followed[id(function)] = function, seen

    def backward_preprocess(self, function: Any, in_data: Any, out_grad: Any) -> None:
        known = self._followed.get(id(function)) if self.observer.behind.by is not None else None
        if known is not None and out_grad and out_grad[0] is not None:
            self.observer.behind.add(known[1], self.observer.current, self.to_numpy(out_grad[0]))


class Links(chainer.LinkHook):  # type: ignore[misc]
    """Shows an observer the evaluations of the networks."""

    name = "ganspec.conformance"

    def __init__(self, observer: Observer, modules: Mapping[str, Any], to_numpy: ToNumpy) -> None:
        super().__init__()
        self.observer, self.to_numpy = observer, to_numpy
        self.networks = {id(link): name for name, link in modules.items()}

    def forward_preprocess(self, args: Any) -> None:
        if id(args.link) in self.networks:
            given = [a for a in (*args.args, *args.kwargs.values()) if hasattr(a, "shape")]
            arrays, recorded = [self.to_numpy(a) for a in given], chainer.config.enable_backprop
            self.observer.enter(self.networks[id(args.link)], arrays, recorded=recorded)

    def forward_postprocess(self, args: Any) -> None:
        if id(args.link) in self.networks:
            self.observer.leave(self.to_numpy(args.out) if hasattr(args.out, "shape") else None)
