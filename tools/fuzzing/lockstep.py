"""Compares PyTorch, Chainer and the reference on a drawn system, repeat by repeat, from equal states.

Drawn systems can be as badly conditioned as their constants, so no fixed bound fits all. What a quantity may differ by is what
rounding costs it: `_ROUNDINGS` times as much as it moves when the state is rounded once, and its own error in float32, scaled
to float64. Updates are compared for equal gradients: Adam divides a gradient that is nothing but rounding by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ganspec.spec.reference import Reference
from ganspec.spec.reference.formulas import unit_direction
from ganspec.spec.system import System
from ganspec.spec.training.state import StateError, TrainingState
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

_ROUNDINGS = 1000.0  # a step of a drawn system has about this many operations
_SCALE = 100.0 * 2.0**-29  # from a float32 error to a float64 one; sums in another order err differently
_FLOOR = 1e-13  # of a quantity's own norm: a few hundred roundings
_ONCE = 2.0**-52  # one rounding


@dataclass
class Compared:
    """What was found.

    Args:
        wrong: a line for each quantity that disagrees, in the order of evaluation; empty where all agree.
        count: number of quantities that were compared.
        diverged: whether training came to values that are not finite, where the comparison ends.
    """

    wrong: list[str] = field(default_factory=list)
    count: int = 0
    diverged: bool = False


def compare(system: System, seed: int, iterations: int) -> Compared:
    """Compare all witnesses on the first iterations of a system.

    Args:
        system: system; its networks should be tiny.
        seed: seed of parameters, draws and images.
        iterations: number of iterations.

    Returns: what was found; the comparison ends with the first repeat in which something is wrong.
    """
    found = Compared()
    with np.errstate(all="ignore"):
        for repeat in _repeats(system, seed, iterations, found):
            if found.wrong or found.diverged:
                break
            repeat.compare(found)
    return found


@dataclass
class _Repeat:
    """One repeat of one step, as every witness computed it: arrays by name."""

    place: str
    torch: dict[str, np.ndarray]
    others: dict[str, dict[str, np.ndarray]]
    rounded: dict[str, np.ndarray]
    single: dict[str, np.ndarray]

    def compare(self, found: Compared) -> None:
        for name, value in self.torch.items():
            for witness, values in self.others.items():
                if name in values:
                    found.count += 1
                    self._judge(found, name, witness, value, values[name])

    def _judge(self, found: Compared, name: str, witness: str, value: np.ndarray, other: np.ndarray) -> None:
        if value.shape != other.shape:
            found.wrong.append(f"{self.place}: {name}: torch has shape {value.shape}, {witness} {other.shape}")
        elif not np.isfinite(value).all() or not np.isfinite(other).all():
            found.diverged = True
            alike = np.array_equal(np.isfinite(value), np.isfinite(other))
            rounding = not np.isfinite(self.rounded[name]).all() or not np.isfinite(self.single[name]).all()
            if not alike and not rounding:
                found.wrong.append(f"{self.place}: {name}: torch has {value}, {witness} {other}")
        else:
            error, allowed = _norm(value - other), self._allowance(name, value)
            if not error <= allowed:
                head = f"{self.place}: {name}: torch and {witness} differ by {error:.1e}, allowed {allowed:.1e}"
                found.wrong.append(f"{head}: {value.ravel()[:6]} and {other.ravel()[:6]}")

    def _allowance(self, name: str, value: np.ndarray) -> float:
        moved, single = _norm(self.rounded[name] - value), _norm(self.single[name] - value)
        parts = [_FLOOR * _norm(value), _ROUNDINGS * moved, _SCALE * single, 1e-300]
        return max(part for part in parts if not math.isnan(part))


def _repeats(system: System, seed: int, iterations: int, found: Compared) -> Iterator[_Repeat]:
    torch, chainer, rounded = (
        backends.make_trainer(n, system, seed, dtype="float64") for n in ("torch", "chainer", "torch")
    )
    single = backends.make_trainer("torch", system, seed, dtype="float32")
    reference = Reference(system, seed)
    witnesses = (torch, chainer, rounded, single, reference)
    feeds = [random_feed(system, seed) for _ in witnesses]
    generator = np.random.default_rng(seed)
    for iteration in range(iterations):
        order = [witness.repeats() for witness in (chainer, rounded, single, reference)]
        for step, number in torch.repeats():
            place = f"iteration {iteration}, step {step}, repeat {number}"
            if any(next(each, None) != (step, number) for each in (order[0], order[3])):
                found.wrong.append(f"{place}: not every witness comes to it")
                return
            state = torch.state()
            try:
                for witness in (chainer, reference):
                    witness.load(state)
                rounded.load(_rounded(state, generator))
                single.load(state)
            except StateError:  # not finite, or too large for float32: training diverged
                found.diverged = True
                return
            results = [w.compute(step, number, feed) for w, feed in zip(witnesses, feeds, strict=True)]
            values = [
                _computed(n, w, r)
                for n, w, r in zip(("torch", "chainer", "torch", "torch"), witnesses, results, strict=False)
            ]
            theirs = _of_reference(results[0].plan, results[4])
            for network in results[0].gradients:
                direction = unit_direction(state, network, step)
                name = f"slope of loss_{network}"
                for each in values:
                    each[name] = _product(each, network, direction)
                theirs[name] = np.array(results[4].slope(network, direction))
            yield _Repeat(place, values[0], {"chainer": values[1], "reference": theirs}, *values[2:])
            # Everybody moves along PyTorch's gradients.
            gradients = _gradients(values[0])
            for name, witness, result in zip(("torch", "chainer", "torch", "torch"), witnesses, results, strict=False):
                witness.update(_with_gradients(name, witness, result, gradients))
            reference.update(results[4], gradients)
            after = [witness.state().arrays for witness in witnesses]
            yield _Repeat(
                f"{place}, after the update", after[0], {"chainer": after[1], "reference": after[4]}, *after[2:4]
            )
        for witness in witnesses[:4]:
            for network, decay in system.averages.items():
                witness.networks[network].average(decay)
            witness.iteration += 1
        reference.end_iteration()
        after = [witness.state().arrays for witness in witnesses]
        yield _Repeat(
            f"end of iteration {iteration}", after[0], {"chainer": after[1], "reference": after[4]}, *after[2:4]
        )


def _rounded(state: TrainingState, generator: np.random.Generator) -> TrainingState:
    arrays = {n: a * (1.0 + _ONCE * generator.choice([-1.0, 1.0], a.shape)) for n, a in state.arrays.items()}
    return replace(state, arrays=arrays)


def _computed(backend: str, trainer: Any, result: Any) -> dict[str, np.ndarray]:
    """Returns: every value of a step, and every gradient."""
    to_numpy = backends.load(backend).to_numpy
    found = {}
    names = {i: name for name, i in result.plan.reports.items()}
    for i, (node, value) in enumerate(zip(result.plan.nodes, result.values, strict=True)):
        if isinstance(value, dict):
            found |= {f"%{i} {node.op} {node.value}.{key}": to_numpy(v) for key, v in value.items()}
        elif node.op != "constant":
            found[names.get(i, f"%{i} {node.op}" + (f" {node.value}" if node.op == "network" else ""))] = to_numpy(
                value
            )
    for network, gradients in trainer.gradients_by_path(result).items():
        found |= {f"gradient of loss_{network}: {path}": to_numpy(g) for path, g in gradients.items()}
    return found


def _of_reference(plan: Any, result: Any) -> dict[str, np.ndarray]:
    found = {name: np.asarray(value) for name, value in result.reports.items()}
    for i, occurrence in plan.occurrences.items():
        node = plan.nodes[i]
        outputs = {key: value[0] for key, value in result.outputs[node.value][occurrence].items()}
        names = {key: f"%{i} network {node.value}" + ("" if node.shape is not None else f".{key}") for key in outputs}
        found |= {names[key]: value for key, value in outputs.items()}
    return found


def _gradients(values: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, value in values.items():
        if name.startswith("gradient of loss_"):
            network, _, path = name.removeprefix("gradient of loss_").partition(": ")
            found.setdefault(network, {})[path] = value
    return found


def _product(values: Mapping[str, np.ndarray], network: str, direction: Mapping[str, np.ndarray]) -> np.ndarray:
    own = _gradients(values)[network]
    return np.array(sum(float((g * direction[f"parameters/{network}/{path}"]).sum()) for path, g in own.items()))


def _with_gradients(backend: str, trainer: Any, result: Any, gradients: Mapping[str, Mapping[str, np.ndarray]]) -> Any:
    """Returns: a result with other gradients."""

    def array(gradient: np.ndarray) -> Any:
        made = trainer.context.array(gradient)
        return made if backend == "torch" else made.array

    vectors = {
        network: trainer.networks[network].as_vector([array(own[path]) for path in trainer.networks[network].shapes])
        for network, own in gradients.items()
    }
    return replace(result, gradients=vectors)


def _norm(a: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(a, np.float64).ravel()))
