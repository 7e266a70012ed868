"""All that is needed to see a divergence again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ganspec.spec.network.architecture import Layer
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.training.draws import DrawSource, RecordedDraws
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position
from ganspec.tools.agreement.report import Place


@dataclass(frozen=True)
class Evidence:
    """One iteration, to the place of a divergence.

    Args:
        place: the repeat in which it was found.
        state: the state at the beginning of the iteration.
        batches: the batches that the iteration drew, in order.
        draws: its noise and dropout masks.
        found: what each witness gave for the divergent quantity, by the witness's name.
    """

    place: Place
    state: TrainingState
    batches: Sequence[Mapping[str, np.ndarray]]
    draws: RecordedDraws
    found: Mapping[str, np.ndarray]


@dataclass
class RecordingDraws:
    """Gives the draws of a source, and remembers them."""

    source: DrawSource
    symbols: dict[tuple[str, Position], np.ndarray] = field(default_factory=dict)
    masks: dict[tuple[str, str, Position], np.ndarray] = field(default_factory=dict)

    def symbol(self, name: str, symbol: Symbol, at: Position, batch: int) -> np.ndarray:
        return self.symbols.setdefault((name, at), self.source.symbol(name, symbol, at, batch))

    def mask(self, network: str, layer: Layer, at: Position, shape: tuple[int, ...]) -> np.ndarray:
        return self.masks.setdefault((network, layer.name, at), self.source.mask(network, layer, at, shape))

    def forget(self) -> None:
        """Forget what was drawn so far."""
        self.symbols.clear()
        self.masks.clear()

    def recorded(self) -> RecordedDraws:
        """Returns: what is remembered."""
        return RecordedDraws(dict(self.symbols), dict(self.masks))
