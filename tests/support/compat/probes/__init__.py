"""One probe a mend: a function that succeeds with the mend and fails without it.

Run alone, ``python -m tests.compat.probes NAME`` applies every mend but NAME and then the probe of that name;
``--all`` applies every mend and then all probes. Deprecations are errors in both.
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
