"""What a backend computes, kept: every number on the way, by kind and name.

`trace` runs a backend on random images; `compare` compares two traces.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganspec.spec.plan.graph import Node
from ganspec.spec.plan.plan import StepPlan
from ganspec.spec.system import System
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.state import StateError, TrainingState
from ganspec.spec.training.streams import Position, Streams
from ganspec.tools import backends
from ganspec.tools.sampling.latents import sample_latents

_ROLES = ("parameter", "statistic", "moment", "average")
# A difference in a parameter's gradient is divided by at least this share of the norm of its network's whole gradient. The
# gradient of the critic's last bias, 1 - 1, is rounding of terms of the others' size, as is that of a bias before a batch norm.
_SMALL = 1e-2


@dataclass
class Trace:
    """Every number that a backend computed, by kind and name.

    Args:
        values: arrays by kind, a key of `compare.BOUNDS`, and by name.
        scale: the smallest norm by which a difference in each value is divided; 0 for the value's own.
        states: the states from which the repeats of iteration 0 started.
    """

    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    scale: dict[tuple[str, str], float] = field(default_factory=dict)
    states: list[TrainingState] = field(default_factory=list)

    def add(self, kind: str, name: str, value: np.ndarray, scale: float = 0.0) -> None:
        """Keep an array, and the smallest norm by which a difference in it is divided."""
        self.values.setdefault(kind, {})[name] = value
        self.scale[kind, name] = float(scale)


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

    First comes one iteration in which every repeat starts from a given state, so that two backends compute it from the same
    parameters: all its values and gradients are kept. Then come `iterations` in a run of their own: the state after the first and
    the last of them is kept, and what was recorded.

    Args:
        backend: "torch" or "chainer".
        system: system to train.
        seed: seed of parameters, draws and images.
        dtype: "float32" or "float64".
        device: "cpu" or "cuda".
        iterations: number of iterations of the run, from 1.
        states: states before each repeat of the first iteration; None to use the backend's own, which the trace then holds.

    Returns: the trace; its arrays have the backend's dtype.

    Raises:
        UserError: the framework or the device is not there.
    """
    start = {"dtype": dtype, "device": device}
    kept = Trace(states=states or [])
    _trace_moments(kept, backend, backends.make_trainer(backend, system, seed, **start), random_feed(system, seed))
    trainer = backends.make_trainer(backend, system, seed, **start)
    _trace_run(kept, backend, trainer, random_feed(system, seed), iterations)
    if "G" in system.networks:
        samples = trainer.generate(*sample_latents(system, seed))
        kept.add("sample, all iterations", "G", samples, np.ptp(system.data.range) / 2 * math.sqrt(samples.size))
    return kept


def random_feed(system: System, seed: int) -> Any:
    """Make random images, uniform in the system's range, from a stream of their own.

    Args:
        system: system whose batch size, image shape, range and labels apply.
        seed: seed of the images.

    Returns: a function whose every call gives the next batch: "x", float64 (batch, channels, height, width), and "y", int64
        (batch,), where the system has labels.
    """
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
        # A state that is not finite, or too large for float32, cannot be loaded: training diverged, and this backend goes on
        # with its own.
        if (state := next(given, None)) is not None:
            with suppress(StateError):
                trainer.load(state)
        else:
            kept.states.append(trainer.state())
        result = trainer.compute(step, repeat, feed)
        plan = result.plan
        place = f"step {step + 1} ({plan.step.name}), repeat {repeat + 1}"
        for kind, name, value in _computed(plan, result.values):
            kept.add(kind, f"{place}: {name}", to_numpy(value))
        scalars = [abs(float(to_numpy(v))) for n, v in zip(plan.nodes, result.values, strict=True) if n.shape == ()]
        for name, i in [*plan.losses.items(), *plan.reports.items()]:
            # A difference of two means has no more digits than they have.
            kind = "loss" if name in plan.losses else "report"
            kept.add(kind, f"{place}: {name}", to_numpy(result.values[i]), _SMALL * max(scalars))
        for network, gradients in trainer.gradients_by_path(result).items():
            arrays = {path: to_numpy(gradient) for path, gradient in gradients.items()}
            whole = norm(np.concatenate([a.ravel() for a in arrays.values()]))
            for path, array in arrays.items():
                kept.add("parameter gradient", f"{place}: {network}/{path}", array, _SMALL * whole)
        trainer.update(result)


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
    _add_state(kept, trainer.system, trainer.state(), dict.fromkeys((*_ROLES, "carried"), "state, all iterations"))


def _computed(plan: StepPlan, values: list[Any]) -> Iterable[tuple[str, str, Any]]:
    """Yields: kind, name and value of what a step computed."""
    for i, node in enumerate(plan.nodes):
        name = f"%{i} {_call(node)}"
        if node.op == "network" and node.shape is not None:
            yield "output", name, values[i]
        elif node.op == "network":
            yield from (("output", f"{name}.{key}", value) for key, value in values[i].items())
        elif node.op == "grad":
            yield "input gradient", name, values[i]


def _call(node: Node) -> str:
    """Returns: a node as its plan prints it: "G(%0)"."""
    name = node.value if node.op == "network" else node.op
    return f"{name}({', '.join(f'%{i}' for i in node.inputs)})"


def _add_state(kept: Trace, system: System, state: TrainingState, kinds: Mapping[str, str]) -> None:
    for name, array in state.arrays.items():
        role, _, path = name.partition("/")
        kind = kinds.get(role.removesuffix("s"))
        if kind:
            kept.add(kind, f"{role} {path}", array, _scale(system, state, role, path))


def _scale(system: System, state: TrainingState, role: str, path: str) -> float:
    """Returns: the smallest norm by which a difference in this array is divided.

    A moment is measured like the gradient that it comes from, a mean like the deviation of what it is a mean of. A parameter is
    measured against one step of its optimiser, and against what that makes of a gradient that is nothing but rounding: Adam
    divides it by itself. (The true gradient of a bias that feeds a batch norm is 0, also through a leaky ReLU whose inputs
    all have one sign.)
    """
    if role == "moments":
        network, name, _ = path.split("/", 2)
        return norm(_whole_moment(state, network, name)) * _SMALL ** system.optimizers[network].moments()[name].degree
    if role == "averages":
        inner = "parameters" if f"parameters/{path}" in state.arrays else "statistics"
        return _scale(system, state, inner, path)
    if role == "parameters":
        network, path = path.split("/", 1)
        optimizer, rate, updates = system.optimizers[network], state.learning_rates[network], state.updates[network]
        whole = {name: _whole_moment(state, network, name) for name in optimizer.moments()}
        rounding = _SMALL * norm(optimizer.gradient_size(whole, updates))
        own = {name: state.arrays[f"moments/{network}/{name}/{path}"].astype(np.float64) for name in whole}
        return norm(np.maximum(rate, optimizer.step_along(rounding, own, max(1, updates), rate)))
    if role == "statistics" and path.endswith("/mean"):
        return norm(np.sqrt(state.arrays[f"statistics/{path.removesuffix('mean')}variance"].astype(np.float64)))
    return 0.0


def _whole_moment(state: TrainingState, network: str, moment: str) -> np.ndarray:
    """Returns: a moment of all of a network's parameters, as one float64 vector."""
    arrays = state.of(f"moments/{network}/{moment}").values()
    return np.concatenate([a.ravel() for a in arrays]).astype(np.float64)


def norm(a: np.ndarray) -> float:
    """Returns: the Euclidean norm of all values of an array, computed in float64."""
    return float(np.linalg.norm(a.astype(np.float64).ravel()))
