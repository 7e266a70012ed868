"""What the oracle says of one iteration of a system, and whether a backend says the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ganspec.spec.reference.formulas import Evaluator, unit_direction
from ganspec.spec.system import System
from ganspec.spec.training.draws import StreamDraws
from ganspec.spec.training.state import TrainingState, initial_state
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.states import shaken_state

SEED = 5


@dataclass(frozen=True)
class Witnessed:
    """What the oracle says of the first repeat of a step.

    Args:
        state: the state from which the step starts.
        batch: images and labels.
        losses: loss of each network that the step updates.
        slopes: derivative of each loss along a direction in the parameters of its own network.
        directions: these directions, by network and name of parameter.
        reports: reports and carried numbers.
        statistics: running statistics of each network after the step, by path.
    """

    state: TrainingState
    batch: dict[str, np.ndarray]
    losses: dict[str, float]
    slopes: dict[str, float]
    directions: dict[str, dict[str, np.ndarray]]
    reports: dict[str, float]
    statistics: dict[str, dict[str, np.ndarray]]


def witness(system: System, iteration: int = 0) -> list[Witnessed]:
    """Returns: what the oracle says of each step of an iteration.

    Each step starts from a state of its own, so that no number comes from a backend.
    """
    feed, found, oracles = random_feed(system, SEED), [], []
    batch = feed()
    for number, step in enumerate(system.schedule.steps):
        state = shaken_state(replace(initial_state(system, SEED), iteration=iteration), number)
        for network in set(step.reuse) & set(step.update):  # the gradient is that of the earlier step's evaluation
            own = {f"parameters/{network}/{path}": a for path, a in found[-1].state.of(f"parameters/{network}").items()}
            state = replace(state, arrays=state.arrays | own)
        if number and system.schedule.data != "iteration":
            batch = feed()
        oracle = Evaluator(system, state, StreamDraws(system, SEED), Position(iteration, number, 0), batch, oracles)
        oracles.append(oracle)
        loss = system.loss
        directions = {network: unit_direction(state, network, number) for network in step.update}
        # The oracle numbers evaluations as it meets them, so all losses come first.
        losses = {n: float(oracle.value(loss.losses[n].tree).f[0]) for n in step.update}
        slopes = {n: float(oracle.along(d).value(loss.losses[n].tree).b[0]) for n, d in directions.items()}
        reports = {n: r.value for n, r in loss.reports.items() if not set(r.networks).isdisjoint(step.update)}
        formulas = reports | {n: s.next for n, s in loss.carried.items() if s.network in step.update}
        values = {n: float(oracle.value(formula.tree).f[0]) for n, formula in formulas.items()}
        found.append(Witnessed(state, batch, losses, slopes, directions, values, oracle.statistics))
    return found


def assert_backend_matches(backend: str, system: System, witnessed: list[Witnessed]) -> None:
    """Assert that a backend computes the losses, reports, statistics and directional derivatives that the oracle says."""
    trainer = backends.make_trainer(backend, system, SEED, dtype="float64")
    to_numpy = backends.load(backend).to_numpy
    checked = 0
    for number, expected in enumerate(witnessed):
        trainer.load(expected.state)
        result = trainer.compute(number, 0, lambda batch=expected.batch: batch)
        values = {n: float(to_numpy(result.values[i])) for n, i in result.plan.losses.items()}
        assert values == {n: pytest.approx(loss, rel=1e-12, abs=1e-13) for n, loss in expected.losses.items()}
        for network, gradients in result.gradients.items():
            direction = expected.directions[network]
            parts = [(to_numpy(g) * direction[f"parameters/{network}/{p}"]).sum() for p, g in gradients.items()]
            assert sum(parts) == pytest.approx(expected.slopes[network], rel=1e-10, abs=1e-13)
            checked += 1
        reports = {
            n: float(to_numpy(result.values[i])) for n, i in result.plan.reports.items() if n in expected.reports
        }
        assert reports == {n: pytest.approx(value, rel=1e-12, abs=1e-13) for n, value in expected.reports.items()}
        after = trainer.state()
        for network, statistics in expected.statistics.items():
            for path, value in statistics.items():
                found = after.arrays[f"statistics/{network}/{path}"]
                np.testing.assert_allclose(found, value, rtol=1e-11, atol=1e-13, err_msg=f"{network}/{path}")
    assert checked == sum(len(step.update) for step in system.schedule.steps)
