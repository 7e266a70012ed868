"""Iterations that are done again from a record, on the CPU: what a CUDA graph does on a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What a device cannot do alone: it is waited for, or numbers are copied from the host.
WAITING = frozenset(
    {"_local_scalar_dense", "is_nonzero", "lift_fresh", "masked_select", "nonzero", "_unique2", "scalar_tensor"}
)
FROM_GENERATORS = frozenset({"bernoulli", "bernoulli_", "normal_", "rand", "randn", "uniform_"})


class Operators(TorchDispatchMode):
    """A record of PyTorch's operators, which has the methods of `spec.training.capturing.Graph`.

    As in a CUDA graph, everything is done again on the same memory: each operator with the very arguments that it had, its
    result written to where it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Any]]] = []

    def record(self, function: Callable[[], None]) -> bool:
        with self:
            function()
        return True

    def replay(self) -> None:
        with torch.no_grad():
            for operator, arguments, options, results in self.calls:
                again = operator(*arguments, **options)
                for result, new in zip(results, tree_leaves(again), strict=True):
                    if isinstance(result, torch.Tensor) and result is not new:
                        result.copy_(new)

    @property
    def names(self) -> set[str]:
        return {operator.overloadpacket.__name__ for operator, *_ in self.calls}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # or PyTorch loads its compiler
        return False

    def __torch_dispatch__(self, operator: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        results = operator(*arguments, **(options or {}))
        if not operator.is_view:  # a view shares the memory of what was viewed
            kept = [r.detach() if isinstance(r, torch.Tensor) else r for r in tree_leaves(results)]
            self.calls.append((operator, arguments, options or {}, kept))
        return results


class Again:
    """The iteration itself, done again with everything as it was that Python counts: in place of a graph, for a framework whose
    operators cannot be recorded.

    Args:
        trainer: trainer whose iterations they are.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def record(self, function: Callable[[], None]) -> bool:
        self._function, self._iteration = function, self.trainer.iteration
        return False

    def replay(self) -> None:
        optimizers = [self.trainer.networks[name].optimizer for name in self.trainer.system.optimizers]
        counts = [(optimizer.updates, optimizer.learning_rate) for optimizer in optimizers]
        self.trainer.iteration = self._iteration
        for optimizer in optimizers:
            optimizer.updates, optimizer.learning_rate = -1, float("nan")
        self._function()
        for optimizer, (updates, rate) in zip(optimizers, counts, strict=True):
            optimizer.updates, optimizer.learning_rate = updates, rate
