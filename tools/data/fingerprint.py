"""The digest that tells data sets apart, wherever they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def fingerprint(images: np.ndarray, labels: np.ndarray | None, content: Iterable[bytes] | None = None) -> str:
    """Describe a data set by its values.

    Args:
        images: images (n, channels, height, width).
        labels: labels (n,), or None.
        content: the bytes of the images, little-endian and in C order, where they are not to be mapped into memory for this.

    Returns:
        SHA-256 in hexadecimal of, for "images" and then "labels": a line "NAME DTYPE SHAPE" and the bytes of the values,
        little-endian and in C order; or the line "NAME none".

    Raises:
        OSError: `content` cannot be read.
    """
    digest = hashlib.sha256()
    for name, array in (("images", images), ("labels", labels)):
        if array is None:
            digest.update(f"{name} none\n".encode())
            continue
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))  # the same on every machine
        digest.update(f"{name} {little.dtype.str} {little.shape}\n".encode())
        blocks = content if name == "images" and content is not None else [memoryview(little).cast("B")]
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()
