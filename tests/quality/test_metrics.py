"""Metrics against their definitions: closed forms, laws, and the same numbers computed pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ganspec.spec.parts.measuring import METRICS
from ganspec.tools.errors import UserError
from ganspec.tools.quality.diversity import class_figures, diversity, mean_distance
from ganspec.tools.quality.figures import LOWER_IS_BETTER
from ganspec.tools.quality.metrics import LEAST, Features, details, measure
from ganspec.tools.quality.neighbours import neighbour_figures


def normal(seed: int, count: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


def with_moments(seed: int, count: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Returns: points whose mean and covariance are exactly these."""
    x = normal(seed, count, len(mean))
    x -= x.mean(axis=0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def given_features(features: np.ndarray, logits: np.ndarray | None = None) -> Features:
    return Features(features, logits)


def one(metric: str, images: np.ndarray, samples: np.ndarray, seed: int = 0) -> float:
    if metric in ("fid", "kid", "is"):
        pytest.importorskip("torchmetrics")
    return measure([metric], given_features(images), given_features(samples), seed)[metric]


def test_every_metric_is_known_everywhere() -> None:
    assert set(METRICS) == set(LEAST) < set(LOWER_IS_BETTER)


def test_fid_is_the_distance_between_two_gaussians() -> None:
    mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    a = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]])
    b = np.array([[1.0, -0.4, 0.0], [-0.4, 3.0, 0.2], [0.0, 0.2, 0.7]])
    # trace (A B)^(1/2) is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    values, vectors = np.linalg.eigh(a)
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ b @ root)).sum()
    wanted = ((mean - other) ** 2).sum() + np.trace(a) + np.trace(b) - 2.0 * mixed
    found = one("fid", with_moments(0, 50, mean, a), with_moments(1, 80, other, b))
    assert found == pytest.approx(wanted, rel=1e-9)


def test_fid_of_independent_features_is_the_sum_over_them() -> None:
    a, b = np.array([4.0, 9.0]), np.array([1.0, 16.0])
    found = one("fid", with_moments(0, 30, np.zeros(2), np.diag(a)), with_moments(1, 30, np.ones(2), np.diag(b)))
    assert found == pytest.approx(2.0 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-9)


def test_fid_of_a_set_with_itself_is_0_and_it_is_symmetric() -> None:
    x, y = normal(0, 200, 8), 2.0 * normal(1, 150, 8)
    assert abs(one("fid", x, x)) < 1e-6
    assert one("fid", x, y) == pytest.approx(one("fid", y, x), rel=1e-9)


def test_fid_is_computed_in_float64_whatever_the_features_are() -> None:
    x, y = normal(0, 300, 4).astype(np.float32) + 1000, normal(1, 300, 4).astype(np.float32) + 1000
    assert one("fid", x, y) == pytest.approx(one("fid", x.astype(np.float64), y.astype(np.float64)), rel=1e-12)
    assert one("fid", x, y) == pytest.approx(one("fid", x - 1000, y - 1000), rel=1e-5)


def test_kid_is_the_unbiased_estimate_pair_by_pair() -> None:
    x, y = normal(0, 20, 3), normal(1, 20, 3) + 0.5

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = sum(k(a[i], a[j]) for a in (x, y) for i in range(20) for j in range(20) if i != j) / (20 * 19)
    across = sum(k(p, q) for p in x for q in y) / 400
    assert one("kid", x, y) == pytest.approx(within - 2 * across, rel=1e-9)


def test_kid_of_one_distribution_is_0_on_average_and_not_positive_alone() -> None:
    found = [one("kid", normal(2 * i, 40, 4), normal(2 * i + 1, 40, 4)) for i in range(40)]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(40)


def test_kid_depends_on_its_seed_alone() -> None:
    torch = pytest.importorskip("torch")
    x, y = normal(0, 30, 3), normal(1, 40, 3)
    torch.manual_seed(1)
    first = one("kid", x, y, seed=5)
    state = torch.get_rng_state()
    assert one("kid", x, y, seed=5) == first != one("kid", x, y, seed=6)
    assert (torch.get_rng_state() == state).all()


def test_is_goes_from_1_to_the_number_of_classes() -> None:
    pytest.importorskip("torchmetrics")
    images = given_features(normal(0, 20, 2))
    alike = np.tile(normal(1, 1, 5), (500, 1))
    certain = 100.0 * np.eye(5)[np.arange(500) % 5]
    values = [measure(["is"], images, given_features(alike, logits), 0)["is"] for logits in (alike, certain)]
    assert values[0] == pytest.approx(1.0, abs=1e-12)
    assert 4.7 < values[1] <= 5.0


def by_pairs(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Returns: precision, recall, density and coverage, straight from the definitions."""

    def radius(points: np.ndarray, i: int, k: int) -> float:
        return sorted(np.linalg.norm(points[i] - p) for j, p in enumerate(points) if j != i)[k - 1]

    def near(a: np.ndarray, b: np.ndarray, r: float) -> bool:
        return bool(np.linalg.norm(a - b) <= r)

    r3, r5 = ([radius(x, i, k) for i in range(len(x))] for k in (3, 5))
    s3 = [radius(y, j, 3) for j in range(len(y))]
    return {
        "precision": np.mean([any(near(b, a, r) for a, r in zip(x, r3, strict=True)) for b in y]),
        "recall": np.mean([any(near(a, b, s) for b, s in zip(y, s3, strict=True)) for a in x]),
        "density": sum(near(b, a, r) for b in y for a, r in zip(x, r5, strict=True)) / (5 * len(y)),
        "coverage": np.mean([any(near(a, b, r) for b in y) for a, r in zip(x, r5, strict=True)]),
    }


@settings(max_examples=15)
@given(some.integers(0, 10**6), some.integers(6, 25), some.integers(6, 25), some.integers(1, 4), some.floats(0, 3))
def test_neighbours_are_those_of_the_definitions(seed: int, n: int, m: int, size: int, shift: float) -> None:
    x, y = normal(seed, n, size), normal(seed + 1, m, size) + shift
    assert neighbour_figures(x, y) == pytest.approx(by_pairs(x, y), abs=1e-12)


def test_neighbours_of_more_rows_than_a_block_has() -> None:
    x = normal(0, 1100, 2)
    assert neighbour_figures(x, x[:600])["precision"] == 1.0
    assert neighbour_figures(x[:600], x)["recall"] == 1.0
    far = neighbour_figures(x, x + 100)
    assert far == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}


def test_collapsed_samples_are_precise_and_cover_nothing() -> None:
    x = normal(0, 500, 3)
    found = neighbour_figures(x, np.tile(x[:1], (500, 1)))
    assert found["precision"] == 1.0
    assert found["recall"] < 0.01
    assert found["coverage"] < 0.05


@pytest.mark.parametrize("metric", METRICS)
def test_too_few_samples_are_refused_by_number(metric: str) -> None:
    few, many = (given_features(normal(0, count, 2), normal(1, count, 3)) for count in (LEAST[metric] - 1, 20))
    with pytest.raises(UserError, match=f"{metric} needs at least {LEAST[metric]} samples, and there are"):
        measure([metric], many, few, 0)


def test_is_without_classes_is_refused() -> None:
    with pytest.raises(UserError, match="gives features only; leave it out"):
        measure(["is"], given_features(normal(0, 20, 2)), given_features(normal(0, 20, 2)), 0)


def test_details_say_what_metrics_add_to_the_protocol() -> None:
    whole = {"kid_subset": 500, "kid_subsets": 1, "is_parts": 10, "precision_neighbours": 3, "density_neighbours": 5}
    assert details(500, 500) == whole
    assert details(5000, 2000) == whole | {"kid_subset": 1000, "kid_subsets": 100}


@settings(max_examples=15)
@given(some.integers(0, 10**6), some.integers(2, 12))
def test_mean_distance_is_that_of_all_pairs(seed: int, count: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 2, 3, 4), dtype=np.uint8)
    pairs = [np.linalg.norm(pixels[i].astype(float) - pixels[j]) for i in range(count) for j in range(i)]
    assert mean_distance(pixels) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert diversity(pixels, mean_distance(pixels)) == pytest.approx(1.0)
    assert diversity(pixels[[0, 0, 0]], mean_distance(pixels)) == pytest.approx(0.0, abs=1e-9)


def test_images_that_are_all_equal_make_no_sample_too_alike() -> None:
    assert diversity(np.zeros((5, 1, 2, 2), np.uint8), 0.0) == 1.0


def test_entropy_of_classes_is_1_where_all_are_as_frequent_and_0_for_one() -> None:
    assert class_figures(np.eye(10)[np.arange(200) % 10]) == {"classes": 10.0, "class_entropy": pytest.approx(1.0)}
    assert class_figures(np.eye(10)[np.zeros(50, int)]) == {"classes": 1.0, "class_entropy": 0.0}
    two = class_figures(np.eye(10)[np.arange(50) % 2])
    assert two == {"classes": 2.0, "class_entropy": pytest.approx(math.log(2) / math.log(10))}
