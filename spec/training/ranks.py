"""Several processes that compute the numbers of one: what each takes of a batch, and what they need of each other.

Each process of a group is told its rank. It trains on its own rows of every batch, and holds all parameters, statistics and
carried numbers as the others do. Because draws are addressed (see `streams`), its rows of a draw are those of the one process.
`spec.plan.exchange` says what the processes exchange while they evaluate a step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ganspec.spec.layers import KINDS
from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.system import System
from ganspec.spec.training.draws import DrawSource, StreamDraws
from ganspec.spec.training.streams import Position


class RanksError(ValueError):
    """A system cannot be trained by so many processes; the message says why, and what to do."""


class Group(Protocol):
    """The processes that train together, as one of them sees them.

    All of them call the same methods in the same order. A call returns when all have made it.

    Args:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int
    size: int

    def total(self, array: Any) -> Any:
        """Returns: the sum of every process's array of this shape, a new array of the backend, bit for bit the same in all."""

    def exchange(self, text: str) -> list[str]:
        """Returns: the text that each process gave, in the order of ranks."""


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of several processes has.

    Args:
        rank: number of the process, from 0.
        size: number of processes.
    """

    rank: int
    size: int

    def rows(self, batch: int) -> slice:
        """Returns: this process's rows of a batch, as many as each other process has.

        Raises:
            RanksError: the batch cannot be split so.
        """
        if batch % self.size:
            below, above = batch // self.size * self.size, -(-batch // self.size) * self.size
            fitting = " or ".join(f"--set run.batch={n}" for n in (below, above) if n)
            raise RanksError(
                f"a batch of {batch} cannot be split among {self.size} processes into equal parts; "
                f"give a multiple of {self.size} ({fitting}), or start another number of processes"
            )
        own = batch // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def draws(self, source: DrawSource) -> DrawSource:
        """Returns: a source of this process's rows of every draw of another source."""
        return _StreamRows(source, self) if isinstance(source, StreamDraws) else _Rows(source, self)

    def batches(self, next_batch: Callable[[], Mapping[str, np.ndarray]]) -> Callable[[], dict[str, np.ndarray]]:
        """Returns: a function that gives this process's rows of each batch that `next_batch` gives."""
        return lambda: {name: a[self.rows(len(a))] for name, a in next_batch().items()}


@dataclass(frozen=True)
class _Rows:
    """The rows of a share of what a source draws for a whole batch."""

    source: DrawSource
    share: Share

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        return self.source.symbol(name, symbol, at, batch)[self.share.rows(batch)]

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        return self.source.mask(network, layer, at, shape)[self.share.rows(shape[0])]


@dataclass(frozen=True)
class _StreamRows:
    """The same of the spec's own streams, without drawing the other rows."""

    source: StreamDraws
    share: Share

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        return self.source.symbol(name, symbol, at, batch, self.share.rows(batch))

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        return self.source.mask(network, layer, at, shape, self.share.rows(shape[0]))


def check_share(system: System, share: Share, exchanged: Collection[str]) -> None:
    """Look whether a system can be trained by several processes.

    Args:
        system: system to train.
        share: what one of them has of each batch.
        exchanged: kinds of layer that look at a whole batch, and for which the backend exchanges what they take.

    Raises:
        RanksError: the processes cannot split the batch among them, or a layer looks at the whole of it.
    """
    try:
        share.rows(system.run.batch)
    except RanksError as error:
        raise RanksError(f"{system.name}: {error}") from None
    for network, layer in (
        (n, layer) for stage in system.stages for n, a in stage.networks.items() for layer in a.layers
    ):
        if KINDS[layer.kind].couples and layer.kind not in exchanged:
            raise RanksError(
                f"{system.name}: {network}'s layer {layer.name} ({layer.kind}) looks at the whole batch, of which several "
                "processes have a part each; train it in one process"
            )
