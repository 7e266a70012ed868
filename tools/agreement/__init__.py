"""Agreement of two backends: what each computes (`trace`), and whether the two are the same (`compare`, `BOUNDS`)."""

from ganspec.tools.agreement.compare import (
    BOUNDS,
    FLOAT32_FACTOR,
    FLOAT32_FLOOR,
    Finding,
    compare,
    compare_float32,
    relative_difference,
)
from ganspec.tools.agreement.trace import Trace, random_feed, trace

__all__ = [
    "BOUNDS",
    "FLOAT32_FACTOR",
    "FLOAT32_FLOOR",
    "Finding",
    "Trace",
    "compare",
    "compare_float32",
    "random_feed",
    "relative_difference",
    "trace",
]
