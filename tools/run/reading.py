"""The data of a run, read as its system wants them."""

from __future__ import annotations

import sys
from pathlib import Path

from ganspec.spec.system import System
from ganspec.tools.data import Dataset, embedded_digits, load


def load_for(system: System, path: Path | None) -> Dataset:
    """Read data as a system's keys of [data] say.

    Args:
        system: system whose shape, fit, crop, skip_grey and labels apply. Folders of pictures are classes where it reads y.
        path: path of the data; None for the digits that ship with ganspec.

    Returns: the data set.

    Raises:
        DataError: they cannot be read in this way.
    """
    wanted = system.data
    return load(
        path or embedded_digits(),
        shape=wanted.shape,
        fit=wanted.fit,
        skip_grey=wanted.skip_grey,
        crop=wanted.crop,
        labels=wanted.labels if "y" in system.symbols else 0,
        progress=sys.stderr.isatty(),
    )
