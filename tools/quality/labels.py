"""The labels of measured samples: a conditional G is given those of the images with which its samples are compared.

A label means something only by the classes of the run. So what does not fit them is refused, and what is assumed is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.tools.data import Dataset
from ganspec.tools.errors import UserError

OF_IMAGES = "of the images"
IN_TURN = "each class in turn"
_SHOWN = 10  # names of classes that a message lists


def origin_of_labels(system: System, data: Dataset) -> str | None:
    """Returns: where the labels that G is given come from, `OF_IMAGES` or `IN_TURN`; None where G takes no label.

    They are those of the images where the system's formulas read the images' labels, and the images have some.
    """
    if not _label_counts(system):
        return None
    return OF_IMAGES if "y" in system.symbols and data.labels is not None else IN_TURN


def labels_of(system: System, data: Dataset, places: np.ndarray) -> np.ndarray | None:
    """Find the labels that samples have.

    Args:
        system: system whose G is measured.
        data: images to compare with.
        places: places of the chosen images in the data set.

    Returns: the labels of these images, int64 (N,); None where G is given each of its classes in turn, or no label.

    Raises:
        UserError: the images have labels that G does not have.
    """
    if origin_of_labels(system, data) != OF_IMAGES:
        return None
    labels, count = np.asarray(data.labels), min(_label_counts(system))
    low, high = labels.min(), labels.max()
    if low < 0 or high >= count:
        found = f"the label {low}" if low == high else f"labels from {low} to {high}"
        raise UserError(
            f"{data.source}: has {found}, and G of {system.name} has the classes 0 to {count - 1}; give images of these classes, "
            "labelled as in training"
        )
    return labels[places]


def check_names(system: System, data: Dataset, names: Sequence[str]) -> str | None:
    """Compare the names of the images' classes with those of a run.

    Args:
        system: system of the run.
        data: images to compare with.
        names: names of the run's classes, by label; empty where it has none.

    Returns: what is taken for granted of the labels, as a sentence; None where there is nothing to say.

    Raises:
        UserError: the classes have other names.
    """
    origin = origin_of_labels(system, data)
    if origin == IN_TURN and data.labels is None:
        return "the images have no labels, so G is given each of its classes in turn"
    if origin != OF_IMAGES:
        return None
    if data.classes is None:
        return (
            f"the labels of the images have no names; they are taken for the run's: {_listed(names)}" if names else None
        )
    if not names:
        return f"the run's classes have no names; the images' are taken for them: {_listed(data.classes)}"
    if tuple(data.classes) != tuple(names):
        raise UserError(
            f"{data.source}: its classes are {_listed(data.classes)}, and those of the run {_listed(names)}; "
            "G would be given other labels than it has learned; name the folders as the run's classes"
        )
    return None


def _label_counts(system: System) -> list[int]:
    return [each.shape[0] for each in system.networks["G"].inputs.values() if each.dtype == "label"]


def _listed(names: Sequence[str]) -> str:
    """Returns: names of classes with their labels: "0 cat, 1 dog"."""
    listed = ", ".join(f"{label} {printable(name)}" for label, name in enumerate(names[:_SHOWN]))
    return f"{listed}, ..." if len(names) > _SHOWN else listed
