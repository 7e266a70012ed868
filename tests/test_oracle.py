"""Both backends against the third witness, so that they cannot be wrong together."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.training.state import TrainingState, initial_state
from ganspec.spec.training.streams import Position
from ganspec.tools import backends
from ganspec.tools.agreement import random_feed
from support.oracle import Oracle, shaken_state, unit_direction

SEED = 5


@dataclass(frozen=True)
class Witnessed:
    """What the oracle says of the first repeat of a step that starts from `state`."""

    state: TrainingState
    batch: dict[str, np.ndarray]
    losses: dict[str, float]
    slopes: dict[str, float]  # of each loss along a direction of its own network
    directions: dict[str, dict[str, np.ndarray]]
    reports: dict[str, float]
    statistics: dict[str, dict[str, np.ndarray]]


@lru_cache(maxsize=4)  # both backends ask for the same, one after the other
def witnessed(name: str, iteration: int) -> list[Witnessed]:
    """Each step of an iteration, from states of their own, so that nothing comes from a backend."""
    system = load_system(name, reduced=True)
    feed, found, oracles = random_feed(system, SEED), [], []
    batch = feed()
    for number, step in enumerate(system.schedule.steps):
        state = shaken_state(replace(initial_state(system, SEED), iteration=iteration), number)
        for network in set(step.reuse) & set(step.update):  # the gradient is that of the earlier step's evaluation
            own = {f"parameters/{network}/{path}": a for path, a in found[-1].state.of(f"parameters/{network}").items()}
            state = replace(state, arrays=state.arrays | own)
        if number and system.schedule.data != "iteration":
            batch = feed()
        oracle = Oracle(system, state, SEED, Position(iteration, number, 0), batch, oracles)
        oracles.append(oracle)
        loss = system.loss
        directions = {network: unit_direction(state, network, number) for network in step.update}
        # All losses first, for the numbers of the evaluations.
        losses = {n: float(oracle.value(loss.losses[n].tree).f[0]) for n in step.update}
        slopes = {n: float(oracle.along(d).value(loss.losses[n].tree).b[0]) for n, d in directions.items()}
        reports = {n: r.value for n, r in loss.reports.items() if not set(r.networks).isdisjoint(step.update)}
        formulas = reports | {n: s.next for n, s in loss.carried.items() if s.network in step.update}
        values = {n: float(oracle.value(formula.tree).f[0]) for n, formula in formulas.items()}
        found.append(Witnessed(state, batch, losses, slopes, directions, values, oracle.statistics))
    return found


def iterations(name):
    """The first one; of a system that grows one in each stage, in the middle of it where that is mixed with the stage before."""
    system = load_system(name, reduced=True)
    chosen = {}
    for iteration in range(1000):
        stage, fade = system.at(iteration)
        if stage not in chosen or 0.2 < fade < 0.8:
            chosen[stage] = iteration
        if system.growth is None or (stage == system.growth.stages - 1):
            break
    return list(chosen.values())


CASES = [(name, iteration) for name in system_names() for iteration in iterations(name)]


@pytest.mark.parametrize(("name", "iteration"), CASES)
def test_losses_reports_states_statistics_and_directional_derivatives_match_the_oracle(name, iteration, backend):
    system = load_system(name, reduced=True)
    trainer = backends.make_trainer(backend, system, SEED, dtype="float64")
    to_numpy = backends.load(backend).to_numpy
    checked = 0
    for number, expected in enumerate(witnessed(name, iteration)):
        trainer.load(expected.state)
        result = trainer.compute(number, 0, lambda batch=expected.batch: batch)
        values = {n: float(to_numpy(result.values[i])) for n, i in result.plan.losses.items()}
        assert values == {n: pytest.approx(loss, rel=1e-12, abs=1e-13) for n, loss in expected.losses.items()}
        for network, gradients in trainer.gradients_by_path(result).items():
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


def test_every_stage_of_growth_is_tried_and_some_in_the_middle_of_a_mixture():
    system = load_system("progressive_cifar10", reduced=True)
    places = [system.at(iteration) for iteration in iterations("progressive_cifar10")]
    assert [stage for stage, _ in places] == list(range(7))
    assert all(0.2 < fade < 0.8 for stage, fade in places if stage % 2)
