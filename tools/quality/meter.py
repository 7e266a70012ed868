"""Measuring a run's samples: metrics by an extractor, the diversity column, each figure with its protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ganspec import __version__
from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError
from ganspec.tools.quality.digits import CLASSES, DigitClassifier, as_digits
from ganspec.tools.quality.diversity import class_figures, diversity, mean_distance
from ganspec.tools.quality.extractors import Extractor
from ganspec.tools.quality.figures import Figure, Scalar
from ganspec.tools.quality.labels import labels_of, origin_of_labels
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
        extractor: extractor of features; None to measure the diversity alone, which is of pixels.
        metrics: names of metrics; none without an extractor.
        count: number of samples, and of images where there are so many.
        seed: seed of samples, images and subsets.
        weights: "averaged" or "trained", which weights of G the trainer samples from; None for the average where one is kept.

    Raises:
        UserError: the extractor cannot look at such images, G has not their labels, or there are fewer than 2.
    """

    def __init__(
        self,
        system: System,
        data: Dataset,
        extractor: Extractor | None,
        metrics: Iterable[str],
        count: int,
        seed: int,
        weights: str | None = None,
    ) -> None:
        self.system, self.extractor, self.metrics, self.seed = system, extractor, tuple(metrics), seed
        self.count = count = count if extractor else min(count, DIVERSE)
        places = chosen_images(data, count, seed)
        if min(count, len(places)) < 2:
            raise UserError(
                f"diversity needs at least 2 samples and 2 images, and there are {count} and {len(places)}; give more (--n COUNT)"
            )
        self.inputs = sample_inputs(system, count, seed, labels_of(system, data, places))
        self.images, pixels = _features(extractor, image_pixels(data, places))
        self.distance = mean_distance(pixels)
        origin = origin_of_labels(system, data)
        self.protocol: dict[str, Scalar] = {
            **(extractor.protocol if extractor else {}),
            "samples": count,
            "images": len(places),
            "data": data.fingerprint,
            "pixels": "8 bits",
            "seed": seed,
            "weights": weights or ("averaged" if "G" in system.averages else "trained"),
            **({"labels": origin} if origin else {}),
            "diversity_samples": min(count, DIVERSE),
            "diversity_images": len(pixels),
            **(details(len(places), count) if extractor else {}),
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
        values = measure(self.metrics, self.images, features, self.seed) if self.images and features else {}
        values["diversity"] = diversity(pixels, self.distance)
        if features and features.logits is not None and self.protocol["extractor"] == "digits":
            values |= class_figures(features.logits)
        for name, value in values.items():
            if not np.isfinite(value):
                raise UserError(
                    f"{name} is {value} after iteration {trainer.iteration}; are the samples numbers at all?"
                )
        return [Figure(trainer.iteration, name, value, self.protocol) for name, value in values.items()]


def why_no_digits(system: System, data: Dataset, classifier: DigitClassifier) -> str | None:
    """Find out whether data are digits.

    Labelled images are taken for digits where the digit classifier gives nine in ten of them their label; images without labels,
    where the system is one of digits.

    Returns: why they are taken for no digits, as the end of a sentence that begins with "because"; None where they are digits.
    """
    if (channels := system.data.shape[0]) not in (1, 3):
        return f"they have {channels} channels"
    if data.labels is None:
        if system.data.embedded == "digits" or system.data.dataset == "mnist":
            return None
        return f"they have no labels, and {system.name} is no system of digits"
    places = chosen_images(data, _LOOKED_AT, seed=0)
    labels = np.asarray(data.labels[places])
    if labels.min() < 0 or labels.max() >= CLASSES:
        return f"their labels go from {labels.min()} to {labels.max()}, and those of digits from 0 to 9"
    pixels = np.concatenate(list(image_pixels(data, places)))
    try:
        _, logits = classifier(as_digits(pixels))
    except UserError as error:  # such as that Pillow, which resizes them, is missing
        return str(error)
    right = int((logits.argmax(axis=1) == labels).sum())
    if right >= _ARE_DIGITS * len(labels):
        return None
    names = ""
    if data.classes:
        listed = [f"{label} {printable(name)}" for label, name in enumerate(data.classes[:CLASSES])]
        names = f", where the labels are {', '.join(listed)}"
    return f"the digit classifier takes only {right} of {len(labels)} of them for the digit that is their label{names}"


def _features(extractor: Extractor | None, parts: Iterable[np.ndarray]) -> tuple[Features | None, np.ndarray]:
    """Returns: the features of all pixels, None without an extractor; and the first `DIVERSE` of the pixels themselves."""
    features: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    for pixels in parts:
        if extractor:
            seen = extractor(pixels)
            features.append(seen.features)
            logits += [] if seen.logits is None else [seen.logits]
        if sum(map(len, kept)) < DIVERSE:
            kept.append(pixels)
    found = Features(np.concatenate(features), np.concatenate(logits) if logits else None) if features else None
    return found, np.concatenate(kept)[:DIVERSE]
