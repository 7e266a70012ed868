"""Agreement of two backends: what is compared, how, and within which bounds.

A backend leaves a `Trace`: every number it computed on the way, by kind and name. Two float64 traces are compared normwise
and must agree within `BOUNDS`; a float32 trace is judged by its distance from float64, which may be `FLOAT32_FACTOR` times that
of PyTorch's own float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spec.distributions import Distribution
from spec.graph import Node
from spec.plan import StepPlan
from spec.state import TrainingState
from spec.streams import Position, Streams
from spec.system import System
from tools import backends, pictures

# Relative to the quantity's own norm, in float64 (unit roundoff 1.1e-16).
BOUNDS: Mapping[str, float] = {
    "output": 1e-13,  # a few hundred roundings in each sum of products
    "loss": 1e-13,  # a mean of outputs
    "input gradient": 1e-13,  # inside a penalty: one backward pass
    "report": 1e-13,  # k and the recorded numbers: sums of losses
    "parameter gradient": 1e-12,  # sums over the batch of terms that cancel; through a penalty, two backward passes
    "statistic, 1 iteration": 1e-12,  # a mean over the batch
    "parameter, 1 iteration": 1e-12,  # Adam divides a gradient by its own size, which keeps its relative error
    "moment, 1 iteration": 1e-12,  # gradients and their squares
    "average, 1 iteration": 1e-12,  # of parameters and statistics
    "report, all iterations": 1e-11,  # training multiplies differences from step to step
    "state, all iterations": 1e-11,  # parameters, statistics and moments after the last iteration, likewise
    "sample, all iterations": 1e-11,  # G in inference, after the last iteration; against the range of images
}
_ROLES = ("parameter", "statistic", "moment", "average")
FLOAT32_FACTOR = 10.0  # sums in another order err differently: up to a few times, hardly ever ten
FLOAT32_FLOOR = 6e-8  # half a unit in the last place of float32: no error is expected to be below it
_SMALL = 1e-2  # of a network's whole gradient: what a parameter's gradient is measured against if it is smaller than
# that. The gradient of the critic's last bias, 1 - 1, is rounding of terms of the others' size, as is that before a batch norm.


@dataclass
class Trace:
    """Every number a backend computed, by kind and name.

    Args:
        scale: what a value is at least measured against; 0 for itself.
        states: that the repeats of the first iteration started from.
    """

    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    scale: dict[tuple[str, str], float] = field(default_factory=dict)
    states: list[TrainingState] = field(default_factory=list)

    def add(self, kind: str, name: str, value: np.ndarray, scale: float = 0.0) -> None:
        self.values.setdefault(kind, {})[name] = value
        self.scale[kind, name] = float(scale)


@dataclass(frozen=True)
class Finding:
    """The worst place of one kind.

    Args:
        kind: of quantity.
        compared: how many quantities were.
        worst: the largest relative difference; infinite where shapes or dtypes differ or a value is not finite.
        where: the name of that quantity.
        bound: what it may be.
    """

    kind: str
    compared: int
    worst: float
    where: str
    bound: float

    @property
    def agrees(self) -> bool:
        return self.worst <= self.bound  # False for NaN


def trace(
    backend: str,
    system: System,
    *,
    seed: int,
    dtype: str,
    device: str,
    iterations: int,
    states: list[TrainingState] | None = None,
) -> Trace:
    """Train on random images and keep the numbers.

    First one iteration whose every repeat starts from a given state, so that two backends compute it from the same parameters:
    all its values and gradients are kept. Then `iterations` in a run of its own: the state after the first and the last of
    them, and what was recorded.

    Args:
        states: before each repeat of the first iteration; None to use one's own, which the trace then holds.

    Raises:
        UserError: the framework or the device is not there.
    """
    start = {"dtype": dtype, "device": device}
    kept = Trace(states=states or [])
    _trace_moments(kept, backend, backends.make_trainer(backend, system, seed, **start), random_feed(system, seed))
    trainer = backends.make_trainer(backend, system, seed, **start)
    _trace_run(kept, backend, trainer, random_feed(system, seed), iterations)
    if "G" in system.networks:
        samples = trainer.generate(*pictures.latents(system, seed))
        kept.add("sample, all iterations", "G", samples, np.ptp(system.data.range) / 2 * math.sqrt(samples.size))
    return kept


def compare(ours: Trace, theirs: Trace) -> list[Finding]:
    """Returns: the worst place of each kind between two float64 traces, with its bound."""
    return [_worst(kind, _differences(kind, ours, theirs), BOUNDS[kind]) for kind in BOUNDS if _has(kind, ours, theirs)]


def compare_float32(judge: Trace, reference: Trace, judged: Trace) -> list[Finding]:
    """Judge a float32 trace by its distance from a float64 one.

    Args:
        judge: PyTorch's float64.
        reference: PyTorch's float32, whose own distance sets the bound.
        judged: the float32 trace in question.
    """
    findings = []
    for kind in BOUNDS:
        if _has(kind, judge, judged):
            own = max((d for _, d in _differences(kind, _as_float64(judge), _as_float64(reference))), default=0.0)
            bound = FLOAT32_FACTOR * max(own, FLOAT32_FLOOR)
            findings.append(_worst(kind, _differences(kind, _as_float64(judge), _as_float64(judged)), bound))
    return findings


def relative_difference(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> float:
    """Returns: ||a - b|| / max(||a||, ||b||, scale); infinite where they cannot be compared, 0 where both are 0.

    Shapes and dtypes must be equal, and every value finite: NaN agrees with nothing.
    """
    if a.shape != b.shape or a.dtype != b.dtype or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    largest = max(_norm(a), _norm(b), scale)
    return _norm(a.astype(np.float64) - b.astype(np.float64)) / largest if largest else 0.0


def random_feed(system: System, seed: int) -> Any:
    """Returns: a feed of images uniform in the system's range, from a stream of their own."""
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


def _trace_moments(kept: Trace, backend: str, trainer: Any, feed: Any) -> None:
    to_numpy = backends.load(backend).to_numpy
    given = iter(list(kept.states))
    for step, repeat in trainer.repeats():
        if (state := next(given, None)) is not None:
            trainer.load(state)
        else:
            kept.states.append(trainer.state())
        moment = trainer.compute(step, repeat, feed)
        plan = moment.plan
        place = f"step {step + 1} ({plan.step.name}), repeat {repeat + 1}"
        for kind, name, value in _computed(plan, moment.values):
            kept.add(kind, f"{place}: {name}", to_numpy(value))
        scalars = [abs(float(to_numpy(v))) for n, v in zip(plan.nodes, moment.values, strict=True) if n.shape == ()]
        for name, i in [*plan.losses.items(), *plan.reports.items()]:
            # A difference of two means has no more digits than they have.
            kind = "loss" if name in plan.losses else "report"
            kept.add(kind, f"{place}: {name}", to_numpy(moment.values[i]), _SMALL * max(scalars))
        for network, gradients in trainer.gradients_by_path(moment).items():
            arrays = {path: to_numpy(gradient) for path, gradient in gradients.items()}
            whole = _norm(np.concatenate([a.ravel() for a in arrays.values()]))
            for path, array in arrays.items():
                kept.add("parameter gradient", f"{place}: {network}/{path}", array, _SMALL * whole)
        trainer.update(moment)


def _trace_run(kept: Trace, backend: str, trainer: Any, feed: Any, iterations: int) -> None:
    to_numpy = backends.load(backend).to_numpy
    series: dict[str, list[np.ndarray]] = {}
    for iteration in range(iterations):
        for name, value in trainer.iterate(feed).items():
            series.setdefault(name, []).append(to_numpy(value))
        if iteration == 0:
            _add_state(kept, trainer.system, trainer.state(), {role: f"{role}, 1 iteration" for role in _ROLES})
    for name, values in series.items():
        # As one series: a loss that crosses zero has no relative precision of its own there.
        kept.add("report, all iterations", name, np.stack(values))
    _add_state(kept, trainer.system, trainer.state(), dict.fromkeys((*_ROLES, "state"), "state, all iterations"))


def _computed(plan: StepPlan, values: list[Any]) -> Iterable[tuple[str, str, Any]]:
    """Yields: kind, name and value of what a step computed."""
    for i, node in enumerate(plan.nodes):
        name = f"%{i} {_shown(node)}"
        if node.op == "network" and node.shape is not None:
            yield "output", name, values[i]
        elif node.op == "network":
            yield from (("output", f"{name}.{key}", value) for key, value in values[i].items())
        elif node.op == "grad":
            yield "input gradient", name, values[i]


def _shown(node: Node) -> str:
    name = node.value if node.op == "network" else node.op
    return f"{name}({', '.join(f'%{i}' for i in node.inputs)})"


def _add_state(kept: Trace, system: System, state: TrainingState, kinds: Mapping[str, str]) -> None:
    for name, array in state.arrays.items():
        role, _, path = name.partition("/")
        kind = kinds.get(role.removesuffix("s"))
        if kind:
            kept.add(kind, f"{role} {path}", array, _scale(system, state, role, path))


def _scale(system: System, state: TrainingState, role: str, path: str) -> float:
    """Returns: what an array is at least measured against.

    A moment is measured like the gradient that it comes from, a mean like the deviation of what it is a mean of. A parameter is
    measured against one step of its optimiser, and against what that makes of a gradient that is nothing but rounding: Adam
    divides it by itself. (The true gradient of a bias that feeds a batch norm is 0, also through a leaky ReLU whose inputs
    all have one sign.)
    """
    if role == "moments":
        network, moment, _ = path.split("/", 2)
        return _whole_moment(state, network, moment) * (_SMALL**2 if moment == "v" else _SMALL)
    if role == "averages":
        inner = "parameters" if f"parameters/{path}" in state.arrays else "statistics"
        return _scale(system, state, inner, path)
    if role == "parameters":
        network, path = path.split("/", 1)
        rate = state.learning_rates[network]
        v = state.arrays[f"moments/{network}/v/{path}"].astype(np.float64)
        rounding = _SMALL * _whole_gradient(system, state, network)
        noise = system.optimizers[network].step_along(rounding, v, max(1, state.updates[network]), rate)
        return _norm(np.maximum(rate, noise))
    if role == "statistics" and path.endswith("/mean"):
        return _norm(np.sqrt(state.arrays[f"statistics/{path.removesuffix('mean')}variance"].astype(np.float64)))
    return 0.0


def _whole_gradient(system: System, state: TrainingState, network: str) -> float:
    """Returns: about the norm of a network's gradient, from the moments."""
    optimizer = system.optimizers[network]
    if "m" in optimizer.moments():
        return _whole_moment(state, network, "m")
    left = optimizer.moments()["v"] * optimizer.decay ** state.updates[network]  # of what v started from
    return math.sqrt(sum(float(np.maximum(v - left, 0.0).sum()) for v in state.of(f"moments/{network}/v").values()))


def _whole_moment(state: TrainingState, network: str, moment: str) -> float:
    return _norm(np.concatenate([a.ravel() for a in state.of(f"moments/{network}/{moment}").values()]))


def _has(kind: str, *traces: Trace) -> bool:
    return any(kind in t.values for t in traces)


def _differences(kind: str, a: Trace, b: Trace) -> list[tuple[str, float]]:
    left, right = a.values.get(kind, {}), b.values.get(kind, {})
    found = []
    for name in dict.fromkeys([*left, *right]):
        if name in left and name in right:
            found.append((name, relative_difference(left[name], right[name], a.scale[kind, name])))
        else:
            found.append((name, float("inf")))
    return found


def _worst(kind: str, differences: list[tuple[str, float]], bound: float) -> Finding:
    where, worst = max(differences, key=lambda item: item[1])
    return Finding(kind, len(differences), worst, where, bound)


def _as_float64(given: Trace) -> Trace:
    return Trace({k: {n: a.astype(np.float64) for n, a in v.items()} for k, v in given.values.items()}, given.scale)


def _norm(a: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64).ravel()))
