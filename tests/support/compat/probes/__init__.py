"""One probe per mend: a function that succeeds with the mend and fails without it.

In the folder tests, ``python -m support.compat.probes`` applies for each probe every mend but the probe's own, and runs it; with
``--all`` it applies every mend and runs all probes. Deprecations are errors in both.
"""

from . import (  # noqa: F401
    chainer_probes,
    cupy_probes,
    double_backprop_probes,
    libraries_probes,
    numpy_probes,
    python_probes,
    reports_probes,
)
from .register import ELSEWHERE, PROBES, skipped

__all__ = ["ELSEWHERE", "PROBES", "skipped"]
