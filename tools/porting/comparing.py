"""One call of his model against one of the port: a row for each quantity, and what could not be judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ganspec.tools.agreement.rounding import EPSILON, STEP
from ganspec.tools.porting.allowance import MOST_MOVED, derived_allowance, fixed_bound
from ganspec.tools.porting.rows import Case, Compared, Row
from ganspec.tools.porting.sides import Ran

# Of a gradient, such as that of a bias before batch norm.
NOISE = "rounding and nothing else, measured against the whole gradient"
GRADIENTS = ("parameter gradient", "input gradient", "second order")


class Comparison:
    """Compares one call.

    Args:
        case: how both were run.
        his: what his model gave.
        port: what the port gave.
        moved: function of an order of gradients that gives what his model gave with everything moved by one rounding, several
            times; in float64.
        exact: what his model gave in float64; of a float64 case the same as `his`.
        before: states of his instance before the call; only what has changed since must be in the port.
        normalised: whether a batch norm lies on the way.
        noise: names of gradients that are rounding and nothing else in this mode, as far as known; more are added.
    """

    def __init__(
        self,
        case: Case,
        his: Ran,
        port: Ran,
        moved: Callable[[int], Sequence[Ran]],
        exact: Ran,
        before: Mapping[str, Any],
        normalised: bool,
        noise: set[str],
    ) -> None:
        self.case, self.his, self.port, self.exact, self.before = case, his, port, exact, before
        self._moved, self._normalised, self._noise = moved, normalised, noise
        self.found = Compared()

    def run(self) -> Compared:
        """Returns: a row for each quantity."""
        self._outputs()
        self._gradients("gradients")
        if self.his.second is not None and self.port.second is not None:
            self._gradients("second")
        self._states()
        self._kept()
        return self.found

    def _outputs(self) -> None:
        for path in [*self.his.outputs, *(p for p in self.port.outputs if p not in self.his.outputs)]:
            if path not in self.port.outputs or path not in self.his.outputs:
                self._wrong(
                    "output", path, f"only {'your model' if path in self.his.outputs else 'the port'} returns it"
                )
                continue
            his, port = self.his.outputs[path], self.port.outputs[path]
            if isinstance(his, np.ndarray) != isinstance(port, np.ndarray):
                self._wrong("output", path, f"your model returns {_kind(his)}, the port {_kind(port)}")
            elif isinstance(his, np.ndarray):
                self._array("output", path, his, port, lambda ran, path=path: ran.outputs.get(path), 0.0)
            elif his == port:
                self.found.rows.append(Row(self.case, "output", path, 0.0, 0.0, 0.0, True))
            elif isinstance(his, float) and isinstance(port, float):
                self._array(
                    "output", path, np.float64(his), np.float64(port), lambda ran, p=path: ran.outputs.get(p), 0.0
                )
            else:
                self._wrong("output", path, f"your model returns {his!r}, the port {port!r}"[:200])

    def _gradients(self, which: str) -> None:
        own: Mapping[str, Any] = getattr(self.his, which)
        others: Mapping[str, Any] = getattr(self.port, which)
        whole = max((_largest(g) for g in own.values() if g is not None), default=0.0)
        for name in own:
            his, port = own[name], others.get(name)
            kind = "input gradient" if name.startswith("input ") else "parameter gradient"
            kind = "second order" if which == "second" else kind
            if his is None and port is None:
                self.found.rows.append(Row(self.case, kind, name, 0.0, 0.0, 0.0, True, "none in both"))
                continue
            note = ""
            if his is None or port is None:
                there = port if his is None else his
                note = f"{'your model' if his is None else 'the port'} gives none"
                if not np.any(there):
                    note += ", the other zeros"
                his = np.zeros_like(there) if his is None else his
                port = np.zeros_like(there) if port is None else port
            self._array(kind, name, his, port, lambda ran, n=name: (getattr(ran, which) or {}).get(n), whole, note)

    def _kept(self) -> None:
        """Compare what a call does to the inputs and the parameters: nothing mostly, and the same where anything."""
        for what, his, port in (
            ("input", self.his.inputs, self.port.inputs),
            ("", self.his.parameters, self.port.parameters),
        ):
            for name in his.keys() & port.keys():
                same = np.allclose(
                    his[name], port[name], rtol=1e-4, atol=0, equal_nan=True
                )  # as in a rounding of float32
                if his[name].shape != port[name].shape or not same:
                    self._wrong("state", f"{what} {name}".strip(), "after the call yours and the port's differ")

    def _states(self) -> None:
        for path, value in self.his.states.items():
            persistent = isinstance(value, np.ndarray)
            changed = path not in self.before or not _equal(self.before[path], value)
            if path not in self.port.states:
                if changed:
                    self._wrong("state", path, "the call changes it, and the port does not have it")
                continue
            port = self.port.states[path]
            if not changed and not persistent:
                continue
            kind = "statistic" if path.endswith(("avg_mean", "avg_var")) else "state"
            if is_number(value) and is_number(port):
                whole = self._deviation(path)
                self._array(
                    kind, path, np.asarray(value), np.asarray(port), lambda ran, p=path: ran.states.get(p), whole
                )
            elif changed:
                self._wrong(kind, path, f"your model holds {_kind(value)}, the port {_kind(port)}")

    def _deviation(self, path: str) -> float:
        """Returns: the deviation of what a batch norm's mean is of, to whose rounding a mean is known; 0 for another path."""
        variance = (
            self.exact.states.get(f"{path.removesuffix('avg_mean')}avg_var") if path.endswith("avg_mean") else None
        )
        return 0.0 if variance is None else math.sqrt(_largest(np.asarray(variance)))

    def _array(
        self,
        kind: str,
        name: str,
        his: np.ndarray,
        port: np.ndarray,
        of: Callable[[Ran], Any],
        whole: float,
        note: str = "",
    ) -> None:
        """Compare an array: shape, dtype, and each number."""
        if his.shape != port.shape:
            return self._wrong(kind, name, f"shapes {list(his.shape)} and {list(port.shape)}")
        if kind == "output" and not _same_dtype(his.dtype, port.dtype):
            return self._wrong(kind, name, f"dtypes {his.dtype} and {port.dtype}")
        wide = self.case.dtype == "float64"
        if his.dtype.kind != "f":
            apart = float(np.count_nonzero(his != port))
            if apart and not wide:  # a comparison that rounding turns over; float64 judges
                self.found.unjudged.append((kind, name, "whole numbers of float32, which rounding may turn over"))
            else:
                self.found.rows.append(Row(self.case, kind, name, apart, _largest(his), 0.0, not apart, note))
            return None
        exact = of(self.exact)
        exact = np.zeros_like(his) if exact is None else np.asarray(exact)
        if np.isnan(his).any() or np.isnan(exact).any():
            self.found.unjudged.append((kind, name, "your model gives NaN"))
            return None
        difference, largest = _difference(exact, port), _largest(exact)
        share = fixed_bound(kind, self._normalised)
        bound = share * (max(largest, whole) if kind == "statistic" else largest)
        agrees = difference <= bound
        if wide:
            possible = MOST_MOVED * max(largest, whole)
            if not agrees and difference <= possible:
                bound, said = self._explained(kind, name, _largest(port), largest, of, exact, whole)
                agrees, note = difference <= bound, f"{said}; {note}" if said and note else said or note
        else:
            moved = max(self._movement(kind, of, exact), STEP * _difference(exact, his))
            bound = derived_allowance(kind, "float32", largest, moved)
            if name in self._noise:
                bound = max(bound, share * whole * EPSILON["float32"] / EPSILON["float64"])
            agrees = difference <= bound
        self.found.rows.append(Row(self.case, kind, name, difference, largest, bound, bool(agrees), note))
        return None

    def _explained(
        self, kind: str, name: str, ports: float, largest: float, of: Callable[[Ran], Any], exact: np.ndarray, whole: float
    ) -> tuple[float, str]:  # fmt: skip
        """Allow what one rounding moves, where that is more than the fixed bound.

        Returns: what is allowed, and why.
        """
        share = fixed_bound(kind, self._normalised)
        beside = kind in GRADIENTS and max(ports, largest) <= share * whole
        if beside and name in self._noise:
            return share * whole, NOISE
        allowed = derived_allowance(kind, "float64", largest, self._movement(kind, of, exact))
        if beside and largest <= allowed:
            self._noise.add(name)
            return share * whole, NOISE
        if allowed <= share * largest or allowed > MOST_MOVED * max(largest, whole):
            return share * largest, ""
        return allowed, "allowed as far as one rounding moves yours"

    def _movement(self, kind: str, of: Callable[[Ran], Any], exact: np.ndarray) -> float:
        there = [of(ran) for ran in self._moved(2 if kind == "second order" else 1)]
        known = [_difference(exact, np.asarray(a)) for a in there if a is not None and np.shape(a) == exact.shape]
        return max(filter(math.isfinite, known), default=0.0)

    def _wrong(self, kind: str, name: str, note: str) -> None:
        self.found.rows.append(Row(self.case, kind, name, math.inf, 0.0, 0.0, False, note))


def is_number(value: Any) -> bool:
    """Returns: whether a value is an array or a number, which can be compared."""
    return isinstance(value, (np.ndarray, np.generic, bool, int, float))


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Returns: the largest difference; infinities agree where both have the same; NaN differs."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(a == b, 0.0, np.abs(a - b))
    found = float(apart.max(initial=0.0))
    return math.inf if math.isnan(found) else found


def _largest(a: np.ndarray) -> float:
    finite = np.abs(a[np.isfinite(a)].astype(np.float64)) if a.dtype.kind == "f" else np.abs(a.astype(np.float64))
    return float(np.max(finite, initial=0.0))


def _same_dtype(his: np.dtype, port: np.dtype) -> bool:
    if his.kind == "f" or port.kind == "f":
        return his == port
    return his.kind == port.kind or {his.kind, port.kind} <= {"i", "u"}


def _equal(a: Any, b: Any) -> bool:
    return bool(np.shape(a) == np.shape(b) and np.all(np.asarray(a) == np.asarray(b)))


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {list(value.shape)} of {value.dtype}"
    return "None" if value is None else f"{value!r}"[:60]
