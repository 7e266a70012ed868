"""What the witnesses say of a drawn system: `crosscheck_system`, and what it means here."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ganspec.spec import load_system
from ganspec.tools.agreement.crosscheck import crosscheck_system
from ganspec.tools.agreement.report import Comparison
from ganspec.tools.fuzzing.writing import Drawn


def judged(drawn: Drawn) -> Comparison:
    """Compare PyTorch, Chainer and the reference on a system that was drawn. Returns: what was found."""
    with tempfile.TemporaryDirectory(prefix="ganspec-fuzz-") as folder:
        system = load_system(str(drawn.write(Path(folder))))
    return crosscheck_system(system, seed=drawn.seed, iterations=drawn.iterations)


def disagreement(comparison: Comparison) -> str:
    """Returns: where the witnesses first disagree; empty where they agree, or where training diverged in all of them.

    A drawn system may well train to infinity; then every witness must. What comes after the first value that is not finite says
    nothing more.
    """
    first = comparison.first
    if first is None or first.difference.diverged:
        return ""
    d = first.difference
    head = f"{d.place}: {d.name}: {' and '.join(d.pair)} differ by {d.error:.2g}, {d.allowance:.2g} is allowed"
    where = f" ({d.source})" if d.source else ""
    return "\n".join([f"{head}{where}{': ' + d.reason if d.reason else ''}", *first.values])
