"""Backends in lockstep with the reference: every repeat from the same state, and all that it computes compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from ganspec.spec.reference import Trainer as Reference
from ganspec.spec.reference.formulas import unit_direction
from ganspec.spec.system import System
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed

BOUND = 1e-12  # of values, computed from equal parameters: sums in another order, times what batch norm makes of them
SLOPE = 1e-10  # of a product of a whole gradient with a direction, of whose terms many cancel


def assert_lockstep(system: System, names: list[str], seed: int, iterations: int) -> None:
    """Assert that backends compute what the reference says, in each repeat of some iterations.

    Args:
        system: system to compute, in float64.
        names: names of the backends.
        seed: seed of parameters, draws and images.
        iterations: number of iterations.
    """
    reference = Reference(system, seed)
    trainers = {name: backends.make_trainer(name, system, seed, dtype="float64") for name in names}
    convert = {name: backends.load(name).to_numpy for name in names}
    feeds = {name: random_feed(system, seed) for name in (*names, "reference")}
    for iteration in range(iterations):
        running = {name: trainer.repeats() for name, trainer in trainers.items()}
        for place in reference.repeats():
            assert all(next(places) == place for places in running.values())
            where = f"iteration {iteration}, step {place[0]}, repeat {place[1]}"
            # What the reference computes, and the derivative of each loss along a direction.
            start = reference.state()
            expected = reference.compute(*place, feeds["reference"], keep_layers=True)
            moved = reference.state()
            directions = {network: unit_direction(start, network, place[0]) for network in expected.losses}
            slopes = {network: expected.slope(network, direction) for network, direction in directions.items()}
            for name, trainer in trainers.items():
                # Forwards: layers, formulas, statistics.
                trainer.load(start)
                result = trainer.compute(*place, feeds[name], keep_layers=True)
                assert_same_values(result, expected, convert[name], f"{name}, {where}")
                assert_same_state(trainer.state().arrays, moved.arrays, f"{name}, {where}")
                # Backwards: each gradient's product with the direction.
                gradients = {
                    network: {path: convert[name](g) for path, g in own.items()}
                    for network, own in result.gradients.items()
                }
                assert gradients.keys() == slopes.keys()
                for network, own in gradients.items():
                    product = sum((g * directions[network][f"parameters/{network}/{p}"]).sum() for p, g in own.items())
                    whole = np.sqrt(sum((g**2).sum() for g in own.values()))
                    close = pytest.approx(slopes[network], rel=SLOPE, abs=SLOPE * whole)
                    assert product == close, f"{name}, {where}: gradient of {network}"
                # The update that these gradients make.
                reference.load(moved)
                assert reference.update(expected, gradients).keys() == trainer.update(result).keys()
                after, wanted = trainer.state(), reference.state()
                assert (after.updates, after.learning_rates) == (wanted.updates, wanted.learning_rates)
                steps = {f"parameters/{network}": rate for network, rate in wanted.learning_rates.items()}
                assert_same_state(after.arrays, wanted.arrays, f"{name}, {where}, after the update", steps)
        assert all(next(places, None) is None for places in running.values())
        # The end of the iteration: averages and counts.
        for trainer in (*trainers.values(), reference):
            trainer.load(wanted)
            trainer.end_iteration()
        for name, trainer in trainers.items():
            assert trainer.iteration == reference.iteration == iteration + 1
            assert_same_state(trainer.state().arrays, reference.state().arrays, f"{name}, after iteration {iteration}")


def assert_same_values(result: Any, expected: Any, to_numpy: Any, where: str) -> None:
    """Every layer of every evaluation, and every node of the plan."""
    assert result.layers.keys() == expected.layers.keys()
    for i, layers in result.layers.items():
        assert layers.keys() == expected.layers[i].keys()
        for name, value in layers.items():
            assert_close(to_numpy(value), expected.layers[i][name], f"{where}, %{i}: layer {name}")
    largest = 0.0  # a difference of two means has no more digits than they have
    for i, node in enumerate(result.plan.nodes):
        for (name, value), (_, wanted) in zip(parts(result.values[i]), parts(expected.values[i]), strict=True):
            found = to_numpy(value)
            largest = max(largest, abs(float(found))) if found.ndim == 0 else largest
            scale = 1e-2 * largest if found.ndim == 0 else 0.0
            assert_close(found, np.asarray(wanted), f"{where}, %{i} {node.op} {name}", scale)


def assert_same_state(
    found: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    where: str,
    steps: Mapping[str, float] | None = None,
) -> None:
    """Every array of a state; `steps` are the smallest sizes of arrays by the first two parts of their names."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        size = (steps or {}).get("/".join(name.split("/")[:2]), 0.0)
        assert_close(found[name], array, f"{where}: {name}", size)


def assert_close(found: np.ndarray, expected: np.ndarray, what: str, size: float = 0.0) -> None:
    """Shape, dtype, and a difference of at most `BOUND` times the norm, which counts as at least `size`."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), what
    size, difference = max(float(np.linalg.norm(expected)), size), float(np.linalg.norm(found - expected))
    assert difference <= BOUND * size, f"{what}: differs by {difference / size if size else difference:.1e}"


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields: an array and its name, ""; of a network with several outputs each."""
    yield from value.items() if isinstance(value, dict) else (("", value),)
