"""Numbers for all arrays of a model, drawn afresh.

A constructor's zeros and ones hide what they are added to or multiplied with.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

_SPREAD = 0.3  # deviation of parameters that were all one number, around that number


def draw_values(values: Mapping[str, Any], trained: Set[str], seed: int) -> dict[str, np.ndarray]:
    """Draw arrays like others.

    Parameters become normal numbers with the mean and deviation that they had; those that were all one number are spread around
    it. Other floating-point arrays, such as statistics, stay positive where they were, and are positive where they were zero: any
    may be a variance. Whole numbers stay as they are.

    Args:
        values: arrays by path.
        trained: paths of parameters.
        seed: seed of the numbers.

    Returns: arrays by path; floating-point numbers are such as float32 has.
    """
    drawn = {}
    for path, value in values.items():
        like = np.asarray(value)
        if like.dtype.kind != "f":
            drawn[path] = like
            continue
        generator = np.random.Generator(np.random.Philox([seed, zlib.crc32(path.encode())]))
        if path in trained:
            mean, deviation = (float(like.mean()), float(like.std())) if like.size else (0.0, 1.0)
            spread = deviation if deviation > 1e-6 * abs(mean) and deviation > 0 else _SPREAD
            fresh = mean + spread * generator.standard_normal(like.shape)
        else:
            fresh = np.where(
                like != 0, like * generator.uniform(0.5, 1.5, like.shape), generator.uniform(0.1, 0.5, like.shape)
            )
        drawn[path] = np.asarray(fresh).astype(np.float32).astype(np.float64)
    return drawn


def rounded(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns: arrays whose floating-point numbers are such as float32 has, in float64."""
    arrays = {path: np.asarray(value) for path, value in values.items()}
    return {
        path: a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a.copy() for path, a in arrays.items()
    }
