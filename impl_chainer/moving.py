"""What rounding costs inside of layers: every operation's result is moved a little, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainer
import numpy as np

# Operations that choose, copy or compare, and so round nothing.
EXACT = frozenset({
    "Absolute", "AbsoluteGrad", "BroadcastTo", "Cast", "Clip", "ClipGrad", "Concat", "EmbedIDFunction", "ExpandDims",
    "GetItem", "GetItemGrad", "Identity", "LeakyReLU", "Max", "MaxPooling2D", "MaxPooling2DGrad", "MaxPoolingND",
    "MaxPoolingNDGrad", "Maximum", "MaximumGrad", "Min", "Minimum", "MinimumGrad", "Neg", "Pad", "ReLU", "ReLUGrad2",
    "ReLUGrad3", "Reshape", "SplitAxis", "Squeeze", "Transpose", "Where", "_LeakyReLUGrad",
})  # fmt: skip


class Moving:
    """While it is in force, the result of every operation that rounds is multiplied by a factor beside 1.

    Args:
        factors: function of a shape that gives the factors.
    """

    def __init__(self, factors: Callable[[tuple[int, ...]], np.ndarray]) -> None:
        self._factors = factors

    def __enter__(self) -> None:
        self._apply = original = chainer.FunctionNode.apply

        def apply(function: Any, inputs: Any) -> Any:
            made = original(function, inputs)
            if type(function).__name__ not in EXACT:
                for value in made:
                    self._move(value)
            return made

        chainer.FunctionNode.apply = apply

    def __exit__(self, *_: object) -> None:
        chainer.FunctionNode.apply = self._apply

    def _move(self, value: Any) -> None:
        if value.dtype.kind == "f":
            factors = value.xp.asarray(self._factors(value.shape), dtype=value.dtype)
            value.array = value.xp.asarray(value.array * factors)
