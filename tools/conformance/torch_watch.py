"""What PyTorch code computes, shown to an observer: functions, and what is differentiated."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

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
        if kind is None or not args or torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        tensors = args[0] if isinstance(args[0], (tuple, list)) else args[:1]
        own = self.layer_of([*args[1:], *(kwargs or {}).values()])
        given = [self.to_numpy(t) for t in tensors if isinstance(t, torch.Tensor)]
        gave = self.observer.operation(kind, own, given)
        output = func(*args, **(kwargs or {}))
        if type(output) is torch.Tensor:
            gave(self.to_numpy(output))
        return output


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
def differentiations(observer: Observer, to_numpy: ToNumpy) -> Iterator[None]:
    """Show an observer what code differentiates: `torch.autograd.grad`, and what `backward` is called on."""
    grad, backward = torch.autograd.grad, torch.autograd.backward

    def seen_grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found = grad(outputs, inputs, *args, **kwargs)
        variables = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
        for variable, gradient in zip(variables, found, strict=False):
            if type(gradient) is type(variable) is torch.Tensor:  # the compiler traces with tensors of other types
                observer.input_gradient(to_numpy(variable), to_numpy(gradient))
        return found

    def seen_backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        for tensor in [tensors] if isinstance(tensors, torch.Tensor) else list(tensors):
            if type(tensor) is torch.Tensor and tensor.numel() == 1:
                observer.differentiated(float(tensor.detach()))
        return backward(tensors, *args, **kwargs)

    torch.autograd.grad, torch.autograd.backward = uncompiled(seen_grad), uncompiled(seen_backward)
    try:
        yield
    finally:
        torch.autograd.grad, torch.autograd.backward = grad, backward
