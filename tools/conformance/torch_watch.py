"""What PyTorch code computes, shown to an observer: functions, and what is differentiated."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ganspec.tools.conformance.backward import Seen
from ganspec.tools.conformance.observer import Observer

ToNumpy = Callable[[Any], np.ndarray]
# What a function of PyTorch computes, as a kind of layer.
_KINDS = {
    "linear": "linear", "conv2d": "conv", "conv_transpose2d": "deconv", "batch_norm": "batch_norm", "embedding": "embedding",
    "leaky_relu": "leaky_relu", "leaky_relu_": "leaky_relu", "relu": "relu", "relu_": "relu", "elu": "elu", "elu_": "elu",
    "tanh": "tanh", "sigmoid": "sigmoid", "dropout": "dropout", "max_pool2d": "max_pool", "_max_pool2d": "max_pool",
    "boolean_dispatch": "max_pool", "avg_pool2d": "avg_pool", "interpolate": "upsample", "one_hot": "one_hot", "cat": "concat",
}  # fmt: skip


class Operations(TorchFunctionMode):
    """Shows an observer what functions of PyTorch read and give, wherever they are called from.

    Args:
        observer: the observer.
        to_numpy: function that gives a tensor's values.
        layer_of: function that gives the spec's layer to which one of some tensors belongs, or "".
    """

    def __init__(self, observer: Observer, to_numpy: ToNumpy, layer_of: Callable[[Sequence[Any]], str]) -> None:
        super().__init__()
        self.observer, self.to_numpy, self.layer_of = observer, to_numpy, layer_of

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = _KINDS.get(getattr(func, "__name__", ""))
        if torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        if kind is None or not args:
            output = func(*args, **(kwargs or {}))
            if type(output) is torch.Tensor and output.numel() == 1 and output.grad_fn is not None:
                self.observer.scalar(float(output.detach()))
            return output
        tensors = args[0] if isinstance(args[0], (tuple, list)) else args[:1]
        own = self.layer_of([*args[1:], *(kwargs or {}).values()])
        given = [self.to_numpy(t) for t in tensors if isinstance(t, torch.Tensor)]
        gave = self.observer.operation(kind, own, given)
        output = func(*args, **(kwargs or {}))
        if type(output) is torch.Tensor:
            seen = gave(self.to_numpy(output))
            if seen is not None and output.requires_grad:
                self._follow(output, seen)
        return output

    def _follow(self, output: torch.Tensor, seen: Seen) -> None:
        """Show an observer the gradients that arrive at a layer's value."""
        observer, to_numpy = self.observer, self.to_numpy

        def arrives(gradient: torch.Tensor) -> None:
            if observer.behind.by is not None:
                observer.behind.add(seen, observer.current, to_numpy(gradient))

        observer.behind.watch(seen, tuple(output.shape))
        output.register_hook(arrives)


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns: a function that the compiler calls and does not look into, if there is a compiler."""
    return torch.compiler.disable(function) if "torch._dynamo" in sys.modules else function


def switches(modules: Iterable[torch.nn.Module]) -> Callable[[], None]:
    """Note how modules stand, and whether gradients are recorded.

    Returns: a function that puts back each module's mode and the very parameters and buffers that it holds, whether each
        parameter is differentiated, and whether PyTorch records gradients.
    """
    held = [(m, m.training, dict(m._parameters), dict(m._buffers)) for module in modules for m in module.modules()]
    differentiated = [(p, p.requires_grad) for _, _, own, _ in held for p in own.values() if p is not None]
    recording = torch.is_grad_enabled()

    def put_back() -> None:
        torch.set_grad_enabled(recording)
        for module, training, parameters, buffers in held:
            module.training = training
            for now, before in ((module._parameters, parameters), (module._buffers, buffers)):
                now.clear()
                now.update(before)
        for parameter, requires_grad in differentiated:
            parameter.requires_grad_(requires_grad)

    return put_back


@contextlib.contextmanager
def differentiations(observer: Observer, to_numpy: ToNumpy, owner_of: Callable[[Sequence[Any]], str]) -> Iterator[None]:
    """Show an observer what code differentiates: `torch.autograd.grad`, and what `backward` is called on.

    Args:
        observer: the observer.
        to_numpy: function that copies a tensor's values.
        owner_of: function that gives the network whose parameters some tensors are, or "".
    """
    grad, backward = torch.autograd.grad, torch.autograd.backward

    def of_network(outputs: Any, inputs: Any) -> str | None:
        """Returns: the network by whose parameters a single number is differentiated; None where that is not done."""
        numbers = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
        variables = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
        owner = owner_of(variables) if len(numbers) == 1 and type(numbers[0]) is torch.Tensor else ""
        if not owner or numbers[0].numel() != 1:
            return None
        return observer.differentiated(float(numbers[0].detach()), owner, kept=False)

    def seen_grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = inputs if isinstance(inputs, (torch.Tensor, tuple, list)) else list(inputs)
        owner = of_network(outputs, inputs)
        with observer.behind.differentiating(owner) if owner else contextlib.nullcontext():
            found = grad(outputs, inputs, *args, **kwargs)
        variables = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
        for variable, gradient in zip(variables, found, strict=False):
            if type(gradient) is type(variable) is torch.Tensor:  # the compiler traces with tensors of other types
                observer.input_gradient(to_numpy(variable), to_numpy(gradient))
        return found

    def seen_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        by = kwargs.get("inputs")
        by = [] if by is None else [by] if isinstance(by, torch.Tensor) else list(by)
        owner = owner_of(by)
        kwargs = {**kwargs, "inputs": by} if by else kwargs
        label = observer.differentiated(None, owner)
        for tensor in [tensors] if isinstance(tensors, torch.Tensor) else list(tensors):
            if type(tensor) is torch.Tensor and tensor.numel() == 1:
                label = observer.differentiated(float(tensor.detach()), owner)
        with observer.behind.differentiating(label):
            return backward(tensors, *args, **kwargs)

    torch.autograd.grad, torch.autograd.backward = uncompiled(seen_grad), uncompiled(seen_backward)
    try:
        yield
    finally:
        torch.autograd.grad, torch.autograd.backward = grad, backward
