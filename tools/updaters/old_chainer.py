"""What keeps old code from running in float64 under Chainer 7, taken away while it runs.

Old code turns batches and noise to float32 (`.astype("f")`), which Chainer does not mix with float64: such arrays are widened
where they become variables or enter a function. Their numbers lose nothing by that; batches and draws are chosen so (`streams`).

Chainer 1 marked variables as volatile, and what is computed of one has no graph; it told batch norm `test=True` and dropout
`train=False`; and its optimisers had `zero_grads`. Source: Chainer's upgrade guide, version 2.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.tools.conformance.chainer_arrays import replaced

_VOLATILE = "_ganspec_volatile"
_ON = (True, "on", "ON")


@contextlib.contextmanager
def old_chainer(dtype: np.dtype) -> Iterator[None]:
    """Widen what is float32 to a dtype, and know the words of Chainer 1, for a while; with float32 only the latter."""
    wide = np.dtype(dtype) == np.float64
    make, apply = chainer.Variable.__init__, chainer.FunctionNode.apply

    def init(self: Any, data: Any = None, *names: Any, **options: Any) -> None:
        volatile = options.pop("volatile", None)
        if names:  # Chainer 1: Variable(data, volatile)
            volatile = names[0]
        make(self, wide_array(data) if wide else data, **options)
        if volatile in _ON:
            self.__dict__[_VOLATILE] = True

    def applying(function: Any, inputs: Any) -> Any:
        if wide:
            inputs = tuple(wide_array(i) for i in inputs)
        if not any(_VOLATILE in getattr(i, "__dict__", {}) for i in inputs):
            return apply(function, inputs)
        with chainer.no_backprop_mode():
            outputs = apply(function, inputs)
        for output in outputs:
            output.__dict__[_VOLATILE] = True
        return outputs

    with contextlib.ExitStack() as stack:
        stack.enter_context(replaced(chainer.Variable, "__init__", init))
        stack.enter_context(replaced(chainer.FunctionNode, "apply", applying))
        normalise = chainer.links.BatchNormalization.forward
        stack.enter_context(replaced(chainer.links.BatchNormalization, "forward", _with_mode(normalise, "test", False)))
        stack.enter_context(
            replaced(chainer.functions, "dropout", _with_mode(chainer.functions.dropout, "train", True))
        )
        if not hasattr(chainer.Optimizer, "zero_grads"):
            chainer.Optimizer.zero_grads = lambda optimizer: optimizer.target.cleargrads()
            stack.callback(delattr, chainer.Optimizer, "zero_grads")
        yield


def _with_mode(function: Any, name: str, training: bool) -> Any:
    """Returns: a function that also takes Chainer 1's argument for its mode, whose value `training` means training."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if name not in kwargs:
            return function(*args, **kwargs)
        with chainer.using_config("train", bool(kwargs.pop(name)) == training):
            return function(*args, **kwargs)

    return call


def wide_array(data: Any) -> Any:
    """Returns: an array of float32 as float64; anything else as it is."""
    narrow = getattr(data, "dtype", None) == np.float32 and not isinstance(data, chainer.Variable)
    return data.astype(np.float64) if narrow else data
