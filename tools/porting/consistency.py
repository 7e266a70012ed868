"""Whether Chainer's second gradient is the derivative of its first.

Some of Chainer's functions give a gradient that no graph leads to. Its gradient is then missing without a word, and a port that
has it would be called wrong. A difference of first gradients along a random direction tells who is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ganspec.tools.porting.sides import Ran

if TYPE_CHECKING:
    from ganspec.tools.porting.rows import Case
    from ganspec.tools.porting.running import CaseRunner

_STEP = 1e-5  # of the way along the direction: the error of central differences is its square, that of rounding 1e-11
_CLOSE = 1e-4  # as a share of the derivative


def second_is_broken(runner: CaseRunner, case: Case, values: Mapping[str, np.ndarray], his: Ran, port: Ran) -> bool:
    """Compare both second gradients of the first call with a difference of Chainer's first.

    Args:
        runner: runs his model.
        case: how.
        values: arrays of his model.
        his, port: what both gave.

    Returns: whether the port's is the derivative, and Chainer's is not.
    """
    if his.second is None or port.second is None:
        return False
    inputs = runner.inputs_of(case, 0, "float64")
    generator = np.random.Generator(np.random.Philox(case.seed))
    direction = {name: generator.standard_normal(g.shape) for name, g in port.gradients.items() if g is not None}

    def square(step: float) -> float:
        moved = {path: a + step * direction[path] if path in direction else a for path, a in values.items()}
        given = {
            n: a + step * direction.get(f"input {n}", 0.0) if a.dtype.kind == "f" else a for n, a in inputs.items()
        }
        ran = runner.trajectory(replace(case, dtype="float64"), moved, 1, inputs=given).runs[0]
        return sum(float(np.sum(g * g)) for g in ran.gradients.values() if g is not None)

    slope = (square(_STEP) - square(-_STEP)) / (2 * _STEP)
    known = [
        sum(float(np.sum(g * direction[n])) for n, g in second.items() if g is not None and n in direction)
        for second in (his.second, port.second)
    ]
    tolerance = _CLOSE * max(abs(slope), *map(abs, known))
    return abs(known[1] - slope) <= tolerance < abs(known[0] - slope)
