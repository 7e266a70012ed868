"""Gradients in either backend, for layers and functions outside a network; each can be differentiated again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganspec.tools import backends


def variable(backend: str, values: np.ndarray) -> Any:
    """Returns: a float64 array of a backend with respect to which gradients can be taken; of labels, a plain one."""
    context = backends.load(backend).ArrayContext("cpu", "float64")
    array = context.array(values)
    if values.dtype.kind != "f":
        return array
    if backend == "torch":
        return array.requires_grad_()
    import chainer

    return chainer.Variable(array.array)


def gradients(backend: str, of: Any, to: Sequence[Any]) -> list[Any]:
    """Returns: the gradient of a number with respect to each variable; None for one on which it does not depend."""
    if not of.requires_grad or not to:
        return [None] * len(to)
    if backend == "torch":
        import torch

        return list(torch.autograd.grad(of, list(to), create_graph=True, allow_unused=True))
    import chainer

    return list(chainer.grad([of], list(to), enable_double_backprop=True))


def total(backend: str, array: Any) -> Any:
    """Returns: the sum of all numbers of an array."""
    if backend == "torch":
        return array.sum()
    import chainer.functions as F

    return F.sum(array)
