"""Checks one part of somebody's code: a network, a loss, an optimiser."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from ganspec.spec import SpecError
from ganspec.spec.network.architecture import Architecture
from ganspec.spec.reference.optimizers import KINDS
from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.text.formula import FormulaError, parse
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools.agreement.judge import Judge, Record, Witnessed, movement_of, record_of
from ganspec.tools.agreement.report import Comparison, Place, Quantity
from ganspec.tools.agreement.rounding import Rounding
from ganspec.tools.conformance.arguments import run_options, texts, whole_number
from ganspec.tools.conformance.check import MAX_ITERATIONS, compare, load, match_all
from ganspec.tools.conformance.errors import ConformanceError
from ganspec.tools.conformance.expected import MOST_MOVED
from ganspec.tools.conformance.formulas import names_in, value_of
from ganspec.tools.conformance.probes import BATCH, CARRIED, loss_system, network_system
from ganspec.tools.conformance.report import OURS, YOURS, ConformanceReport
from ganspec.tools.conformance.session import Asked
from ganspec.tools.conformance.sides import framework_of, make_side

_FORWARD = ("draw", "layer", "value", "input gradient", "loss", "report", "parameter gradient")
_UPDATES = 5
# Sizes of the gradients that an optimiser is given: tiny ones show where epsilon stands, a 0 what is divided by it.
_SIZES = (1.0, 1e-7, 1e3, 0.0, 1e-2)


def check_network(
    system: str | System,
    name: str,
    network: Any,
    *,
    seed: int = 0,
    dtype: str = "float64",
    batch: int = BATCH,
    settings: Sequence[str] = (),
    reduced: bool = False,
    mapping: Mapping[str, str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> ConformanceReport:
    """Compare a network with a system's: every layer's value in training, the output in inference, gradients, statistics.

    The loss mean(N(a) * w) of noise a and w is differentiated by the parameters and by the inputs.

    Args:
        system: name of a system, or a loaded one.
        name: name of the network in it, "D".
        network: a `torch.nn.Module` or a `chainer.Link`; it is as it was afterwards.
        seed: seed of parameters and noise.
        dtype: "float64" or "float32".
        batch: number of samples.
        settings: changes of the system's keys, "KEY=VALUE" each.
        reduced: whether the system is taken at its reduced sizes.
        mapping: names of its arrays or layers by the spec's: {"l1": "fc1"}.
        shapes: for an input, the shape of one sample as the network takes it: {"x": [784]}.

    Returns: what was found.

    Raises:
        ConformanceError: the network cannot be compared.
    """
    start = time.perf_counter()
    run_options(seed, dtype)
    texts("mapping", mapping, '{"l1": "fc1"}')
    architecture = _architecture(load(system, settings, reduced), name)
    probe = network_system(load(system, settings, reduced), name, architecture, batch)
    framework = framework_of(network)
    if framework not in ("torch", "chainer"):
        raise ConformanceError(
            f"{name} is of the type {type(network).__name__}, expected a torch.nn.Module or a chainer.Link"
        )
    for each in shapes or {}:
        if each not in architecture.inputs:
            raise ConformanceError(f"shapes: {name} has no input '{each}': {expected_one_of(architecture.inputs)}")
    bench = _bench(framework)
    optimizer = bench.own_optimizer([network])
    side = make_side(probe, {name: network}, {name: optimizer}, dtype)
    match_all(probe, side, {name: mapping} if mapping else {})
    step = bench.network_step(network, architecture, batch, optimizer, dict(shapes or {}))
    asked = Asked(probe, step, 1, seed, dtype, None, None, (*_FORWARD, "statistic"))
    return compare(asked, side, reduced=reduced, suggest=False, start=start)


def check_loss(
    system: str | System,
    name: str,
    function: Callable[..., Any],
    *,
    formula: str = "",
    arguments: Mapping[str, str] | None = None,
    framework: str = "",
    seed: int = 0,
    dtype: str = "float64",
    settings: Sequence[str] = (),
    reduced: bool = False,
    conventions: Mapping[str, object] | None = None,
) -> ConformanceReport:
    """Compare a loss or a penalty, written as a function, with a system's formula: its value, and its gradient by a network.

    The function is called with what its parameters are named after: the spec's networks (real modules or chains), data and noise
    (x, y, z, eps), constants, and carried numbers, which have the value 0.375. It may draw what it is not given.

    Args:
        system: name of a system, or a loaded one.
        name: network whose loss it is, or by whose parameters it is differentiated.
        function: the loss, which returns one number that can be differentiated.
        formula: name of a definition of the loss file, such as "penalty", or a formula; "" for the network's loss.
        arguments: formulas by the function's parameters, for those of other names: {"x_fake": "G(z)", "real": "D(x)"}.
        framework: "torch" or "chainer"; "" for PyTorch where it is installed.
        seed, dtype, settings, reduced, conventions: as `check` takes them.

    Returns: what was found.

    Raises:
        ConformanceError: the function cannot be called, or its value is not one number.
    """
    start = time.perf_counter()
    run_options(seed, dtype)
    texts("arguments", arguments, '{"x_fake": "G(z)"}')
    loaded = load(system, settings, reduced)
    _architecture(loaded, name)
    try:
        probe = loss_system(loaded, name, formula)
    except FormulaError as error:
        raise ConformanceError(f"formula '{formula}': {error.message}") from None
    except SpecError as error:
        raise ConformanceError(str(error)) from None
    framework = framework or next((f for f in ("torch", "chainer") if find_spec(f) is not None), "torch")
    bench = _bench(framework)
    networks = bench.spec_networks(probe)
    optimizer = bench.own_optimizer([networks[name]])
    side = make_side(probe, networks, {name: optimizer}, dtype)
    match_all(probe, side, {})
    trees = _bound(probe, function, arguments or {})
    drawn = [n for n in probe.plan.steps[0].draws() if n in probe.draws]
    given = {n for tree in trees.values() for n in names_in(tree)}

    def step(x: Any, y: Any = None) -> dict[str, Any]:
        known: dict[str, Any] = {
            "x": x,
            "y": y,
            **probe.loss.constants,
            **dict.fromkeys(probe.loss.carried, CARRIED),
            **networks,
        }
        for symbol in drawn:
            if symbol in given:
                known[symbol] = bench.draw(probe.symbols[symbol], probe.draws[symbol].distribution, probe.run.batch, x)
        loss = function(**{p: value_of(tree, known) for p, tree in trees.items()})
        bench.minimise(loss, optimizer, name)
        return {f"loss_{name}": loss}

    asked = Asked(probe, step, 1, seed, dtype, None, None, _FORWARD)
    return compare(asked, side, conventions, reduced=reduced, start=start)


def check_optimizer(
    system: str | System,
    name: str,
    factory: Callable[..., Any],
    *,
    framework: str = "",
    updates: int = _UPDATES,
    seed: int = 0,
    dtype: str = "float64",
    settings: Sequence[str] = (),
    reduced: bool = False,
) -> ConformanceReport:
    """Compare an optimiser with a system's: parameters and moments after each of several updates by given gradients.

    Args:
        system: name of a system, or a loaded one.
        name: network whose optimiser it is.
        factory: function that makes it: of a list of parameters in PyTorch, of nothing in Chainer.
        framework: "torch" or "chainer"; "" for PyTorch where it is installed.
        updates: number of updates.
        seed, dtype, settings, reduced: as `check` takes them.

    Returns: what was found.

    Raises:
        ConformanceError: the system trains no such network, or the factory makes no optimiser.
    """
    start = time.perf_counter()
    run_options(seed, dtype)
    whole_number("updates", updates, 1, MAX_ITERATIONS)
    loaded = load(system, settings, reduced)
    if name not in loaded.optimizers:
        hint = did_you_mean(name, loaded.optimizers)
        message = f"{loaded.name} trains no network '{name}': {expected_one_of(loaded.optimizers)}"
        raise ConformanceError(message + (f"; {hint}" if hint else ""))
    framework = framework or next((f for f in ("torch", "chainer") if find_spec(f) is not None), "torch")
    streams, shapes = Streams(seed), {p: a.shape for p, a in loaded.networks[name].parameter_paths().items()}
    first = {path: streams.normal(f"probe/{path}", Position(), shape) for path, shape in shapes.items()}
    gradients = [
        {p: _SIZES[t % len(_SIZES)] * streams.normal(f"probe/gradient/{p}", Position(t), s) for p, s in shapes.items()}
        for t in range(updates)
    ]  # fmt: skip
    records = {
        OURS: _updated(loaded, name, (first, *gradients), dtype),
        YOURS: _bench(framework).updated(loaded.optimizers[name], name, factory, first, gradients, dtype),
    }
    exact, *moved = (
        _updated(loaded, name, [change(given) for given in (first, *gradients)], "float64")
        for change in (dict, *(Rounding(dtype, number).arrays for number in range(MOST_MOVED)))
    )
    judge = Judge((OURS, YOURS), {OURS: dtype, YOURS: dtype}, {YOURS: lambda kind: False})
    judge.add(Witnessed(records, exact, [movement_of(exact, record) for record in moved]))
    comparison = Comparison(
        loaded.name, (OURS, YOURS), dtype, "cpu", seed, updates, loaded.run.batch, reduced, judge.rows, judge.first,
        seconds=time.perf_counter() - start,
    )  # fmt: skip
    return ConformanceReport(comparison, framework)


def _updated(system: System, name: str, given: Sequence[Mapping[str, np.ndarray]], dtype: str) -> Record:
    """Returns: parameters, given first, and moments after each update by a gradient, given next, by the definition."""
    definition, (first, *gradients) = system.optimizers[name], given
    values = {path: a.astype(np.float64) for path, a in first.items()}
    moments = {
        p: {m: np.full(a.shape, kept.start) for m, kept in definition.moments().items()} for p, a in first.items()
    }
    quantities = []
    for t, each in enumerate(gradients):
        for path, gradient in each.items():
            values[path], moments[path] = KINDS[definition.kind](
                definition, values[path], gradient, moments[path], t + 1, definition.learning_rate
            )
            quantities += [
                Quantity("moment", f"moment {name}/{m}/{path}", Place(t), a.astype(dtype))
                for m, a in moments[path].items()
            ]
            quantities.append(Quantity("parameter", f"parameter {name}/{path}", Place(t), values[path].astype(dtype)))
    return record_of(quantities)


def _architecture(system: System, name: str) -> Architecture:
    try:
        return system.network(name)
    except SpecError as error:
        raise ConformanceError(str(error)) from None


def _bench(framework: str) -> ModuleType:
    if framework not in ("torch", "chainer"):
        raise ConformanceError(f"framework is {framework!r}, {expected_one_of(['torch', 'chainer'])}")
    if find_spec(framework) is None:
        raise ConformanceError(f"{framework} is not installed; install it with: pip install 'ganspec[{framework}]'")
    return import_module(f"ganspec.tools.conformance.{framework}_bench")


def _bound(system: System, function: Callable[..., Any], arguments: Mapping[str, str]) -> dict[str, Any]:
    """Returns: the formula that each parameter of a function is called with."""
    parameters = inspect.signature(function).parameters
    known = [*system.networks, *system.symbols, *system.loss.constants, *system.loss.carried]
    trees = {}
    for parameter in arguments:
        if parameter not in parameters:
            hint = did_you_mean(parameter, parameters)
            raise ConformanceError(
                f"arguments: the function has no parameter '{parameter}': {expected_one_of(parameters)}"
                + (f"; {hint}" if hint else "")
            )
    for parameter, described in parameters.items():
        if parameter not in arguments and parameter not in known and described.default is not inspect.Parameter.empty:
            continue
        text = arguments.get(parameter, parameter)
        try:
            trees[parameter] = parse(text)
        except FormulaError as error:
            raise ConformanceError(f"arguments: {parameter} = '{text}': {error.message}") from None
        unknown = [n for n in names_in(trees[parameter]) if n not in (*known, "detach")]
        if unknown:
            hint = did_you_mean(unknown[0], known)
            where = (
                f"arguments: {parameter} = '{text}'"
                if parameter in arguments
                else f"the function's parameter '{parameter}'"
            )
            message = f"{where} is nothing that {system.name} has: {expected_one_of(known)}"
            raise ConformanceError(f"{message}; {hint or 'say what it is: arguments={...}'}")
    return trees
