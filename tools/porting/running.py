"""Runs a case: his model and the port from the same numbers, call by call, and compares what each call gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ganspec.tools.porting.afresh import draw_values
from ganspec.tools.porting.allowance import DIRECTIONS, Movement
from ganspec.tools.porting.comparing import Comparison
from ganspec.tools.porting.consistency import second_is_broken
from ganspec.tools.porting.draws import DrawError, Event, Recorder
from ganspec.tools.porting.inputs import Input, Sizes, draw_inputs
from ganspec.tools.porting.original_side import OriginalSide, read_states
from ganspec.tools.porting.outputs import OutputError
from ganspec.tools.porting.port_side import LoadError, PortSide
from ganspec.tools.porting.rows import Case, Row
from ganspec.tools.porting.sides import Ran, first_line

if TYPE_CHECKING:
    from ganspec.tools.porting.proof import Proof


@dataclass
class Trajectory:
    """Several calls of one instance of his model.

    Args:
        before: what the instance held before the first, see `read_states`.
        runs: what each call gave.
        events: what each drew.
    """

    before: dict[str, Any]
    runs: list[Ran] = field(default_factory=list)
    events: list[list[Event]] = field(default_factory=list)


_NORMS = ("Normalization", "BatchNorm", "DecorrelatedBN")
# What PyTorch says of a batch norm that has one number for each channel; Chainer gives zeros there.
_ONE_VALUE = "more than 1 value per channel"


class CaseRunner:
    """Compares his model with the port, case by case.

    Args:
        his: his model.
        port: the port.
        inputs: what both are called with.
        given: arrays of his model, by path.
    """

    def __init__(
        self, his: OriginalSide, port: PortSide, inputs: Sequence[Input], given: Mapping[str, np.ndarray]
    ) -> None:
        self.his, self.port, self.inputs, self.given = his, port, inputs, given
        self._trained = {a.chainer_path.strip("/") for a in his.arrays if a.trained}
        self._drawn = _drawn(his, given)
        self._broken = False  # whether Chainer's second gradient is wrong in the case that runs
        self._noise: dict[str, set[str]] = {}  # by mode, names of gradients that are rounding and nothing else
        self._kept: tuple[Case | None, Trajectory] = None, Trajectory({})  # what float32 is compared with
        self._unjudged: dict[tuple[str, str], tuple[Case, str]] = {}

    def compare(self, case: Case, proof: Proof, *, order: int = 1, calls: int = 1, optional: str = "") -> None:
        """Run a case, and add its rows.

        Args:
            case: how both are run.
            proof: what they are added to.
            order: 1 with gradients, 2 with gradients of gradients.
            calls: how often one instance is called.
            optional: what of the case his model may refuse, such as "batch"; empty where that is an error.
        """
        values = self._values(case)
        try:
            his = self.trajectory(case, values, order, calls)
        except Exception as error:
            if not optional and case.parameters == "given":
                raise
            if not optional:
                proof.unexercised.append(
                    f"random parameters in {case.mode}, with which your model fails: {first_line(error)}"
                )
                return
            proof.unexercised.append(
                f"a {optional} of {case.batch} in {case.mode}, which your model does not take: {first_line(error)}"
            )
            return
        exact = his
        if case.dtype == "float32":
            wide = replace(case, dtype="float64")
            exact = self._kept[1] if self._kept[0] == wide else self.trajectory(case, values, order, calls, "float64")
        elif calls > 1:
            self._kept = case, his
        try:
            port = self._port(case, values, his, optional)
        except _Unsupported as error:
            proof.unexercised.append(str(error))
            return
        except _Failed as error:
            proof.rows.append(Row(case, error.kind, "", np.inf, 0.0, 0.0, False, str(error)))
            return

        known: dict[int, list[list[Ran]]] = {}

        def moved(highest: int, call: int) -> list[Ran]:
            highest = max([highest, *known])
            if highest not in known:
                movements = [Movement(case.dtype, direction) for direction in range(1, DIRECTIONS[case.dtype] + 1)]
                known[highest] = [self.trajectory(case, values, highest, calls, "float64", m).runs for m in movements]
            return [runs[call] for runs in known[highest]]

        self._broken = False
        for call in range(calls):
            self._add(case, call, his, port, exact.runs, moved, values, proof)

    def _add(
        self, case: Case, call: int, his: Trajectory, port: list[Ran], exact: list[Ran], moved: Callable[[int, int], list[Ran]],
        values: Mapping[str, np.ndarray], proof: Proof,
    ) -> None:  # fmt: skip
        """Compare one call."""
        this, own = replace(case, call=call + 1), his.runs[call]
        normalised = any(word in name for name in own.functions for word in _NORMS)
        before = his.runs[call - 1].states if call else his.before
        noise = self._noise.setdefault(case.mode, set())
        comparison = Comparison(
            this, own, port[call], partial(moved, call=call), exact[call], before, normalised, noise
        )
        found = comparison.run()
        why = own.why_no_second or port[call].why_no_second
        if why:
            proof.unexercised.append(f"second order in {case.mode}: {why}")
        wrong = [row for row in found.rows if row.kind == "second order" and not row.agrees]
        if wrong and call == 0:
            self._broken = second_is_broken(self, case, values, own, port[0])
        if wrong and self._broken:
            said = "Chainer's second gradient is not the derivative of its first, the port's is"
            proof.unexercised.append(f"second order in {case.mode} of {', '.join(row.name for row in wrong)}: {said}")
            found.rows = [row for row in found.rows if row not in wrong]
        proof.rows += found.rows
        for kind, name, reason in found.unjudged:
            self._unjudged.setdefault((kind, name), (this, reason))

    def finish(self, proof: Proof) -> None:
        """Add a row that does not agree for each quantity that no case could judge."""
        judged = {(row.kind, row.name) for row in proof.rows}
        for key, (case, reason) in self._unjudged.items():
            if key in judged:
                proof.unexercised.append(f"{key[0]} {key[1]} ({case}): {reason}")
            else:
                proof.rows.append(Row(case, *key, np.inf, 0.0, 0.0, False, f"no run could judge it: {reason}"))

    def refuses(self, case: Case) -> str:
        """Returns: why his model does not take the sizes of a case; empty where it does."""
        try:
            self.trajectory(case, self._values(case), 0)
        except Exception as error:
            return first_line(error)
        return ""

    def trajectory(
        self,
        case: Case,
        values: Mapping[str, np.ndarray],
        order: int,
        calls: int = 1,
        dtype: str = "",
        movement: Movement | None = None,
        inputs: Mapping[str, np.ndarray] | None = None,
    ) -> Trajectory:
        """Call a new instance of his model.

        Args:
            case: how.
            values: its arrays, by path.
            order: highest order of gradients.
            calls: how often.
            dtype: precision; empty for the case's.
            movement: moves all numbers by one rounding; None for exact ones.
            inputs: inputs of every call; None for those of the case.
        """
        dtype = dtype or case.dtype
        given = values if movement is None else {path: movement.array(np.asarray(a)) for path, a in values.items()}
        link = self.his.make(dtype, given)
        found = Trajectory(read_states(link))
        for call in range(calls):
            recorder = Recorder(case.seed + 1000 * call)
            drawn = inputs or self.inputs_of(case, call, dtype)
            drawn = drawn if movement is None else {name: movement.array(a) for name, a in drawn.items()}
            ran = self.his.run(
                link, drawn, training=case.training, dtype=dtype, recorder=recorder,
                order=_order(order, found), seed=case.seed, movement=movement,
            )  # fmt: skip
            found.runs.append(ran)
            found.events.append(recorder.events)
        return found

    def inputs_of(self, case: Case, call: int, dtype: str) -> dict[str, np.ndarray]:
        """Returns: the inputs of a call, numbers from 0."""
        return draw_inputs(self.inputs, Sizes(case.batch, case.scale, case.more), case.seed + 1000 * call, dtype)

    def _values(self, case: Case) -> Mapping[str, np.ndarray]:
        return self.given if case.parameters == "given" else draw_values(self.given, self._trained, case.seed)

    def _port(self, case: Case, values: Mapping[str, np.ndarray], his: Trajectory, optional: str) -> list[Ran]:
        """Call a new instance of the port, as often as his model was called.

        Raises:
            _Failed: it could not be run.
            _Unsupported: PyTorch refuses to compute it, loudly.
        """
        kind = "arrays"
        try:
            module = self.port.make(case.dtype, values, his.before, self._drawn)
            runs = []
            for call, ran in enumerate(his.runs):
                kind = "run"
                runs.append(
                    self.port.run(
                        module, self.inputs_of(case, call, case.dtype), training=case.training, dtype=case.dtype,
                        events=his.events[call], seed=case.seed, like=ran,
                    )
                )  # fmt: skip
        except DrawError as error:
            raise _Failed("draws", str(error)) from None
        except (LoadError, OutputError) as error:
            raise _Failed(kind, f"the port: {error}") from None
        except Exception as error:
            if optional and _ONE_VALUE in str(error):
                what = f"batch norm of one value for each channel in {case.mode}"
                raise _Unsupported(f"{what}: PyTorch refuses it with an error, Chainer gives beta") from None
            raise _Failed(kind, f"the port fails: {first_line(error)}") from None
        return runs


def _order(order: int, found: Trajectory) -> int:
    """Returns: the order of gradients of the next call: of later ones only where the call before left something in attributes."""
    if not found.runs:
        return order
    left = found.runs[0].states
    same = all(
        path in found.before and np.array_equal(value, found.before[path])
        for path, value in left.items()
        if not _statistic(path)
    )
    return 0 if same else min(order, 1)


def _statistic(path: str) -> bool:
    return path.rpartition("/")[2] in ("avg_mean", "avg_var")


def _drawn(his: OriginalSide, given: Mapping[str, np.ndarray]) -> set[str]:
    """Returns: paths of plain attributes whose numbers his constructor draws; those of others the port must have itself."""
    one, other = (read_states(his.make("float64", given, seed)) for seed in (0, 1))
    return {path for path, value in one.items() if not np.array_equal(value, other.get(path), equal_nan=False)}


class _Failed(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Unsupported(Exception):
    pass
