"""Runs the port, in PyTorch, on the draws of his model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from ganspec.tools.conformance.torch_random import Replay
from ganspec.tools.porting.draws import DrawError, Event, Tape
from ganspec.tools.porting.inputs import nested
from ganspec.tools.porting.outputs import is_array, leaves
from ganspec.tools.porting.sides import Model, NamedArray, Ran, first_line, projection

COUNTER = "num_batches_tracked"  # PyTorch counts batches, which nothing reads where the momentum is a number


class LoadError(Exception):
    """The port does not take the arrays of his model."""


class PortSide:
    """The port, ready to be run.

    Args:
        model: the port.
        arrays: the arrays that his model has, too.
    """

    def __init__(self, model: Model, arrays: Sequence[NamedArray]) -> None:
        self.model, self.arrays = model, arrays

    def make(
        self, dtype: str, values: Mapping[str, np.ndarray], states: Mapping[str, Any], drawn: Set[str] = frozenset()
    ) -> torch.nn.Module:
        """Returns: a new instance with his numbers.

        Args:
            dtype: its precision.
            values: all arrays by their paths in Chainer.
            states: what his instance holds in plain attributes, by path.
            drawn: paths of those whose numbers his constructor draws; of the others the port must have the numbers itself.

        Raises:
            LoadError: it lacks an array, has one too many, or one of another shape.
        """
        with precision(dtype):
            module = self.model.make(dtype)
        own = module.state_dict()
        given = {str(a.torch_key): a.chainer_path.strip("/") for a in self.arrays}
        wrong = [
            f"it has no {key}, which is your {path}"
            for key, path in given.items()
            if key not in own and not key.endswith(COUNTER)
        ]
        attributes = {path.replace("/", "."): path for path in states}
        wrong += [
            f"your model has no {key}"
            for key in own
            if key not in given and key not in attributes and not key.endswith(COUNTER) and not is_lazy(own[key])
        ]
        for key, path in given.items():
            if key in own:
                value = np.asarray(values[path])
                if is_lazy(own[key]):  # its other array was never initialised
                    own[key] = torch.from_numpy(np.array(value)).to(own[key].dtype)
                    continue
                if own[key].shape != value.shape:
                    wrong.append(f"{key} has the shape {list(own[key].shape)}, your {path} {list(value.shape)}")
                    continue
                if own[key].is_floating_point() != (value.dtype.kind == "f"):
                    wrong.append(f"{key} has the dtype {own[key].dtype}, your {path} {value.dtype}")
                    continue
                own[key] = torch.from_numpy(np.array(value)).to(own[key].dtype)
        if wrong:
            raise LoadError("; ".join(wrong))
        module.load_state_dict(own, strict=True)
        plain = {path: value for path, value in states.items() if path not in given.values()}
        for path in sorted(plain.keys() - drawn):
            if not _same_numbers(read_attribute(module, path), plain[path]):
                raise LoadError(f"its {path.replace('/', '.')} begins with other numbers than yours")
        for path, value in plain.items():
            _write_attribute(module, path, value)
        return module

    def run(
        self,
        module: torch.nn.Module,
        inputs: Mapping[str, np.ndarray],
        *,
        training: bool,
        dtype: str,
        events: list[Event],
        seed: int = 0,
        like: Ran,
    ) -> Ran:
        """Call the port once.

        Args:
            module: instance.
            inputs: arrays by name.
            training: whether it is in training mode.
            dtype: precision of the instance.
            events: draws of his model in this call.
            seed: seed of the projection.
            like: what his model gave: the same gradients are taken, and the same states read.

        Returns: what it gave.

        Raises:
            DrawError: it draws otherwise than his model.
        """
        given = {name: torch.from_numpy(value.copy()) for name, value in inputs.items()}
        for tensor in given.values():
            tensor.requires_grad_(tensor.is_floating_point())
        module.train(training)
        tape = Tape(events)
        with precision(dtype), torch.enable_grad():
            with Replay(tape.answer, torch.device("cpu"), DrawError):
                returned = self.model.call(module, nested(given), training, dtype)
            tape.finish()
            found = dict(leaves(returned))
            ran = Ran({path: _plain(value) for path, value in found.items()})
            if like.gradients:
                self._differentiate(ran, module, given, found, dtype, seed, like)
        own = module.state_dict()
        keys = {a.chainer_path.strip("/"): str(a.torch_key) for a in self.arrays}
        for path in like.states:
            value = own[keys[path]] if keys.get(path) in own else read_attribute(module, path)
            if value is not MISSING:
                ran.states[path] = _plain(value)
        ran.inputs = {name: _plain(value) for name, value in given.items()}
        trained = {a.chainer_path.strip("/"): a.torch_key for a in self.arrays if a.trained}
        ran.parameters = {path: _plain(own[key]) for path, key in trained.items() if key in own}
        return ran

    def _differentiate(
        self,
        ran: Ran,
        module: torch.nn.Module,
        given: Mapping[str, torch.Tensor],
        found: Mapping[str, Any],
        dtype: str,
        seed: int,
        like: Ran,
    ) -> None:
        parameters = dict(module.named_parameters(remove_duplicate=False))
        wanted = {a.chainer_path.strip("/"): parameters.get(str(a.torch_key)) for a in self.arrays if a.trained}
        wanted |= {f"input {n}": v for n, v in given.items() if v.requires_grad}
        wanted = {path: value for path, value in wanted.items() if path in like.gradients}
        ends = {p: y for p, y in found.items() if isinstance(y, torch.Tensor) and y.grad_fn is not None}
        weights = [
            torch.from_numpy(projection(path, tuple(y.shape), seed, dtype)).to(y.dtype) for path, y in ends.items()
        ]
        first = _gradients(list(ends.values()), wanted, weights, again=like.second is not None)
        ran.gradients = {path: _array_or_none(g) for path, g in first.items()}
        if like.second is None:
            return
        there = [g for g in first.values() if g is not None and g.requires_grad]
        try:
            second = _gradients(there, wanted, [2 * g.detach() for g in there], again=False)
        except Exception as error:
            ran.why_no_second = f"PyTorch has no second gradient here: {first_line(error)}"
            return
        ran.second = {path: _array_or_none(g) for path, g in second.items()}


def _gradients(
    ends: list[torch.Tensor], wanted: Mapping[str, torch.Tensor | None], weights: list[torch.Tensor], *, again: bool
) -> dict[str, torch.Tensor | None]:
    trained = {path: p for path, p in wanted.items() if p is not None and p.requires_grad}
    found: dict[str, torch.Tensor | None] = dict.fromkeys(wanted)
    if ends and trained:
        values = list(trained.values())
        gradients = torch.autograd.grad(ends, values, weights, create_graph=again, retain_graph=True, allow_unused=True)
        found |= dict(zip(trained, gradients, strict=True))
    return found


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Let a precision be PyTorch's default, as float32 in his source means float64 where his model runs in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    return np.array(value) if is_array(value) else value


def _array_or_none(value: torch.Tensor | None) -> np.ndarray | None:
    return None if value is None else value.detach().numpy().copy()


MISSING = object()


def read_attribute(module: torch.nn.Module, path: str) -> Any:
    """Returns: the attribute at a path, such as "l0/u"; `MISSING` where there is none."""
    value: Any = module
    for name in path.split("/"):
        if isinstance(value, (torch.nn.ModuleList, torch.nn.Sequential)) and name.isdecimal():
            value = value[int(name)] if int(name) < len(value) else MISSING
        else:
            value = getattr(value, name, MISSING)
        if value is MISSING:
            return MISSING
    return value


def _same_numbers(there: Any, value: Any) -> bool:
    """Returns: whether a tensor of the port has the numbers of his array, as far as float32 tells; true where it is no tensor."""
    if not isinstance(there, torch.Tensor) or not is_array(value):
        return True
    return bool(
        there.shape == value.shape and np.allclose(there.detach().numpy(), value, rtol=1e-6, atol=0, equal_nan=True)
    )


def _write_attribute(module: torch.nn.Module, path: str, value: Any) -> None:
    """Give a plain attribute of the port, a tensor or None, the array that his has."""
    there = read_attribute(module, path)
    if not is_array(value) or not (there is None or isinstance(there, torch.Tensor)):
        return
    owner, _, name = path.rpartition("/")
    holder = read_attribute(module, owner) if owner else module
    tensor = torch.from_numpy(np.array(value))
    if isinstance(there, torch.Tensor) and there.shape == tensor.shape and there.dtype == tensor.dtype:
        with torch.no_grad():
            there.copy_(tensor)
    else:
        setattr(holder, name, tensor)
