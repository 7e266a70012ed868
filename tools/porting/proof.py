"""Proves that a port computes what his model computes: both run on the same numbers and draws, every quantity is compared.

Both run in float64 and float32, in training and inference; with the given parameters and with all drawn afresh; on the sizes that
were traced and on others; twice in a row, because state moves. Compared are outputs, gradients of a random projection of them by
all parameters and floating-point inputs, in one case gradients of the square of those gradients, and all that a call leaves
behind. What cannot be judged is said, and is never an agreement.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from ganspec.tools.errors import UserError
from ganspec.tools.porting.afresh import rounded
from ganspec.tools.porting.coverage import Coverage, Missed, his_files
from ganspec.tools.porting.draws import DrawError, Recorder, same_events
from ganspec.tools.porting.inputs import Input, Sizes, draw_inputs
from ganspec.tools.porting.original_side import WAYS, OriginalSide, read_arrays
from ganspec.tools.porting.outputs import OutputError
from ganspec.tools.porting.port_side import PortSide
from ganspec.tools.porting.rows import Case, Row, failures
from ganspec.tools.porting.running import CaseRunner
from ganspec.tools.porting.sides import Model, NamedArray, first_line
from ganspec.tools.porting.watching import watching

MODES = ("training", "inference")
TRACED_BATCH = 3
OTHER_BATCHES = (1, 4)  # the smallest, and one that no trace has seen
IMAGE_BATCH = 2  # of images of other sizes
SCALES = (Fraction(1, 2), Fraction(3, 2), Fraction(2))  # of images: the first that his model takes is compared


@dataclass
class Proof:
    """What was compared and found.

    Args:
        rows: a row for each quantity of each case.
        unexercised: what the proof says nothing about, each with the reason.
        refused: why his model cannot be proved at all, with his lines.
        missed: lines of his that did not run.
        lines: how many lines of his ran, and of how many.
        seconds: how long it took.
        modes: modes that were asked for.
    """

    rows: list[Row] = field(default_factory=list)
    unexercised: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    lines: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    modes: Sequence[str] = ()

    @property
    def proved(self) -> bool:
        """Whether outputs were compared in float64 in each mode, nothing was refused, and all that was compared agrees."""
        compared = {row.case.mode for row in self.rows if row.kind == "output" and row.case.dtype == "float64"}
        whole = bool(compared) and compared >= set(self.modes)
        return whole and not self.refused and all(row.agrees for row in self.rows)

    @property
    def first(self) -> Row | None:
        """The worst difference; None where all agree."""
        return next(failures(self.rows), None)


def prove(
    original: Model,
    ported: Model,
    arrays: Sequence[NamedArray],
    inputs: Sequence[Input],
    *,
    modes: Sequence[str] = MODES,
    values: Mapping[str, np.ndarray] | None = None,
    batch: int = TRACED_BATCH,
    seed: int = 0,
    files: Sequence[str] = (),
    stop: bool = False,
) -> Proof:
    """Compare his model with the port.

    Args:
        original: his model.
        ported: the port.
        arrays: the arrays that both have.
        inputs: what both are called with.
        modes: "training", "inference" or both.
        values: arrays of a snapshot by their paths in Chainer; None for those that his constructor draws.
        batch: number of samples that was traced.
        seed: seed of all random numbers.
        files: paths of his files, whose lines are watched; without, those of the classes of his links.
        stop: whether to stop after the first case that differs.

    Returns: what was found.

    Raises:
        UserError: his model does not run on these inputs.
    """
    began = time.perf_counter()
    proof = Proof(modes=tuple(modes))
    coverage = Coverage([])
    with watching(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of batches of one sample
        his = OriginalSide(original, arrays, coverage)
        classes = _classes(his)
        coverage.files |= set(files or his_files(classes))
        try:
            made = probe(his, inputs, modes, batch, seed)
            given, carried = _carried(made, arrays, values, proof)
            his.arrays = carried
            if his.way == "arrays" and any(each.dtype == "float" for each in inputs):
                proof.unexercised.append("gradients by the inputs: your model takes arrays, not variables")
            for mode in modes:
                _check_repeatable(his, given, inputs, mode == "training", batch, seed)
        except DrawError as error:
            proof.refused.append(str(error))
        else:
            _compare(CaseRunner(his, PortSide(ported, carried), inputs, given), proof, modes, batch, seed, stop)
        proof.missed, proof.lines = coverage.missed(classes), coverage.counted(classes)
    proof.unexercised = list(dict.fromkeys(proof.unexercised))
    proof.seconds = time.perf_counter() - began
    return proof


def _classes(his: OriginalSide) -> list[type]:
    """Returns: the classes of the links of his model, and those that they derive from."""
    link = his.make("float64", None)
    return [base for cls in dict.fromkeys(map(type, link.links())) for base in cls.__mro__ if base is not object]


def probe(
    his: OriginalSide, inputs: Sequence[Input], modes: Sequence[str], batch: int, seed: int, dtype: str = "float64"
) -> Any:
    """Find out how his model wants its inputs: as variables or as arrays.

    Returns: an instance that was called in each mode, so that its parameters are all there.

    Raises:
        UserError, porting.errors.PortError: it does not run on them.
        DrawError: it draws what cannot be given to a port.
    """
    failed: list[Exception] = []
    drawn = draw_inputs(inputs, Sizes(batch), seed, dtype)
    for way in WAYS:
        his.way = way
        link = his.make(dtype, None)
        try:
            for mode in modes:
                his.run(link, drawn, training=mode == "training", dtype=dtype, recorder=Recorder(seed), order=0)
        except OutputError as error:
            raise UserError(f"your model's {error}") from None
        except Exception as error:
            if (draws := cause(error, DrawError)) is not None:
                raise draws from None
            failed.append(error)
            continue
        return link
    if isinstance(failed[0], UserError) or type(failed[0]).__name__ == "PortError":
        raise failed[0]
    raise UserError(f"your model does not run on these inputs: {first_line(failed[0])}; mend --input or --call-args")


def _carried(
    link: Any, arrays: Sequence[NamedArray], values: Mapping[str, np.ndarray] | None, proof: Proof
) -> tuple[dict[str, np.ndarray], list[NamedArray]]:
    """Returns: the given values of all arrays, and the arrays that have one."""
    found = read_arrays(link)
    given = {path: value for path, value in found.items() if value is not None}
    for path, value in (values or {}).items():
        if path.strip("/") in given:
            given[path.strip("/")] = np.asarray(value)
    carried = [a for a in arrays if a.torch_key is not None and a.chainer_path.strip("/") in given]
    empty = sorted(path for path, value in found.items() if value is None)
    if empty:
        proof.unexercised.append(f"parameters that no call initialises: {', '.join(empty)}")
    return rounded(given), carried


def _check_repeatable(
    his: OriginalSide,
    given: Mapping[str, np.ndarray],
    inputs: Sequence[Input],
    training: bool,
    batch: int,
    seed: int,
) -> None:
    """Raises: DrawError: two runs on the same numbers differ."""
    drawn = draw_inputs(inputs, Sizes(batch), seed, "float64")
    runs = []
    for _ in range(2):
        recorder = Recorder(seed)
        link = his.make("float64", given)
        ran = his.run(link, drawn, training=training, dtype="float64", recorder=recorder, order=0)
        runs.append((recorder, ran))
    (one, first), (two, second) = runs
    remedy = "draw with numpy.random, or give the numbers as an input"
    if one.foreign or two.foreign:
        lines = "\n".join(f"    {line}" for line in dict.fromkeys([*one.foreign, *two.foreign]))
        raise DrawError(f"your model draws from Python's random, which the port cannot be given; {remedy}\n{lines}")
    same = first.outputs.keys() == second.outputs.keys() and all(
        np.array_equal(np.asarray(a), np.asarray(second.outputs[p]), equal_nan=_floating(a))
        for p, a in first.outputs.items()
    )
    if not same or not same_events(one.events, two.events):
        lines = "".join(f"\n    it reads the time: {line}" for line in dict.fromkeys([*one.clock, *two.clock]))
        raise DrawError(f"two runs of your model on the same numbers and draws differ; {remedy}{lines}")


def _floating(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _compare(runner: CaseRunner, proof: Proof, modes: Sequence[str], batch: int, seed: int, stop: bool) -> None:
    """Run all cases."""
    for mode in modes:
        training = mode == "training"
        fresh = Case("float64", training, "random", batch, seed=seed + 1)
        todo: list[Callable[[], None]] = [
            partial(runner.compare, replace(fresh, parameters="given", seed=seed), proof),
            partial(runner.compare, fresh, proof, order=2, calls=2),
            *(
                partial(runner.compare, replace(fresh, batch=n, seed=seed + n), proof, optional="batch")
                for n in OTHER_BATCHES
                if n != batch
            ),
            partial(_compare_images, runner, proof, replace(fresh, batch=IMAGE_BATCH, seed=seed + 2)),
            partial(runner.compare, replace(fresh, dtype="float32"), proof),
        ]
        for compare in todo:
            compare()
            if stop and proof.first is not None:
                return
    runner.finish(proof)


def _compare_images(runner: CaseRunner, proof: Proof, case: Case) -> None:
    """Compare on images of other sizes, as far as his model takes them: of a multiple, and larger by 1, which may be odd."""
    if not any(given.image for given in runner.inputs):
        return
    scaled = [replace(case, scale=scale) for scale in SCALES]
    for cases, what in ((scaled, "larger or smaller"), ([replace(case, more=1)], "larger by 1")):
        refusals = []
        for each in cases:
            if not (why := runner.refuses(each)):
                runner.compare(each, proof)
                break
            refusals.append(why)
        else:
            proof.unexercised.append(f"images {what}, which your model does not take: {refusals[0]}")


def cause(error: BaseException | None, kind: type[BaseException]) -> Any:
    """Returns: the exception of a kind that an exception came from; None where there is none."""
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__
    return None
