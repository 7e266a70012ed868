"""The judge: takes what witnesses computed, in the order of evaluation, and says where they first disagree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ganspec.tools.agreement.bounds import ROUNDINGS, allowance, norm
from ganspec.tools.agreement.report import Difference, Divergence, Place, Quantity, Row
from ganspec.tools.agreement.rounding import STEP

Key = tuple[Place, str]
Record = dict[Key, Quantity]  # what one witness computed, in the order of evaluation
Movement = Mapping[Key, float]  # how far one rounding moves each quantity, a Euclidean norm
SHOWN = 3  # values that a divergence shows
FADING = 0.5  # share of a quantity's movement that counts in the next iteration or repeat


def record_of(quantities: Iterable[Quantity]) -> Record:
    """Returns: quantities by place and name.

    Raises:
        ValueError: two have the same.
    """
    record: Record = {}
    for quantity in quantities:
        if (quantity.place, quantity.name) in record:
            raise ValueError(f"two quantities are named {quantity.name} at {quantity.place}")
        record[quantity.place, quantity.name] = quantity
    return record


def movement_of(exact: Record, moved: Record) -> Movement:
    """Returns: ||moved - exact|| of each quantity that both have, in the same shape; of others rounding says nothing."""
    found = {}
    with np.errstate(all="ignore"):
        for key, quantity in moved.items():
            own = exact.get(key)
            if own is not None and own.value.shape == quantity.value.shape:
                found[key] = norm(np.subtract(quantity.value, own.value, dtype=np.float64))
    return found


@dataclass(frozen=True)
class Witnessed:
    """What is said about one stretch of training, such as a repeat.

    Args:
        records: what each witness computed, by its name.
        exact: what one of them computes, in float64.
        moved: how far that one's quantities move where everything is moved by one rounding, several times; see `movement_of`.
    """

    records: Mapping[str, Record]
    exact: Record
    moved: Sequence[Movement]


class Judge:
    """Compares every pair of witnesses in every quantity.

    Args:
        witnesses: their names, in the order of the report.
        dtypes: precision of each, by name.
        computes: for each, a function of a kind that says whether the witness computes it; what it then lacks is a disagreement.
    """

    def __init__(
        self,
        witnesses: Sequence[str],
        dtypes: Mapping[str, str],
        computes: Mapping[str, Callable[[str], bool]] | None = None,
    ) -> None:
        self.witnesses, self.dtypes, self.computes = tuple(witnesses), dict(dtypes), dict(computes or {})
        self.first: Divergence | None = None
        self._moved: dict[tuple[str, str], float] = {}
        self._counts: dict[tuple[str, tuple[str, str]], tuple[int, int, Difference]] = {}

    def copy(self) -> Judge:
        """Returns: a judge that has compared the same; what either compares from now on is its own."""
        judge = copy(self)
        judge._moved, judge._counts = dict(self._moved), dict(self._counts)
        return judge

    @property
    def rows(self) -> tuple[Row, ...]:
        """For each kind, in the order of the table of bounds, and each pair: the worst place."""
        order = {kind: number for number, kind in enumerate(ROUNDINGS)}
        found = sorted(self._counts.items(), key=lambda entry: order[entry[0][0]])
        return tuple(Row(kind, pair, compared, wrong, worst) for (kind, pair), (compared, wrong, worst) in found)

    def add(self, said: Witnessed) -> list[Difference]:
        """Compare.

        Returns: the difference of each quantity and pair, in the order of evaluation; `first` is set by the first that disagrees.
        """
        differences: list[Difference] = []
        agreed = self.first is None
        for key in _in_order(said.records):
            found = list(self._differences(key, said))
            for difference in found:
                self._count(difference)
            if self.first is None and not all(difference.agrees for difference in found):
                self.first = self._divergence(key, found, said.records)
            differences += found
        if agreed and self.first is not None and not self.first.odd:
            self.first = replace(self.first, odd=self._odd_by_slope(self.first, differences))
        return differences

    def _differences(self, key: Key, said: Witnessed) -> Iterable[Difference]:
        there = {name: record.get(key) for name, record in said.records.items()}
        example = next(q for q in there.values() if q is not None)
        expected = [
            name for name in self.witnesses
            if there.get(name) is not None or (name in said.records and self._computes(name, example.kind))
        ]  # fmt: skip
        # The largest movement of this quantity so far, for a single number may by chance not move; what is long ago counts less.
        known = [moved.get(key, 0.0) / STEP for moved in said.moved]
        same = example.kind, example.name
        moved = self._moved[same] = max([FADING * self._moved.get(same, 0.0), *filter(math.isfinite, known)])
        for pair in combinations(expected, 2):
            a, b = (there.get(name) for name in pair)
            yield self._difference(example, pair, a, b, moved)

    def _difference(
        self,
        example: Quantity,
        pair: tuple[str, str],
        a: Quantity | None,
        b: Quantity | None,
        moved: float,
    ) -> Difference:
        dtypes = [self.dtypes[name] for name in pair]
        coarse = "float32" if "float32" in dtypes else "float64"
        error, size, allowed, diverged, reason = math.inf, 0.0, 0.0, False, ""
        if a is None or b is None:
            reason = f"only {pair[0] if b is None else pair[1]} has it"
        else:
            with np.errstate(all="ignore"):
                sizes = [norm(a.value)] * 2 if a.value is b.value else [norm(a.value), norm(b.value)]
                size = max(sizes)
                larger = a.value if size == sizes[0] else b.value
                allowed = allowance(example.kind, coarse, larger, moved)
            # What float32 cannot hold has diverged for whoever computes in it. No number is larger than the norm of all.
            most = float(np.finfo(coarse).max)
            finite = [n <= most or bool((np.abs(q.value) <= most).all()) for n, q in zip(sizes, (a, b), strict=True)]
            if a.value.shape != b.value.shape:
                reason = f"shapes {list(a.value.shape)} and {list(b.value.shape)}"
            elif a.value.dtype != b.value.dtype and len(set(dtypes)) == 1:
                reason = f"dtypes {a.value.dtype} and {b.value.dtype}"
            elif not all(finite):
                diverged = not any(finite)
                reason = f"not finite in {' and '.join(n for n, f in zip(pair, finite, strict=True) if not f)}"
            else:
                error = 0.0 if a.value is b.value else norm(np.subtract(a.value, b.value, dtype=np.float64))
        e = example
        return Difference(
            e.kind, e.name, e.place, e.source, e.network, e.layer, e.node,
            pair, error, size if math.isfinite(size) else math.inf, allowed, diverged, reason,
        )  # fmt: skip

    def _count(self, difference: Difference) -> None:
        key = difference.kind, difference.pair
        compared, wrong, worst = self._counts.get(key, (0, 0, difference))
        if _severity(difference) > _severity(worst):
            worst = difference
        self._counts[key] = compared + 1, wrong + (not difference.agrees), worst

    def _divergence(self, key: Key, found: Sequence[Difference], records: Mapping[str, Record]) -> Divergence:
        wrong, alone = [d for d in found if not d.agrees], self._odd(found)
        shown = next((d for d in wrong if alone in d.pair), wrong[0])
        return Divergence(shown, alone, _values(key, shown.pair, records), "")

    def _odd(self, found: Sequence[Difference]) -> str:
        """Returns: the witness that all who disagree disagree with, while others agree; empty where that cannot be said."""
        wrong = [d for d in found if not d.agrees]
        odd = [
            name for name in self.witnesses
            if wrong and all(name in d.pair for d in wrong) and any(name not in d.pair for d in found)
        ]  # fmt: skip
        return odd[0] if len(odd) == 1 else ""

    def _odd_by_slope(self, first: Divergence, differences: Sequence[Difference]) -> str:
        """Returns: who is alone in the slope of a loss, where those differ in a gradient of it who alone compute one."""
        gradient, at = first.difference.name.partition(" by ")[0], first.difference.place
        slope = gradient.replace("gradient of", "slope of", 1)
        return self._odd([d for d in differences if (d.name, d.place) == (slope, at)])

    def _computes(self, name: str, kind: str) -> bool:
        return self.computes[name](kind) if name in self.computes else True


def _in_order(records: Mapping[str, Record]) -> list[Key]:
    """Returns: all keys in the order of evaluation: what only one witness has comes after what precedes it there."""
    longest = max(records.values(), key=len, default={})
    order = list(longest)
    for record in records.values():
        if record.keys() <= set(order):
            continue
        before: Key | None = None
        for key in record:
            if key not in longest and key not in order:
                order.insert(order.index(before) + 1 if before else 0, key)
            before = key
    return order


def _severity(difference: Difference) -> tuple[bool, bool, float]:
    """Disagreement first, then what only one of the two has lost, then the share of the allowance."""
    ratio = difference.ratio
    return not difference.agrees, not difference.diverged, ratio if not math.isnan(ratio) else math.inf


def _values(key: Key, pair: tuple[str, str], records: Mapping[str, Record]) -> tuple[str, ...]:
    a, b = (records[name].get(key) for name in pair)
    if a is None or b is None or a.value.shape != b.value.shape:
        return ()
    with np.errstate(all="ignore"):
        apart = np.abs(a.value.astype(np.float64) - b.value.astype(np.float64))
    worst = np.argsort(np.nan_to_num(-apart.ravel(), nan=-math.inf, posinf=0, neginf=-math.inf), kind="stable")[:SHOWN]
    lines = []
    for flat in worst:
        at = [int(i) for i in np.unravel_index(flat, apart.shape)]
        one, other = (float(q.value[tuple(at)]) for q in (a, b))
        lines.append(f"{at if at else 'value'}: {pair[0]} {one:.17g}, {pair[1]} {other:.17g}")
    return tuple(lines)
