"""Warnings follow from figures: they come once, late enough, and only where something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganspec.spec.training.state import initial_state
from ganspec.tools.quality.figures import Figure
from ganspec.tools.quality.warnings import (
    CERTAINTY,
    CHANCE,
    LEAST_DIVERSITY,
    LEAST_ENTROPY,
    MOST_CERTAIN,
    MOST_WRONG,
    PENALTY,
    WITH_PENALTY,
    warnings_of,
)
from support.loss_systems import LOSSES
from support.tiny_systems import write_system

LOOK = {"look": True}


def looks(metric: str, values: list[float], every: int = 500) -> list[Figure]:
    return [Figure(every * i, metric, value, LOOK) for i, value in enumerate(values, 1)]


def told(figures: list[Figure]) -> list[int]:
    return [warning.iteration for warning in warnings_of(figures)]


def test_lost_diversity_is_told_once_after_1000_iterations() -> None:
    figures = looks("diversity", [0.9] * 3 + [0.3] * 5)
    assert told(figures) == [3000]
    (warning,) = warnings_of(figures)
    assert warning.message.startswith("since iteration 2,000 all samples are alike")
    assert "wgan_gp" in warning.message


def test_what_recovers_and_falls_again_is_told_again() -> None:
    assert told(looks("diversity", [0.9] * 3 + [0.3] * 4 + [0.8] + [0.1] * 4)) == [3000, 5500]


def test_a_generator_that_begins_is_not_told_of_early() -> None:
    assert told(looks("diversity", [0.1] * 6 + [0.5] * 3)) == []
    assert told(looks("diversity", [0.1] * 7)) == [3500]
    assert told(looks("class_entropy", [0.1] * 20)) == []
    assert told(looks("class_entropy", [0.1] * 21)) == [10_500]


def test_a_short_dip_or_too_few_looks_are_not_told() -> None:
    assert told(looks("diversity", [0.9] * 3 + [0.3] * 2 + [0.9])) == []
    assert told(looks("diversity", [0.9] * 3 + [0.3] * 2, every=5_000)) == []


@pytest.mark.parametrize(
    ("metric", "bound", "text"),
    [
        ("diversity", LEAST_DIVERSITY, "all samples are alike"),
        ("class_entropy", LEAST_ENTROPY, "nearly all the same digit"),
        (CERTAINTY, MOST_CERTAIN, "D has won"),
    ],
)
def test_each_figure_has_its_bound(metric: str, bound: float, text: str) -> None:
    assert told(looks(metric, [1.0] * 3 + [bound] * 9)) == []
    (warning,) = warnings_of(looks(metric, [1.0] * 3 + [bound * 0.99] * 9))
    assert text in warning.message


def test_a_d_that_is_far_worse_than_chance_for_long_is_told_of() -> None:
    # As measured: a D that explodes; one that is hot, and recovers; one that learns.
    exploded = [2.3, 309.0, 55.0, 136.0, 101.0, 60.0]
    (warning,) = warnings_of(looks(CERTAINTY, exploded, every=250))
    assert warning.iteration == 1_500
    assert "since iteration 500 D is worse than by chance: its loss is 60 times" in warning.message
    hot = [0.6, 0.6, 0.3, 0.6, 2.7, 7.6, 3.1, 4.0, 4.0, 2.1, 2.5, 2.5, 2.7, 2.9, 2.1, 1.3, 0.8]
    assert told(looks(CERTAINTY, hot, every=100)) == []
    assert told(looks(CERTAINTY, [MOST_WRONG] * 20)) == []


def test_a_penalty_is_no_matter_of_chance() -> None:
    figures = looks(CERTAINTY, [8.0] * 20)
    assert told(figures) == [1_500]
    assert told([Figure(f.iteration, f.metric, f.value, LOOK | {PENALTY: True}) for f in figures]) == []
    assert {name for name in CHANCE if "dragan" in name} == set(WITH_PENALTY)


def test_figures_that_no_look_recorded_are_passed_over() -> None:
    figures = [Figure(f.iteration, f.metric, f.value, {}) for f in looks("diversity", [0.1] * 20)]
    assert told(figures) == []


@pytest.mark.parametrize("name", [name for name in CHANCE if "dragan" not in name])
def test_chance_is_the_least_loss_of_a_d_that_says_the_same_of_everything(name: str, tmp_path: Path) -> None:
    formula, networks, options = LOSSES[name]
    state = initial_state(write_system(tmp_path, name, networks, **options), 0)
    p = state.of("parameters")
    d = {"x": np.zeros((4, 1, 2, 2)), "z": np.zeros((4, 2)), "y": np.zeros(4, int), "noise": np.zeros((4, 3))}
    d["statistics"] = state.of("statistics/R/bn")
    for path in p:
        if path.startswith("D/"):
            p[path] = np.zeros_like(p[path])
    last = np.zeros_like(p["D/l2/b"])
    costs = [formula({**p, "D/l2/b": last + np.eye(len(last))[0] * c}, p, d)["D"] for c in np.linspace(-3, 3, 601)]
    assert min(costs) == pytest.approx(CHANCE[name], abs=1e-9)


def test_a_penalty_only_adds_to_what_d_has_lost() -> None:
    assert CHANCE["dragan"] == CHANCE["dragan_official"] == CHANCE["non_saturating"]
    assert not any(word in name for name in CHANCE for word in ("wgan", "began", "cramer"))
