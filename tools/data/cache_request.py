"""What is asked of a cache of decoded images, and what it may answer; `cache` does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganspec.tools.data.fitting import FittedImages


@dataclass(frozen=True)
class Cache:
    """Where and when decoded images are kept on the disk.

    Args:
        folder: folder of the entries, made if necessary.
        always: whether all images are kept there, or only those that take more than CACHE_ABOVE_BYTES.
        look_only: whether nothing is written: where an entry would be made, `load` raises `NotCached`.
        say: function that is told what will be done, before it is done.
    """

    folder: Path
    always: bool = False
    look_only: bool = False
    say: Callable[[str], None] = lambda text: None


class Preview(NamedTuple):
    """What is known of a data set before it is decoded.

    Args:
        image: one image, as it will be.
        seconds: time that one image takes, in one process.
        measured: number of images that were timed.
    """

    image: np.ndarray
    seconds: float
    measured: int

    def duration(self, count: int, jobs: int) -> str:
        """Returns: how long so many images will take in so many processes, and how that is known."""
        seconds = self.seconds * count / max(1, jobs)
        minutes = round(seconds / 60)
        about = f"about {minutes} min" if minutes < 120 else f"about {minutes // 60} h {minutes % 60} min"
        processes = f"{jobs} processes" if jobs > 1 else "one process"
        return f"{'under a minute' if seconds < 60 else about} in {processes}, as measured on {self.measured} of them"


class Undecoded(Exception):
    """An entry would have to be made, and the cache is looked at only.

    Args:
        message: what would be written, where, and how long it would take.
        outline: the labels and classes of the data set, and one of its images in every place.
    """

    def __init__(self, message: str, outline: FittedImages) -> None:
        super().__init__(message)
        self.outline = outline


class MadeMeanwhile(Exception):
    """Another process has made the entry that this one was about to make.

    Args:
        found: its images, mapped into memory.
        fingerprint: their fingerprint.
    """

    def __init__(self, found: FittedImages, fingerprint: str) -> None:
        super().__init__("another process has made the entry")
        self.found, self.fingerprint = found, fingerprint


def format_bytes(size: int) -> str:
    """Returns: a number of bytes for people: "3.2 GB", "41.0 MB", "0.1 kB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit / 10:
            return f"{size / unit:,.1f} {name}"
    return f"{size / 1e3:,.1f} kB"
