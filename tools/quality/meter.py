"""Measuring a run's samples: metrics by an extractor, the diversity column, each figure with its protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ganspec import __version__
from ganspec.spec.system import System
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError
from ganspec.tools.quality.digits import CLASSES, DigitClassifier, as_digits
from ganspec.tools.quality.diversity import class_figures, diversity, mean_distance
from ganspec.tools.quality.extractors import Extractor
from ganspec.tools.quality.figures import Figure, Scalar
from ganspec.tools.quality.metrics import Features, details, library_versions, measure
from ganspec.tools.quality.samples import chosen_images, image_pixels, sample_inputs, sample_pixels

DIVERSE = 500  # samples, and images, whose diversity is measured: its error is about one in a hundred
_LOOKED_AT = 500  # images from which is judged whether they are digits
_ARE_DIGITS = 0.9  # of the labels that the classifier must give


class Meter:
    """Measures G of one system, again and again, by one protocol.

    Args:
        system: system of the run.
        data: images to compare with.
        extractor: extractor of features.
        metrics: names of metrics.
        count: number of samples, and of images where there are so many.
        seed: seed of samples, images and subsets.
        weights: "averaged" or "trained", which weights of G the trainer samples from; None for the average where one is kept.

    Raises:
        UserError: the extractor cannot look at such images.
    """

    def __init__(
        self,
        system: System,
        data: Dataset,
        extractor: Extractor,
        metrics: Iterable[str],
        count: int,
        seed: int,
        weights: str | None = None,
    ) -> None:
        self.system, self.extractor, self.metrics, self.seed = system, extractor, tuple(metrics), seed
        places = chosen_images(data, count, seed)
        self.inputs = sample_inputs(
            system, count, seed, None if data.labels is None else np.asarray(data.labels[places])
        )
        self.images, pixels = _features(extractor, image_pixels(data, places))
        self.distance = mean_distance(pixels)
        self.protocol: dict[str, Scalar] = {
            **extractor.protocol,
            "samples": count,
            "images": len(places),
            "data": data.fingerprint,
            "pixels": "8 bits",
            "seed": seed,
            "weights": weights or ("averaged" if "G" in system.averages else "trained"),
            "diversity_samples": len(pixels),
            **details(len(places), count),
            "ganspec_version": __version__,
            **library_versions(),
        }

    def measure(self, trainer: Any) -> list[Figure]:
        """Measure what G makes now.

        Args:
            trainer: trainer, whose network G, or its moving average, is measured; training is not disturbed.

        Returns: a figure for each metric, then the diversity, then for digits the classes.

        Raises:
            UserError: a package is missing, there are too few images, or a number is not finite.
        """
        features, pixels = _features(self.extractor, sample_pixels(self.system, trainer, self.inputs))
        values = measure(self.metrics, self.images, features, self.seed)
        values["diversity"] = diversity(pixels, self.distance)
        if self.protocol["extractor"] == "digits":
            assert features.logits is not None
            values |= class_figures(features.logits)
        for name, value in values.items():
            if not np.isfinite(value):
                raise UserError(
                    f"{name} is {value} after iteration {trainer.iteration}; are the samples numbers at all?"
                )
        return [Figure(trainer.iteration, name, value, self.protocol) for name, value in values.items()]


def are_digits(system: System, data: Dataset, classifier: DigitClassifier) -> bool:
    """Find out whether data are digits.

    Labelled images are digits where the digit classifier gives nine in ten of them their label; images without labels, where the
    system is one of digits.
    """
    if system.data.shape[0] not in (1, 3):
        return False
    if data.labels is None:
        return system.data.embedded == "digits" or system.data.dataset == "mnist"
    places = chosen_images(data, _LOOKED_AT, seed=0)
    labels = np.asarray(data.labels[places])
    if labels.min() < 0 or labels.max() >= CLASSES:
        return False
    pixels = np.concatenate(list(image_pixels(data, places)))
    try:
        _, logits = classifier(as_digits(pixels))
    except UserError:  # Pillow, which resizes them, is missing
        return False
    return bool((logits.argmax(axis=1) == labels).mean() >= _ARE_DIGITS)


def _features(extractor: Extractor, parts: Iterable[np.ndarray]) -> tuple[Features, np.ndarray]:
    """Returns: the features of all pixels, and the first `DIVERSE` of the pixels themselves."""
    features: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    for pixels in parts:
        seen = extractor(pixels)
        features.append(seen.features)
        logits += [] if seen.logits is None else [seen.logits]
        if sum(map(len, kept)) < DIVERSE:
            kept.append(pixels)
    found = Features(np.concatenate(features), np.concatenate(logits) if logits else None)
    return found, np.concatenate(kept)[:DIVERSE]
