"""Labels from folders: one folder for each class, as torchvision's ImageFolder reads them.

    rose/1.jpg  rose/indoors/2.jpg  tulip/1.jpg        classes rose (0) and tulip (1)

The folders at the top are the classes; sorted by name, as text, they are 0 to n - 1. A picture belongs to the folder at the top
that it lies in, at whatever depth. Unlike ImageFolder, which passes over pictures outside of the folders, nothing is left out in
silence: such pictures are refused. As there, a folder without a picture is refused: it would be a class that is never shown.

An archive often holds one folder that holds everything: where all pictures lie in one folder at the top, and none directly in it,
the folders inside that one are the classes. Hidden folders (`pictures.is_hidden`) count for nothing.

Source: torchvision.datasets.ImageFolder ("root/dog/xxx.png"), DatasetFolder.find_classes and make_dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from ganspec.spec.text.errors import counted
from ganspec.tools.data import bounds
from ganspec.tools.data.errors import DataError, quoted

_LISTED = 5  # names in a message
_EXPECTED = "one folder at the top for each class, and every picture in one of them"


def classes_of(names: Sequence[str], folders: Iterable[str], wanted: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read labels from the paths of pictures.

    Args:
        names: paths of the pictures, with "/" between folders, in the order of the data set.
        folders: paths of all folders that are not hidden, also of those without pictures.
        wanted: number of classes that the system has.

    Returns:
        labels int64 (n,), and the names of the classes, of which a label is the index.

    Raises:
        DataError: pictures lie outside of the folders of classes, a folder is empty, or the number of classes is another.
    """
    parts = [_parts(name) for name in names]
    below = {_parts(folder) for folder in folders} | {part[:end] for part in parts for end in range(1, len(part))}
    depth = 0
    while True:
        outside = ["/".join(part) for part in parts if len(part) == depth + 1]
        tops = sorted({part[depth] for part in below if len(part) > depth})
        if outside or len(tops) != 1 or any(len(part) == depth + 2 for part in parts):
            break
        depth += 1
    if outside:
        _refuse_outside(outside, len(names), tops)
    counts = dict.fromkeys(tops, 0)
    for part in parts:
        counts[part[depth]] += 1
    if empty := [name for name, count in counts.items() if not count]:
        raise DataError(
            f"has {counted(len(empty), 'folder')} without a picture ({_listed(empty)}), and each folder is a class",
            "at least one picture in every folder",
            "delete the empty folders, or put pictures into them",
        )
    _refuse_number(tops, wanted)
    index = {name: number for number, name in enumerate(tops)}
    return np.array([index[part[depth]] for part in parts], np.int64), tuple(tops)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _refuse_outside(outside: list[str], count: int, tops: list[str]) -> None:
    if tops:
        problem = (
            f"has {len(outside):,} of {counted(count, 'picture')} outside of the classes' folders ({_listed(outside)})"
        )
    else:
        problem = (
            f"has no folders, so that its {counted(count, 'picture')} have no labels, and the system is conditional"
        )
    raise DataError(
        problem,
        _EXPECTED,
        "move them into folders; or give a .npz with labels; or train a system that is not conditional",
    )


def _refuse_number(classes: list[str], wanted: int) -> None:
    text = sum(len(json.dumps(name)) for name in classes)
    if len(classes) > bounds.MAX_CLASSES or text > bounds.MAX_CLASS_TEXT:
        raise DataError(
            f"has {len(classes):,} folders, each of which is a class",
            f"at most {bounds.MAX_CLASSES:,} with {bounds.MAX_CLASS_TEXT:,} characters in all (tools/data/bounds.py)",
            "give the folder that holds the classes, or raise the bound",
        )
    if len(classes) != wanted:
        raise DataError(
            f"has {counted(len(classes), 'folder')} ({_listed(classes)}), each of which is a class",
            f"{wanted:,}, the number of labels of the system",
            f"type --set constants.labels={len(classes)}, which data and networks of the packaged systems follow; "
            "in a system of your own, data.labels and the labels of its networks",
        )


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(quoted(name) for name in names[:_LISTED]) + rest
