"""The random numbers that his model draws: recorded where he draws them, and given to the port where it draws.

While `watching()` is in force, the functions of `numpy.random`, and the `RandomState`s and generators that are made then, ask a
`Recorder` for their numbers if one is recording. The recorder draws them from a generator of its own, so that a seed settles all
of them, and remembers distribution, shape, numbers and his line. A `Tape` answers PyTorch's operators
(`conformance.torch_random`) with the same numbers in the same order. What is drawn in another shape, of another distribution, too
often or not at all, is a `DrawError`, which names both lines.

Python's own `random`, and the time, cannot be answered: a recorder notes the lines that ask for them.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspec.tools.conformance.draws import Request
from ganspec.tools.conformance.errors import ConformanceError, calling_line
from ganspec.tools.conformance.numpy_random import Replayed

_CLOSE = 1e-9  # probabilities that differ by less are the same: 1 - 0.3 is not 0.7
_STANDARD = {"uniform": (0.0, 1.0), "normal": (0.0, 1.0), "exponential": (1.0, 0.0), "gumbel": (0.0, 1.0)}
# Chainer's functions that keep where uniform numbers reach a rate, and the attribute that holds the rate.
_DROPPING = {"dropout.py": "dropout_ratio", "zoneout.py": "zoneout_ratio", "simplified_dropconnect.py": "ratio"}
# The recorder that answers now; `watching` reads it.
CURRENT: dict[str, Recorder | None] = {"recorder": None}


class DrawError(ConformanceError):
    """Random numbers that cannot be recorded, or that his model and the port do not draw alike."""


@dataclass(frozen=True)
class Event:
    """One draw of his model.

    Args:
        request: distribution, shape, his call and his line.
        standard: the numbers of the standard distribution: uniform in [0, 1), normal with mean 0 and deviation 1; else the
            numbers.
        dropped: of a mask that Chainer draws, the share that it drops; else None.
    """

    request: Request
    standard: np.ndarray
    dropped: float | None = None

    def __str__(self) -> str:
        share = "" if self.dropped is None else f", of which {self.dropped:g} is dropped"
        return f"{self.request}{share}"


class Recorder:
    """Draws and remembers what his model asks for.

    Args:
        seed: seed of all numbers.
    """

    def __init__(self, seed: int) -> None:
        self.events: list[Event] = []
        self.foreign: list[str] = []  # "model.py:12: random.random", in the order in which they were asked for
        self.clock: list[str] = []
        self.asked = _Asked(self._answer)
        self._generator = np.random.Generator(np.random.Philox(seed))
        self._silent = False

    @contextlib.contextmanager
    def recording(self, *, remember: bool = True) -> Iterator[Recorder]:
        """Answer what is drawn within.

        Args:
            remember: whether draws become events; those of initial values do not.
        """
        before, self._silent = CURRENT["recorder"], not remember
        CURRENT["recorder"] = self
        try:
            yield self
        finally:
            CURRENT["recorder"] = before

    def _answer(self, request: Request) -> np.ndarray:
        g, shape = self._generator, request.shape
        match request.family:
            case "uniform":
                standard = g.random(shape)
            case "normal":
                standard = g.standard_normal(shape)
            case "label":
                standard = g.integers(int(request.a), int(min(request.b, 2**62)), shape)
            case "bernoulli":
                standard = (g.random(shape) < request.a).astype(np.int64)
            case "permutation":
                standard = g.permutation(int(request.b))
            case "exponential":
                standard = g.standard_exponential(shape)
            case _:
                standard = -np.log(g.standard_exponential(shape))  # Gumbel's
        if not self._silent and not _initialising():
            self.events.append(Event(request, np.array(standard), _dropped()))
        return _scaled(request, np.asarray(standard))


class Tape:
    """Gives the recorded numbers to the port, in the same order.

    Args:
        events: draws of his model.
    """

    def __init__(self, events: list[Event]) -> None:
        self.left = list(events)
        self._count = len(events)

    def answer(self, request: Request) -> np.ndarray:
        """Returns: the numbers of the next draw.

        Raises:
            DrawError: his model draws nothing more there, or another shape or distribution.
        """
        while self.left and self.left[0].dropped == 0.0 and (request.family, request.a) != ("bernoulli", 1.0):
            self.left.pop(0)  # nothing is dropped: PyTorch does not draw for that
        if not self.left:
            raise DrawError(f"{request}: draw {self._count + 1}, but your model draws {self._count} times")
        event = self.left.pop(0)
        his = event.request
        place = f"{request}\n    draw {self._count - len(self.left)}, for which your model has {event}"
        if request.shape != his.shape:
            raise DrawError(f"{place}\n    the shapes are {list(request.shape)} and {list(his.shape)}")
        values = _converted(event, request)
        if values is None:
            raise DrawError(f"{place}\n    the distributions differ")
        return values

    def finish(self) -> None:
        """Raises: DrawError: his model draws more."""
        self.left = [event for event in self.left if event.dropped != 0.0]
        if self.left:
            lines = "".join(f"\n    {event}" for event in self.left[:5])
            raise DrawError(
                f"your model draws {self._count} times, the port {self._count - len(self.left)} times; left:{lines}"
            )


def _converted(event: Event, request: Request) -> np.ndarray | None:
    """Returns: the numbers of an event as the distribution that the port asks for; None if it is another."""
    his, standard = event.request, event.standard
    if request.family == "bernoulli" and his.family == "uniform":  # a mask
        if event.dropped is None:
            return (standard < request.a).astype(np.float64)
        same = abs(request.a - (1.0 - event.dropped)) < _CLOSE
        return (standard >= event.dropped).astype(np.float64) if same else None
    if his.family == "gumbel" and request.family in ("uniform", "exponential"):
        waiting = np.exp(-standard)
        return waiting if request.family == "exponential" else np.exp(-waiting)
    if request.family != his.family:
        return None
    if request.family == "permutation":
        return standard
    if request.family in ("label", "bernoulli"):
        same = abs(request.a - his.a) < _CLOSE and (request.b == his.b or request.family == "bernoulli")
        return standard if same else None
    known = _STANDARD.get(request.family, ())
    numbers = (request.a, request.b)
    if numbers not in ((his.a, his.b), known) and (his.a, his.b) != known:
        return None
    return _scaled(request, standard)


def _scaled(request: Request, standard: np.ndarray) -> np.ndarray:
    """Returns: standard numbers as those of a request's distribution."""
    if request.family == "uniform":
        return request.a + (request.b - request.a) * standard
    if request.family in ("normal", "gumbel"):
        return request.a + request.b * standard
    return standard * request.a if request.family == "exponential" else standard


def _dropped() -> float | None:
    """Returns: the share that the function of Chainer drops which is now drawing; None if none is."""
    frame = sys._getframe(1)
    for _ in range(12):
        if frame.f_back is None:
            return None
        frame = frame.f_back
        folder, name = os.path.split(frame.f_code.co_filename)
        drawing = frame.f_locals.get("self")
        if name in _DROPPING and "chainer" in folder and hasattr(drawing, _DROPPING[name]):
            return float(getattr(drawing, _DROPPING[name]))
    return None


def _initialising() -> bool:
    """Returns: whether initial values are being drawn, which the port is given."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if f"{os.sep}chainer{os.sep}initializers{os.sep}" in path:
            return True
        frame = frame.f_back
    return False


class _Asked(Replayed):
    """The methods of `numpy.random`, as requests."""

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return self._numbers("gumbel", "gumbel", loc, scale, size, None)

    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        return self._numbers("exponential", "exponential", scale, 0.0, size, None)

    def standard_exponential(self, size: Any = None, dtype: Any = None) -> Any:
        return self._numbers("exponential", "standard_exponential", 1.0, 0.0, size, dtype)

    def permutation(self, x: Any) -> Any:
        values = np.arange(x) if np.ndim(x) == 0 else np.array(x)
        return values[self._order(len(values), "permutation")]

    def shuffle(self, x: Any) -> None:
        order = self._order(len(x), "shuffle")
        x[:] = [x[i] for i in order] if isinstance(x, list) else x[order]

    def _order(self, n: int, call: str) -> np.ndarray:
        return self._answer(Request("permutation", (n,), 0.0, float(n), f"{self._module}.{call}({n})", calling_line()))

    def _numbers(self, family: str, call: str, a: Any, b: Any, size: Any, dtype: Any) -> Any:
        if np.ndim(a) == np.ndim(b) == 0 or family == "label":
            return super()._numbers(family, call, a, b, size, dtype)
        shape = np.broadcast_shapes(np.shape(a), np.shape(b)) if size is None else size
        plain = super()._numbers(family, call, *_STANDARD[family], shape, dtype)
        return a + (b - a) * plain if family == "uniform" else a + b * plain

    def _unknown(self, what: str) -> ConformanceError:
        return unknown(f"{self._module}.{what}")


def unknown(what: str) -> DrawError:
    known = "uniform, normal, randint, choice, permutation, gumbel, exponential and binomial(1, p) are"
    return DrawError(f"{calling_line()}: {what} draws numbers that cannot be given to the port; {known}")


def same_events(one: list[Event], other: list[Event]) -> bool:
    """Returns: whether two runs drew alike: distributions, shapes and lines."""
    return [_key(e) for e in one] == [_key(e) for e in other]


def _key(event: Event) -> tuple[Any, ...]:
    r = event.request
    return r.family, r.shape, r.a if math.isfinite(r.a) else 0.0, r.b, r.line
