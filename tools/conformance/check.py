"""Checks a whole training step of somebody's own against a system."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganspec.spec import SpecError, load_system
from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.agreement.judge import Judge
from ganspec.tools.agreement.report import Comparison
from ganspec.tools.conformance import arguments
from ganspec.tools.conformance.conventions import Conventions, alternatives, read_conventions
from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.looks import Looks
from ganspec.tools.conformance.mapping import match_arrays
from ganspec.tools.conformance.reachable import Reachable
from ganspec.tools.conformance.report import OURS, YOURS, ConformanceReport
from ganspec.tools.conformance.session import LAYERS, Asked, run
from ganspec.tools.conformance.sides import Side, make_side

MAX_ITERATIONS = 1000
_FUNCTION = {"parameter gradient"}  # kinds that show a network's function without its layers


def check(
    system: str | System,
    step: Callable[..., Any],
    *,
    optimizers: Mapping[str, Any] | None = None,
    iterations: int = 2,
    seed: int = 0,
    dtype: str = "float64",
    settings: Sequence[str] = (),
    reduced: bool = False,
    mapping: Mapping[str, Mapping[str, str]] | None = None,
    conventions: Mapping[str, object] | None = None,
    reports: Mapping[str, str] | Sequence[str] | None = None,
    x_shape: Sequence[int] | None = None,
    suggest: bool = True,
    **networks: Any,
) -> ConformanceReport:
    """Train somebody's own networks beside ganspec's, from the same start on the same batches and draws, and compare all numbers.

    The code is not changed: its networks get the spec's first parameters, and what it draws is answered with the spec's numbers.
    Afterwards networks, optimisers and the numbers that the step keeps are as they were.

    Args:
        system: name of a packaged system or path of a TOML file, either perhaps a variant's name after a slash, or a loaded
            system.
        step: function that trains one iteration. It is called with x, (batch, channels, height, width) in the system's range, or
            with x and y where the system has labels; where an iteration takes several batches, with an iterator of what it would
            have been called with. It may return its reports, a dictionary of numbers.
        optimizers: each network's optimiser, by the network's name; those that are left out are found when they step.
        iterations: number of iterations, 1 to 1000.
        seed: seed of parameters, batches and draws.
        dtype: "float64", or "float32" for code that computes in nothing else; networks are turned to it for the check.
        settings: changes of the system's keys, "KEY=VALUE" each, such as "run.batch=16".
        reduced: whether the system is taken at its reduced sizes.
        mapping: for a network, names of its arrays or layers by the spec's: {"D": {"l1": "fc1", "l2/W": "fc2.weight"}}.
        conventions: harmless differences: {"eps": "complement"}; see `conventions.read_conventions`.
        reports: the spec's names of what the step returns: {"d_loss": "loss_D"}, or a list for a tuple.
        x_shape: shape of one image as the step takes it, such as [784]; None for (channels, height, width).
        suggest: whether a disagreement is tried again under conventions that were not declared.
        networks: the networks by the system's names, G=..., D=...: `torch.nn.Module`s, `chainer.Chain`s, or for NumPy
            dictionaries of arrays, which the step changes.

    Returns: what was found; `report.agrees`, and the whole story as its text.

    Raises:
        ConformanceError: the code cannot be compared: a network does not fit, a draw is not the spec's, an update is out of
            order.
    """
    start = time.perf_counter()
    loaded = load(system, settings, reduced)
    arguments.run_options(seed, dtype)
    arguments.whole_number("iterations", iterations, 1, MAX_ITERATIONS)
    arguments.by_network(optimizers, mapping)
    arguments.returned_names(reports)
    arguments.shape("x_shape", x_shape, loaded.data.shape)
    if not callable(step):
        raise ConformanceError(
            f"the step is of the type {type(step).__name__}, expected a function that trains one iteration"
        )
    side = make_side(loaded, networks, optimizers or {}, dtype)
    match_all(loaded, side, mapping or {})
    asked = Asked(loaded, step, iterations, seed, dtype, reports, tuple(x_shape) if x_shape is not None else None)
    return compare(asked, side, conventions, reduced=reduced, suggest=suggest, start=start)


def compare(
    asked: Asked,
    side: Side,
    conventions: Mapping[str, object] | None = None,
    *,
    reduced: bool = False,
    suggest: bool = True,
    start: float | None = None,
) -> ConformanceReport:
    """Do what is asked, with a side whose arrays are matched; see `check`. Returns: what was found."""
    start = time.perf_counter() if start is None else start
    loaded, declared = asked.system, read_conventions(asked.system, conventions)
    reachable = Reachable(asked.step, [*side.modules.values(), *side.optimizers.values()])
    side.adopt(reachable.values)
    with side.borrowed(), _random_state_kept():
        restore = reachable.snapshot()
        try:
            found, judge = _compared(asked, side, reachable, declared, restore)
            suggestion = ""
            if judge.first is not None and suggest and not _on_trial():
                suggestion = _suggestion(asked, side, reachable, declared, restore, judge)
        finally:
            restore()
    comparison = Comparison(
        loaded.name, (OURS, YOURS), asked.dtype, side.device_name, asked.seed, asked.iterations, loaded.run.batch, reduced,
        judge.rows, judge.first, image_range=loaded.data.range, seconds=time.perf_counter() - start,
    )  # fmt: skip
    return ConformanceReport(comparison, side.backend, suggestion, tuple(found), {**declared.declared})


def load(system: str | System, settings: Sequence[str] = (), reduced: bool = False) -> System:
    """Returns: a system by name, with settings. Raises: ConformanceError: there is none, or it is wrong."""
    arguments.changes(settings)
    if isinstance(system, System):
        if settings or reduced:
            raise ConformanceError("settings and reduced are for a system's name; give them to load_system")
        return system
    if not isinstance(system, (str, Path)):
        raise arguments.wrong("system", system, "a system's name, the path of a TOML file, or a loaded system")
    try:
        return load_system(str(system), settings, reduced=reduced)
    except SpecError as error:
        raise ConformanceError(str(error)) from None


def match_all(system: System, side: Side, mapping: Mapping[str, Mapping[str, str]]) -> None:
    """Find the spec's arrays in the networks of a side.

    Raises:
        ConformanceError: something does not fit.
    """
    for name in mapping:
        if name not in side.modules:
            hint = did_you_mean(name, side.modules)
            raise ConformanceError(
                f"mapping: there is no network '{name}': {expected_one_of(side.modules)}"
                + (f"; {hint}" if hint else "")
            )
    side.check({n: match_arrays(system.networks[n], side.held(n), mapping.get(n), n) for n in side.modules})


def _compared(
    asked: Asked, side: Side, reachable: Reachable, declared: Conventions, restore: Callable[[], None]
) -> tuple[list[str], Judge]:
    """Compare, and where something differs leave out what may make no difference: inner layers, and looks.

    Returns: notes and the judge of the comparison that agrees; of that which leaves out nothing but layers where none does.

    Raises:
        ConformanceError: the code cannot be compared.
    """
    try:
        found, judge = run(asked, side, reachable, declared)
        if judge.first is not None and judge.first.difference.kind in LAYERS:
            found, judge = _without_layers(asked, side, reachable, declared, restore, (found, judge))
    except ConformanceError:
        agreeing = _without_looks(asked, side, reachable, declared, restore)
        if agreeing is None:
            raise
        return agreeing
    if judge.first is None:
        return found, judge
    return _without_looks(asked, side, reachable, declared, restore) or (found, judge)


def _without_looks(
    asked: Asked, side: Side, reachable: Reachable, declared: Conventions, restore: Callable[[], None]
) -> tuple[list[str], Judge] | None:
    """Compare again without the evaluations that code makes only to look, if there may be such.

    Returns: notes and the judge, if everything agrees then and all evaluations of the spec's were made; else None.
    """
    if not asked.looks.found or asked.looks.left_out:
        return None
    restore()
    again = replace(asked, looks=Looks(left_out=True))
    try:
        notes, judge = _compared(again, side, reachable, declared, restore)
    except ConformanceError:
        return None
    agrees = judge.first is None and again.looks.found and not again.looks.missed
    return ([*notes, again.looks.note], judge) if agrees else None


def _without_layers(
    asked: Asked,
    side: Side,
    reachable: Reachable,
    declared: Conventions,
    restore: Callable[[], None],
    seen: tuple[list[str], Judge],
) -> tuple[list[str], Judge]:
    """Compare again without layers, for code may compute the same function by other ones, such as a dropout before a leaky ReLU.

    Returns: notes and the judge of that, if the network whose layer differed gives the right values; else what was seen before.

    Raises:
        ConformanceError: everything else agrees up to a place from which the code cannot be compared.
    """
    layer = seen[1].first.difference if seen[1].first is not None else None
    assert layer is not None
    restore()
    notes, judge = run(replace(asked, inner=False), side, reachable, declared)
    other = judge.first.difference if judge.first is not None else None
    given = any(row.kind == "layer" for row in judge.rows) and len(asked.system.networks[layer.network].outputs) == 1
    if other is not None and other.place == layer.place and (layer.kind != "layer" or other.network == layer.network):
        return seen
    if other is not None and not given:
        return seen
    if other is None and not {row.kind for row in judge.rows} & _FUNCTION:
        return seen
    source = f", defined at {layer.source}" if layer.source else ""
    note = f"inner layers differ and were left out, first {layer.name} at {layer.place}{source}; "
    note += (
        f"what {layer.network} gives agrees, so it is the same function by other layers"
        if other is not None
        else "everything else agrees, so the networks are the same functions by other layers"
    )
    return [*notes, note], judge


def _suggestion(
    asked: Asked, side: Side, reachable: Reachable, declared: Conventions, restore: Callable[[], None], found: Judge
) -> str:
    """Returns: the convention under which everything agrees, as a sentence; "" where there is none."""
    short = replace(
        asked, iterations=min(asked.iterations, found.first.difference.place.iteration + 1 if found.first else 1)
    )
    for sentence, given in alternatives(asked.system, declared):
        restore()
        try:
            _, judge = run(short, side, reachable, read_conventions(asked.system, given))
        except ConformanceError:
            continue
        if judge.first is None:
            return f"everything agrees if {sentence}: declare conventions={given!r}"
    return ""


def _on_trial() -> bool:
    from ganspec.tools.agreement.mutants.noticing import on_trial  # only where something disagrees: it takes a while

    return on_trial()


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Leave NumPy's global generator as it was."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)
