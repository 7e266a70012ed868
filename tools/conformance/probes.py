"""Systems that are made for checking one part: a network, or a loss, with all else left out.

A network is checked as the only one of a system with the loss mean(N(a) * w), where a and w are noise: then whatever a check of a
whole step sees, it sees of the network. A loss is checked as the only step of its system, on the spec's own networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.loss import Draw, Formula, Loss, Report
from ganspec.spec.parts.optimizers import Adam, Optimizer
from ganspec.spec.parts.schedule import Schedule, Step
from ganspec.spec.plan.builder import Symbol
from ganspec.spec.plan.plan import make_plan
from ganspec.spec.system import Stage, System
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.formula import parse
from ganspec.tools.conformance.errors import ConformanceError

BATCH = 5
CARRIED = 0.375  # value of a carried number, such as BEGAN's k, which would hide a term if it were 0
_NORMAL = Distribution("normal", 0.0, 1.0)
_RATE = 1e-3


def input_name(name: str) -> str:
    """Returns: the symbol that a network's input is drawn as."""
    return f"input_{name}"


def weight_name(output: str) -> str:
    """Returns: the symbol by which an output is multiplied."""
    return f"weight_{output}"


def paired_outputs(outputs: Any, weights: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Pair what somebody's network gives, an array, several, or a dictionary of them, with the weights of the spec's outputs.

    Args:
        outputs: what the network gives.
        weights: array by which each output is multiplied, by the output's name.

    Returns: each output with its weights, which are as many numbers.

    Raises:
        ConformanceError: the outputs are others than the spec's.
    """
    if isinstance(outputs, dict):
        found = {name: outputs[name] for name in weights if name in outputs}
    else:
        given = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        found = dict(zip(weights, given, strict=False)) if len(given) == len(weights) else {}
        outputs = given
    if len(found) != len(weights):
        what = f"outputs {', '.join(map(str, outputs))}" if isinstance(outputs, dict) else f"{len(outputs)} outputs"
        raise ConformanceError(f"the network gives {what}, the spec's {len(weights)}: {', '.join(weights)}")
    for name, weight in weights.items():
        if math.prod(np.shape(found[name])) != math.prod(weight.shape):
            shapes = f"{list(np.shape(found[name]))}, the spec's {list(weight.shape)}"
            raise ConformanceError(f"the network's output {name} has the shape {shapes}")
    return [(found[name], weight) for name, weight in weights.items()]


def network_system(system: System, name: str, architecture: Architecture, batch: int = BATCH) -> System:
    """Make a system whose only network is the one to check.

    Args:
        system: system to take everything else from.
        name: name of the network.
        architecture: the network.
        batch: number of samples.

    Returns: a system with the loss "loss_NAME" of noise, a gradient by each input, and the loss in inference mode as a report.
    """
    inputs = {input_name(i): each for i, each in architecture.inputs.items()}
    symbols = {s: Symbol(each.shape, each.dtype) for s, each in inputs.items()}
    draws = {
        s: Draw(Distribution("uniform", 0.0, float(each.shape[0])) if each.dtype == "label" else _NORMAL, each.shape)
        for s, each in inputs.items()
    }
    for output in architecture.outputs:
        shape = architecture.output_shape(output)
        symbols[weight_name(output)] = Symbol(shape, "float")
        draws[weight_name(output)] = Draw(_NORMAL, shape)
    call = f"{name}({', '.join(inputs)})"
    single = len(architecture.outputs) == 1

    def total(evaluated: str) -> str:
        return " + ".join(f"mean({_output(evaluated, o, single)} * {weight_name(o)})" for o in architecture.outputs)

    losses = {name: _formula(total(call), f"losses.{name}")}
    reports = {"inference": Report(_formula(total(f"inference({call})"), "report.inference"), (name,))}
    first = next(iter(architecture.outputs))
    for s, each in inputs.items():
        if each.dtype == "float":
            weighted = f"{_output(call, first, single)} * {weight_name(first)}"
            reports[f"by_{s}"] = Report(_formula(f"mean(grad({weighted}, {s}))", f"report.by_{s}"), (name,))
    loss = replace(
        system.loss, constants={}, draws={}, outputs={}, definitions={}, losses=losses, carried={}, reports=reports
    )  # fmt: skip
    return _made(system, loss, {name: architecture}, symbols, draws, (name,), batch)


def loss_system(system: System, name: str, formula: str) -> System:
    """Make a system whose only step minimises one formula.

    Args:
        system: the system.
        name: network whose loss it is, or by whose parameters the formula is differentiated.
        formula: name of a definition, or a formula; "" for the network's loss.

    Returns: a system with the same networks and draws and one step.
    """
    loss = system.loss
    own = _formula(formula, f"losses.{name}") if formula else loss.losses[name]
    carried = {
        key: replace(c, start=CARRIED, next=_formula(key, f"carried.{key}"), network=name) for key, c in loss.carried.items()
    }  # fmt: skip
    loss = replace(loss, losses={name: own}, reports={}, carried=carried)
    stage = system.stages[-1]
    optimizers = {name: system.optimizers[name]}
    return _made(system, loss, dict(stage.networks), dict(stage.symbols), dict(system.draws), (name,), None, optimizers)


def _output(call: str, output: str, single: bool) -> str:
    return call if single else f"{call}.{output}"


def _formula(text: str, key: str) -> Formula:
    return Formula(parse(text), text, "probe", key)


def _made(
    system: System,
    loss: Loss,
    networks: Mapping[str, Architecture],
    symbols: Mapping[str, Symbol],
    draws: Mapping[str, Draw],
    update: tuple[str, ...],
    batch: int | None,
    optimizers: Mapping[str, Optimizer] | None = None,
) -> System:
    schedule = Schedule(
        "probe", "one step", system.schedule.source, {}, "iteration", "iteration",
        (Step(update, 1, None, None, (), ()),), "probe",
    )  # fmt: skip
    problems, used = Problems(), set[str]()
    plan = make_plan(loss, schedule, networks, symbols, problems=problems, used=used)
    problems.stop_if_any()
    adam = Adam(_RATE, None, 0.9, 0.999, 1e-8, "corrected")
    return replace(
        system,
        loss=loss,
        schedule=schedule,
        draws={n: d for n, d in draws.items() if n in used},
        stages=(Stage(networks, {n: s for n, s in symbols.items() if n in used or n in ("x", "y")}, plan),),
        optimizers=dict(optimizers) if optimizers else dict.fromkeys(update, adam),
        averages={},
        decay=None,
        growth=None,
        run=system.run if batch is None else replace(system.run, batch=batch),
    )
