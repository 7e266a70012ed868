"""The packaged digit classifier: as good as its file says, the same in every backend, blind to nothing it is given."""

from __future__ import annotations

import numpy as np
import pytest

from ganspec.tools.data import Dataset, embedded_digits, load
from ganspec.tools.data.fitting import fitted
from ganspec.tools.quality.digits import WEIGHTS, DigitClassifier, architecture, as_digits


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(embedded_digits(), shape=(1, 28, 28), fit="exact")


def test_classifier_recognises_as_many_test_digits_as_its_file_says(digits: Dataset, both_backends: None) -> None:
    classifier = DigitClassifier("torch")
    _, logits = classifier(as_digits(digits.images))
    right = int((logits.argmax(axis=1) == digits.labels).sum())
    assert classifier.about["tested_on"] == digits.fingerprint
    assert right == pytest.approx(
        classifier.about["correct"], abs=2
    )  # of another machine, whose sums round differently
    assert right >= 9_850
    assert classifier.about["trained_on"] != digits.fingerprint


def test_classifier_is_small() -> None:
    assert WEIGHTS.stat().st_size < 150_000
    assert architecture().output_shape("features") == (64,)
    assert architecture().output_shape("logits") == (10,)


@pytest.mark.parametrize("backend", ["torch", "chainer"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_backends_see_what_the_reference_sees(digits: Dataset, backend: str, dtype: str, tolerance: float) -> None:
    images = as_digits(digits.images[:20])
    seen = DigitClassifier(backend, dtype=dtype)(images)
    for found, wanted in zip(seen, DigitClassifier("reference", dtype="float64")(images), strict=True):
        assert found.dtype == np.dtype(dtype)
        assert np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


def test_another_packages_backend_is_left_to_the_reference(digits: Dataset) -> None:
    classifier = DigitClassifier("jax")
    assert classifier.backend == "reference"
    _, logits = classifier(as_digits(digits.images[:10]))
    assert (logits.argmax(axis=1) == digits.labels[:10]).all()


def test_padded_and_coloured_digits_are_the_same_digits(digits: Dataset) -> None:
    plain = as_digits(digits.images[:50])
    padded = load(embedded_digits(), shape=(3, 32, 32), fit="pad").images[:50]
    assert (as_digits(padded) == plain).all()
    assert plain.min() == 0
    assert plain.max() == 1


def test_enlarged_digits_are_recognised(digits: Dataset) -> None:
    pytest.importorskip("PIL")
    large = fitted(digits.images[:50], (1, 64, 64), "resize")
    _, logits = DigitClassifier("reference")(as_digits(large))
    assert (logits.argmax(axis=1) == digits.labels[:50]).mean() > 0.95
