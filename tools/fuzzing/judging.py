"""What the witnesses say of a drawn system: `crosscheck_system`, and what it means here."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from ganspec.spec import load_system
from ganspec.tools.agreement.crosscheck import crosscheck_system
from ganspec.tools.agreement.report import Comparison, Difference
from ganspec.tools.fuzzing.writing import Drawn

_FORWARD = ("draw", "layer", "value", "loss")
_SMALL = ("input gradient", "layer gradient", "parameter gradient", "slope", "statistic", "moment", "parameter")
_ROUNDING = 1e-14  # a few dozen roundings of the largest value on the way, ...
_LARGEST = 1e3  # ... or of this, so that one large value hides nothing


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
    scale = max(
        (r.worst.size for r in comparison.rows if r.kind in _FORWARD and math.isfinite(r.worst.size)), default=0
    )
    if not _negligible(first.difference, scale):
        return _said(first.difference, first.values)
    others = [row.worst for row in comparison.rows if row.wrong and not row.worst.diverged]
    return next((_said(d, ()) for d in others if not _negligible(d, scale)), "")


def _negligible(difference: Difference, scale: float) -> bool:
    """Returns: whether a gradient is nothing but rounding inside one function.

    Where 1 - tanh(v)^2 or the derivative of v / |v| cancels, what is left is rounding which no movement of v shows. Where a layer
    has no gradient, one framework may give zeros.
    """
    if difference.kind == "layer gradient" and difference.reason.startswith("only "):
        return True
    return difference.kind in _SMALL and difference.error <= _ROUNDING * min(scale, _LARGEST)


def _said(d: Difference, values: tuple[str, ...]) -> str:
    head = f"{d.place}: {d.name}: {' and '.join(d.pair)} differ by {d.error:.2g}, {d.allowance:.2g} is allowed"
    where = f" ({d.source})" if d.source else ""
    return "\n".join([f"{head}{where}{': ' + d.reason if d.reason else ''}", *values])
