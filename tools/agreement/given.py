"""What witnesses are given: parameters, images and draws, the same for all, or moved by one rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.batches import NextBatch
from ganspec.spec.training.draws import DrawSource
from ganspec.spec.training.state import TrainingState
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends
from ganspec.tools.agreement.report import Quantity
from ganspec.tools.agreement.rounding import Rounding
from ganspec.tools.agreement.witnesses import REFERENCE, Defined, Trained, Witness

WITNESSES = ("torch", "chainer", REFERENCE)
MOVED = 3  # times that what is given is moved by one rounding
EXACT = "float64"  # name of the witness that computes in float64 where the others compute in float32


def random_feed(system: System, seed: int) -> Any:
    """Make random images, uniform in the system's range, from a stream of their own.

    Args:
        system: system whose batch size, image shape, range and labels apply.
        seed: seed of the images.

    Returns: a function whose every call gives the next batch: "x", float64 (batch, channels, height, width), and "y", int64
        (batch,), where the system has labels.
    """
    streams, drawn = Streams(seed), iter(range(2**31))
    low, high = system.data.range
    shape = (system.run.batch, *system.data.shape)

    def feed() -> dict[str, np.ndarray]:
        position = Position(next(drawn))
        batch = {"x": streams.sample(Distribution("uniform", low, high), "crosscheck/x", position, shape)}
        if "y" in system.symbols:
            labels = Distribution("uniform", 0.0, float(system.data.labels))
            batch["y"] = streams.labels(labels, "crosscheck/y", position, system.run.batch)
        return batch

    return feed


@dataclass(frozen=True)
class Given:
    """A witness, and what it is given."""

    witness: Any  # a Witness; in a whole run a Trained
    next_batch: NextBatch
    rounding: Rounding | None = None

    def iterate(self, iteration: int) -> list[Quantity]:
        """Train one iteration of a whole run. Returns: what it records."""
        rounding = self.rounding
        found: list[Quantity] = self.witness.iterate(
            iteration, self.next_batch, rounding and (lambda _: rounding.restart())
        )
        return found

    def load(self, state: TrainingState) -> None:
        self.witness.load(self.rounding.state(state) if self.rounding else state)


@dataclass(frozen=True)
class Altered:
    """What one witness is given in place of what all are given.

    Args:
        system: another system, whose steps should be those of the right one.
        draws: another source of noise and masks.
    """

    system: System | None = None
    draws: DrawSource | None = None


@dataclass(frozen=True)
class Settings:
    """What all witnesses are made of: those that are compared, and those that show what one rounding changes."""

    system: System
    seed: int
    dtype: str
    device: str
    wanted: tuple[str, ...]
    draws: DrawSource
    start: TrainingState | None = None
    feed: Callable[[], NextBatch] | None = None
    altered: Mapping[str, Altered] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (EXACT, *self.trained) if self.dtype == "float32" else self.wanted

    @property
    def trained(self) -> tuple[str, ...]:
        return tuple(name for name in self.wanted if name != REFERENCE)

    @property
    def dtypes(self) -> dict[str, str]:
        return {name: "float64" if name in (EXACT, REFERENCE) else self.dtype for name in self.names}

    @property
    def computes(self) -> dict[str, Callable[[str], bool]]:
        lacks = {name: set(getattr(backends.load(name), "LACKS", ())) for name in self.trained}
        own = {name: lambda kind, lacking=lacking: kind not in lacking for name, lacking in lacks.items() if lacking}
        return {REFERENCE: Defined.computes, **own}

    def compared(self, names: Sequence[str], draws: DrawSource | None = None) -> list[Given]:
        """Returns: those that are compared, anew; the first takes its draws from `draws`."""
        made: list[Witness] = []
        for name in names:
            own = self.altered.get(name, Altered())
            source = own.draws or (draws if draws is not None and not made else self.draws)
            system = own.system or self.system
            if name == REFERENCE:
                made.append(Defined(system, self.seed, source))
            else:
                options = {"dtype": self.dtypes[name], "device": self.device, "draws": source}
                backend = self.trained[0] if name == EXACT else name
                made.append(Trained(backend, system, self.seed, name=name, **options))
        return [self._given(witness) for witness in made]

    def moved(self) -> list[Given]:
        """Returns: the first witness in float64, several times, all that it is given moved by one rounding of the dtype."""
        found = []
        for seed in range(MOVED):
            rounding = Rounding(self.dtype, seed)
            options: dict[str, Any] = {"dtype": "float64", "device": self.device, "factors": rounding.factors}
            options["draws"] = rounding.draws(self.draws)
            witness = Trained(self.trained[0], self.system, self.seed, name="moved", **options)
            found.append(self._given(witness, rounding))
        return found

    def _given(self, witness: Witness, rounding: Rounding | None = None) -> Given:
        feed = self.feed() if self.feed else random_feed(self.system, self.seed)
        given = Given(witness, rounding.batches(feed) if rounding else feed, rounding)
        if self.start is not None:
            given.load(self.start)
        return given
