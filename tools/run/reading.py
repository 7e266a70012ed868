"""The data of a run, read as its system wants them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ganspec.spec.system import System
from ganspec.tools.data import Cache, DataError, Dataset, embedded_digits, load
from ganspec.tools.data.download import cache_folder
from ganspec.tools.errors import say


def cache_at(folder: Path | None, *, always: bool = False, look_only: bool = False) -> Cache | None:
    """Choose the cache of decoded images.

    Args:
        folder: folder of the cache; None for the usual one, beside the data sets that were downloaded.
        always: whether images are kept there that would fit into memory, too.
        look_only: whether nothing may be written.

    Returns: the cache; None where the usual folder is asked for and nobody has a home.
    """
    try:
        folder = folder or cache_folder() / "decoded"
    except DataError:
        return None
    return Cache(folder, always=always, look_only=look_only, say=say)


def reading_of(arguments: argparse.Namespace, *, look_only: bool = False) -> tuple[Cache | None, int]:
    """Settle what --cache, --cache-to and --jobs ask for.

    Args:
        arguments: what was typed.
        look_only: whether nothing may be written.

    Returns: where decoded images are kept, and the number of processes that decode them: by default one per processor.
    """
    always = arguments.cache or arguments.cache_to is not None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cache_at(arguments.cache_to, always=always, look_only=look_only), arguments.jobs or processors


def load_for(system: System, path: Path | None, cache: Cache | None = None, jobs: int = 1) -> Dataset:
    """Read data as a system's keys of [data] say.

    Args:
        system: system whose shape, fit, crop, skip_grey and labels apply. Folders of pictures are classes where it reads y.
        path: path of the data; None for the digits that ship with ganspec.
        cache: where decoded images are kept that do not fit into memory, see `reading_of`; None for memory only.
        jobs: number of processes that decode pictures.

    Returns: the data set.

    Raises:
        NotCached: the cache may only be looked at, and does not hold them.
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
        cache=cache,
        jobs=jobs,
    )
