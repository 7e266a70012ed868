"""How a network is evaluated: what every kind of layer is told beside its inputs and its own arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganspec.impl_torch.arrays import Array
from ganspec.impl_torch.ranks import Ranks
from ganspec.spec.network.architecture import Layer


@dataclass(frozen=True)
class Mode:
    """How a network is evaluated.

    Args:
        training: whether it is evaluated in training mode, not in inference.
        mask: function of (layer, shape, like) that gives a dropout mask of zeros and 1 / (1 - rate).
        fade: factors of a fade layer's two inputs: 1 - a and a, where a is the progress of the stage, from 0 to 1.
        dtype: dtype of the network's parameters, in the framework's own form.
        ranks: the processes that have the other samples of the batch; None where this one has all.
        twice: whether `double_backward` computes gradients, since they are differentiated again, as a gradient penalty's is.
    """

    training: bool
    mask: Callable[[Layer, tuple[int, ...], Array], Array]
    fade: tuple[Any, Any]
    dtype: Any
    ranks: Ranks | None = None
    twice: bool = False


Own = Mapping[str, Array]  # a layer's parameters or statistics by their short names
