"""The random numbers of one iteration, given to somebody's code in whichever order it asks for them.

A `Tape` knows every draw of the spec: its name, its place in training, its distribution. A request of the code says how many
numbers of which distribution it wants; it is answered by the next draw of the current step that has as many numbers and the
same distribution up to scale and shift, for U(-1, 1) is 2 U(0, 1) - 1. A dropout mask belongs to the evaluation of a network in
which it is asked for. What does not fit is an error that names the line of the code, what it asked for, and what the spec has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ganspec.spec.layers import format_shape
from ganspec.spec.system import System
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.agreement.report import Place
from ganspec.tools.conformance.conventions import Conventions
from ganspec.tools.conformance.errors import ConformanceError

_CLOSE = 1e-9  # probabilities that differ by less are the same: 1 - 0.3 is not 0.7
_SHOWN = 12  # draws that a message lists


@dataclass(frozen=True)
class Request:
    """What somebody's code asks for.

    Args:
        family: "uniform", "normal", "bernoulli" or "label".
        shape: shape of the numbers.
        a, b: least and largest number; mean and deviation; probability of a 1 and 0; least label and the one after the largest.
        text: the call, "torch.rand([300, 100])".
        line: line of the code, "train.py:31".
    """

    family: str
    shape: tuple[int, ...]
    a: float
    b: float
    text: str
    line: str

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.line}: {self.text}" if self.line else self.text


@dataclass
class Draw:
    """One draw of the spec.

    Args:
        name: symbol, or "D's dropout dropout_1".
        place: number of the repeat within the iteration in which it is first read.
        at: where it is drawn.
        family: "uniform", "normal", "label", "constant" or "mask".
        shape: shape of its numbers; of a mask that of one sample, for a network may get several batches at once.
        a, b: numbers of its distribution, as in `Request`; of a mask the share that is dropped.
        network, layer, node: of a mask, whose it is, and the network's node in the plan.
        asked: the line that asked for it; None while nobody did.
    """

    name: str
    place: int
    at: Position
    family: str
    shape: tuple[int, ...]
    a: float
    b: float
    network: str = ""
    layer: str = ""
    node: int = -1
    asked: str | None = None

    def __str__(self) -> str:
        if self.family == "mask":
            return f"{self.name}: {format_shape(self.shape)} per sample, dropping {self.a:g}"
        numbers = f"{self.a:g}" if self.family == "constant" else f"{self.a:g}, {self.b:g}"
        return f"{self.name}: {format_shape(self.shape)} numbers of {self.family}({numbers})"


class Tape:
    """The draws of one iteration.

    Args:
        system: the system.
        seed: seed of its streams.
        iteration: number of the iteration.
        repeats: (step, repeat) of each repeat of the iteration, in order.
        conventions: declared differences between the code's draws and the spec's.
        streams: function that makes the streams of a seed.
    """

    def __init__(
        self,
        system: System,
        seed: int,
        iteration: int,
        repeats: Sequence[tuple[int, int]],
        conventions: Conventions,
        streams: Callable[[int], Streams] = Streams,
    ) -> None:
        self.system, self.iteration, self.repeats, self.conventions = system, iteration, list(repeats), conventions
        self.source, self.streams = StreamDraws(system, seed, streams), streams(seed)
        self.stage = system.stages[system.at(iteration)[0]]
        self.draws = [draw for number in range(len(self.repeats)) for draw in self._drawn(number)]

    def _drawn(self, number: int) -> list[Draw]:
        """Returns: the draws that a repeat makes: noise in the order in which formulas read it, then masks."""
        step, repeat = self.repeats[number]
        planned, draws = self.stage.plan.steps[step], []
        for name in self.conventions.ordered([n for n in planned.draws() if n in self.system.draws]):
            lifetime = self.system.schedule.lifetime(name)
            at = Position(self.iteration, 0 if lifetime == "iteration" else step, repeat if lifetime == "repeat" else 0)
            first = {
                "iteration": all(name not in self.stage.plan.steps[s].draws() for s, _ in self.repeats[:number]),
                "step": repeat == 0,
                "repeat": True,
            }[lifetime]
            if first and self.system.draws[name].distribution.kind != "constant":
                symbol, given = self.stage.symbols[name], self.system.draws[name].distribution
                label = symbol.dtype == "label"
                shape = (self.system.run.batch,) if label else (self.system.run.batch, *symbol.shape)
                draws.append(Draw(name, number, at, "label" if label else given.kind, shape, given.a, given.b))
        for i, node in enumerate(planned.nodes):
            if node.op == "network" and node.training:
                where = Position(self.iteration, step, repeat, planned.occurrences[i])
                for layer in self.stage.networks[node.value].layers:
                    if layer.kind == "dropout" and layer.settings["rate"] > 0:
                        name = f"the mask of {node.value}'s layer {layer.name}"
                        rate = layer.settings["rate"]
                        draws.append(
                            Draw(name, number, where, "mask", layer.shape, rate, 0.0, node.value, layer.name, i)
                        )
        return draws

    def noise(self, request: Request, place: int, ahead: bool) -> np.ndarray:
        """Answer a request that belongs to no network's evaluation.

        Args:
            request: what is asked for.
            place: number of the current repeat within the iteration.
            ahead: whether draws of later repeats may be given.

        Returns: the numbers, float64, or int64 labels, in the shape of the request.

        Raises:
            ConformanceError: no draw that is left fits.
        """
        for draw in self.draws:
            fits = draw.family == request.family and math.prod(draw.shape) == request.count
            if draw.asked is None and fits and (draw.place <= place or ahead):
                draw.asked = request.line or "?"
                return self._values(draw, request).reshape(request.shape)
        raise ConformanceError(self._misfit(request, place))

    def mask(self, request: Request, place: int, nodes: Sequence[int] | None) -> np.ndarray | None:
        """Answer a request as a dropout mask.

        Args:
            request: what is asked for.
            place: number of the current repeat within the iteration.
            nodes: evaluations of the plan, one for each batch that the network gets now; None outside of a network, where the
                masks of the repeat are given in the order of the plan.

        Returns: 1 for what is kept (or, where the request's probability is that of dropping, for what is dropped); uniform
            numbers where those are asked for; None where no mask of the evaluation is left that has as many numbers.

        Raises:
            ConformanceError: the mask has another rate.
        """
        batch, parts, rate = self.system.run.batch, [], 0.0
        for node in nodes if nodes is not None else [None]:
            pending = [
                d for d in self.draws if d.family == "mask" and d.asked is None and d.place == place and node in (d.node, None)
            ]  # fmt: skip
            count = request.count // (len(nodes) if nodes else 1)
            draw = next((d for d in pending if batch * math.prod(d.shape) == count), None)
            if draw is None:
                return None
            draw.asked, rate = request.line or "?", draw.a
            layer = next(la for la in self.stage.networks[draw.network].layers if la.name == draw.layer)
            parts.append(self.source.mask(draw.network, layer, draw.at, (batch, *draw.shape)))
        kept = np.concatenate([p.reshape(batch, -1) for p in parts]).reshape(request.shape)
        if request.family == "uniform":
            inside = np.where(
                kept, rate + (1 - rate) / 2, rate / 2
            )  # compared with the rate, or 1 - it with 1 - the rate
            return request.a + (request.b - request.a) * (1 - inside if self.conventions.masks == "below" else inside)
        if abs(request.a - (1 - rate)) < _CLOSE:
            return kept.astype(np.float64)
        if abs(request.a - rate) < _CLOSE:
            return 1.0 - kept
        own = f"the spec's dropout there drops {rate:g} and keeps {1 - rate:g}"
        raise ConformanceError(f"{request}\n    keeps each number with probability {request.a:g}; {own}")

    def any_mask(self, request: Request) -> np.ndarray | None:
        """Answer a request by the next mask of the whole iteration, if one of noise does not come before it; else None."""
        for draw in self.draws:
            count = math.prod(draw.shape) * (self.system.run.batch if draw.family == "mask" else 1)
            if draw.asked is None and count == request.count and draw.family in ("mask", request.family):
                return self.mask(request, draw.place, None) if draw.family == "mask" else None
        return None

    def only_masks(self, place: int) -> bool:
        """Returns: whether nothing but dropout masks was not asked for up to the end of a repeat."""
        return all(d.family == "mask" for d in self.draws if d.asked is None and d.place <= place)

    def missed(self, place: int) -> str:
        """Returns: what the code did not ask for up to the end of a repeat, as a message; "" where it asked for all."""
        left = [d for d in self.draws if d.asked is None and d.place <= place]
        if not left:
            return ""
        what = "your code updates its parameters before it has drawn everything that the spec draws there"
        lines = [f"{self._place(place)}: {what}"]
        lines += [f"    not drawn: {draw}" for draw in left[:_SHOWN]]
        lines += self._history(place)
        lines.append(
            "    draw it in this step, anew if the spec does; noise that is used again shows so, and so does a network"
        )
        lines.append("    that is in the other mode, training or inference")
        return "\n".join(lines)

    def _values(self, draw: Draw, request: Request) -> np.ndarray:
        symbol = self.stage.symbols[draw.name]
        values = self.source.symbol(draw.name, symbol, draw.at, self.system.run.batch)
        if draw.family == "label":
            if (request.a, request.b) != (0, draw.b - draw.a):
                wanted = f"randint({draw.a:g}, {draw.b:g})"
                raise ConformanceError(
                    f"{request}\n    draws other labels than the spec, whose {draw.name} is {wanted}"
                )
            return values
        if draw.name in self.conventions.maps:
            scale, shift = self.conventions.maps[draw.name]
            return scale * values + shift
        a, b, mirrored = request.a, request.b, draw.name in self.conventions.mirrored
        if (a, b) == (draw.a, draw.b) and not mirrored:
            return values
        if draw.family == "uniform":
            u = self.streams.uniform(draw.name, draw.at, draw.shape)
            return a + (b - a) * (1.0 - u if mirrored else u)
        return a + (-b if mirrored else b) * self.streams.normal(draw.name, draw.at, draw.shape)

    def _place(self, place: int) -> Place:
        return Place(self.iteration, *self.repeats[place])

    def _updates(self, place: int) -> str:
        return " and ".join(self.stage.plan.steps[self.repeats[place][0]].step.update)

    def _history(self, place: int) -> list[str]:
        return [
            f"    drawn by {d.asked}: {d}"
            for d in self.draws
            if d.asked is not None and d.place == place and d.family != "mask"
        ][-_SHOWN:]

    def _misfit(self, request: Request, place: int) -> str:
        lines = [
            f"{request}",
            f"    no draw of the spec fits this one at {self._place(place)}, where it updates {self._updates(place)}",
        ]
        left = [d for d in self.draws if d.asked is None and d.place == place]
        lines += [f"    the spec still has: {draw}" for draw in left[:_SHOWN]] or [
            "    the spec draws nothing more there"
        ]
        lines += self._history(place)
        return "\n".join(lines)
