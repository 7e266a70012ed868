"""Somebody's PyTorch code under observation: its modules, optimisers, operations and draws."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.conformance.mapping import Held, Match
from ganspec.tools.conformance.numpy_random import replaying as replaying_numpy
from ganspec.tools.conformance.observer import Observer
from ganspec.tools.conformance.torch_random import Replay
from ganspec.tools.conformance.torch_watch import Operations, differentiations, switches, uncompiled

_FEW = 1_000_000  # numbers in networks; so few are computed by one thread, which waits for no other on a busy machine
# An optimiser's arrays for a parameter, by the spec's kind of optimiser and name of the moment.
MOMENTS = {"Adam": {"m": "exp_avg", "v": "exp_avg_sq"}, "RMSprop": {"v": "square_avg"}}


class TorchSide:
    """PyTorch modules and optimisers.

    Args:
        modules: network's module by name.
        optimizers: network's optimiser by name; those that are not given are found when they step.
        dtype: "float32" or "float64", to which the modules are turned while they are checked.
    """

    backend = "torch"
    blind = False

    def __init__(self, modules: Mapping[str, Any], optimizers: Mapping[str, Any], dtype: str) -> None:
        self.modules, self.optimizers, self.dtype = dict(modules), dict(optimizers), getattr(torch, dtype)
        self.device = next((p.device for m in self.modules.values() for p in m.parameters()), torch.device("cpu"))
        self.matches: dict[str, dict[str, Match]] = {}
        self._optimizers: list[Any] = list({id(o): o for o in self.optimizers.values()}.values())
        self.notes: list[str] = []
        self._put_back: Callable[[], None] = lambda: None
        self.layered = not any(_is_compiled(m) for m in self.modules.values())

    @property
    def device_name(self) -> str:
        """The device on which the networks are: "cpu" or "cuda"."""
        return str(self.device.type)

    def held(self, network: str) -> list[Held]:
        """Returns: the arrays of a module, in the order in which it was built."""
        module = self.modules[network]
        parameters = [Held(n, tuple(p.shape), True) for n, p in _plain(module.named_parameters())]
        buffers = [Held(n, tuple(b.shape), False) for n, b in _plain(module.named_buffers())]
        return [*parameters, *buffers]

    def check(self, matches: Mapping[str, Mapping[str, Match]]) -> None:
        """Take over which array is which.

        Raises:
            ConformanceError: an optimiser is not of its network's parameters.
        """
        self.matches = {network: dict(found) for network, found in matches.items()}
        self._arrays = {network: self._named(network) for network in self.modules}
        self._owners = {id(p): (n, path) for n, arrays in self._arrays.items() for path, p in arrays.items()}
        for network, optimizer in self.optimizers.items():
            if not isinstance(optimizer, torch.optim.Optimizer):
                raise ConformanceError(
                    f"optimizers: that of {network} is of the type {type(optimizer).__name__}, expected a torch.optim.Optimizer"
                )
            there = {id(p) for p in _parameters(optimizer)}
            own = {path: p for path, p in self._arrays[network].items() if isinstance(p, torch.nn.Parameter)}
            missing = [self.matches[network][path].name for path, p in own.items() if id(p) not in there]
            if missing:
                also = sorted({self._owners[i][0] for i in there if i in self._owners} - {network})
                what = f"; it has parameters of {' and '.join(also)}" if also else ""
                names = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
                raise ConformanceError(f"optimizers: that of {network} does not have its parameters {names}{what}")

    def adopt(self, values: Iterable[Any]) -> None:
        """Take over the optimisers of these networks that are among some values, beside those that were given."""
        for value in values:
            new = isinstance(value, torch.optim.Optimizer) and value not in self._optimizers
            if new and any(id(p) in self._owners for p in _parameters(value)):
                self._optimizers.append(value)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """Turn modules and optimisers into what is checked; afterwards they are as they were."""
        tensors = [t for m in self.modules.values() for t in (*m.parameters(), *m.buffers())]
        values = [(t, t.data, t.data.clone(), t.grad) for t in tensors]
        states = {id(o): (o, o.state_dict()) for o in self._optimizers}
        copies = {key: _copied(state) for key, (_, state) in states.items()}
        self._put_back = switches(self.modules.values())
        default, threads = torch.get_default_dtype(), torch.get_num_threads()
        torch.set_default_dtype(self.dtype)
        if sum(t.numel() for t in tensors) < _FEW:
            torch.set_num_threads(1)
        try:
            for t in tensors:
                if t.is_floating_point():
                    t.data = t.data.to(self.dtype)
            yield
        finally:
            torch.set_default_dtype(default)
            torch.set_num_threads(threads)
            self._put_back()
            for t, data, copy, grad in values:
                t.data = data
                t.data.copy_(copy)
                t.grad = grad
            for key, (optimizer, _) in states.items():
                optimizer.state.clear()
                optimizer.load_state_dict(copies[key])

    def start(self, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Give networks their first values, by network and path, and optimisers a fresh state."""
        self._put_back()
        for network, values in arrays.items():
            for path, array in self._arrays[network].items():
                theirs = self.matches[network][path].theirs(values[path])
                array.data.copy_(torch.from_numpy(theirs))
                array.grad = None
        for optimizer in self._optimizers:
            optimizer.state.clear()

    def batch(self, values: np.ndarray) -> Any:
        """Returns: an array of a batch as the step takes it."""
        tensor = torch.from_numpy(np.array(values))
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def to_numpy(self, value: Any) -> np.ndarray:
        """Returns: a tensor's or a number's values; on the CPU the very memory."""
        return value.numpy(force=True) if isinstance(value, torch.Tensor) else np.asarray(value)

    def arrays(self, network: str, *, trained: bool) -> dict[str, np.ndarray]:
        """Returns: parameters, or statistics, of a network by path, as the spec holds them."""
        return {
            path: self.matches[network][path].ours(self.to_numpy(array))
            for path, array in self._arrays[network].items()
            if isinstance(array, torch.nn.Parameter) == trained
        }

    @contextlib.contextmanager
    def watched(self, observer: Observer, ended: Any) -> Iterator[None]:
        """Tell an observer everything that happens.

        Args:
            observer: the observer of this iteration.
            ended: function that is called with each optimiser's networks after it has moved them.
        """
        with contextlib.ExitStack() as stack:
            for network, module in self.modules.items():
                handles = [
                    module.register_forward_pre_hook(self._before(observer, network), with_kwargs=True),
                    module.register_forward_hook(self._after(observer), always_call=True),
                ]
                for handle in handles:
                    stack.callback(handle.remove)
            for handle in (
                register_optimizer_step_pre_hook(self._stepping(observer)),
                register_optimizer_step_post_hook(self._stepped(observer, ended)),
            ):
                stack.callback(handle.remove)
            stack.enter_context(replaying_numpy(observer.draw))
            stack.enter_context(differentiations(observer, self.to_numpy, self.owner_of))
            stack.enter_context(Replay(observer.draw, self.device, observer.fail))
            if self.layered:
                stack.enter_context(Operations(observer, self.to_numpy, self.layer_of))
            yield

    def _before(self, observer: Observer, network: str) -> Any:
        def hook(module: Any, args: Any, kwargs: Any) -> None:
            given = [self.to_numpy(a) for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
            observer.enter(network, given, recorded=torch.is_grad_enabled())

        return uncompiled(hook)

    def _after(self, observer: Observer) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            observer.leave(self.to_numpy(output) if isinstance(output, torch.Tensor) else None)

        return uncompiled(hook)

    def _stepping(self, observer: Observer) -> Any:
        def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
            found: dict[str, dict[str, np.ndarray]] = {}
            for p in _parameters(optimizer):
                if id(p) in self._owners:
                    network, path = self._owners[id(p)]
                    gradient = np.zeros(p.shape, self.to_numpy(p).dtype) if p.grad is None else self.to_numpy(p.grad)
                    found.setdefault(network, {})[path] = self.matches[network][path].ours(gradient)
            if found and optimizer not in self._optimizers:
                line, names = calling_line(), " and ".join(found)
                raise observer.fail(
                    f"{line}: an optimiser that is not known updates {names}; give it: optimizers={{...}}"
                )
            if found:
                observer.updating(found)

        return uncompiled(hook)

    def _stepped(self, observer: Observer, ended: Any) -> Any:
        def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
            own = {self._owners[id(p)][0] for p in _parameters(optimizer) if id(p) in self._owners}
            if own:
                ended(sorted(own), self._moments(optimizer, observer))

        return uncompiled(hook)

    def _moments(self, optimizer: Any, observer: Observer) -> dict[str, np.ndarray]:
        known = MOMENTS.get(type(optimizer).__name__, {})
        found = {}
        for p in _parameters(optimizer):
            if id(p) in self._owners:
                network, path = self._owners[id(p)]
                for moment in observer.system.optimizers[network].moments():
                    kept = optimizer.state.get(p, {}).get(known.get(moment))
                    if kept is not None:
                        found[f"{network}/{moment}/{path}"] = self.matches[network][path].ours(self.to_numpy(kept))
        return found

    def _named(self, network: str) -> dict[str, torch.Tensor]:
        module = self.modules[network]
        there = {**dict(_plain(module.named_parameters())), **dict(_plain(module.named_buffers()))}
        return {path: there[match.name] for path, match in self.matches[network].items()}

    def layer_of(self, tensors: Sequence[Any]) -> str:
        """Returns: the spec's layer to which one of these tensors belongs; "" where none does."""
        found = next((self._owners[id(t)] for t in tensors if id(t) in self._owners), None)
        return found[1].rpartition("/")[0] if found else ""

    def owner_of(self, tensors: Sequence[Any]) -> str:
        """Returns: the network whose parameters these tensors are; "" where they are of none or of several."""
        owners = {self._owners[id(t)][0] if id(t) in self._owners else "" for t in tensors}
        return owners.pop() if len(owners) == 1 else ""


def _plain(named: Any) -> list[tuple[str, torch.Tensor]]:
    """Returns: tensors by name, without what a wrapper adds to names."""
    return [(n.replace("_orig_mod.", "").removeprefix("module."), t) for n, t in named]


def _parameters(optimizer: Any) -> list[Any]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _is_compiled(module: Any) -> bool:
    return any(type(m).__name__ == "OptimizedModule" or m._compiled_call_impl is not None for m in module.modules())


def _copied(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state
