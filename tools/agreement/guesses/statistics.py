"""Running statistics, and what can be wrong in them.

The `inputs` of a case are what the layer read in each evaluation in training mode, in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case, number
from ganspec.tools.agreement.guesses.weighted import evaluated

Moved = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of the statistic before, and of what the batch gives


def _chained(
    case: Case, of_batch: Callable[[np.ndarray], np.ndarray], moved: Moved, inputs: tuple[np.ndarray, ...]
) -> np.ndarray:
    value = np.asarray(case.statistics[_statistic(case)], np.float64)
    for x in inputs:
        value = moved(value, of_batch(np.asarray(x, np.float64)))
    return value


def _statistic(case: Case) -> str:
    return case.quantity.name.rpartition("/")[2]


def _of_batch(case: Case, unbiased: bool = True) -> Callable[[np.ndarray], np.ndarray]:
    def of_batch(x: np.ndarray) -> np.ndarray:
        axes = (0, *range(2, x.ndim))
        if _statistic(case) == "mean":
            return np.asarray(x.mean(axes))
        count = x.size / x.shape[1]
        return np.asarray(x.var(axes) * (count / (count - 1) if unbiased and count > 1 else 1.0))

    return of_batch


def running_statistic(case: Case) -> Candidates:
    if case.layer is None or case.layer.kind != "batch_norm" or not case.inputs:
        return
    name, m = _statistic(case), case.layer.settings["momentum"]
    right: Moved = lambda before, batch: (1 - m) * before + m * batch  # noqa: E731
    of_batch, inputs = _of_batch(case), case.inputs
    yield f"the running {name} stands still", np.asarray(case.statistics[name], np.float64)
    if m != 0.5:
        cause = f"the batch has the share {number(1 - m)}, where it is {number(m)}: 1 - momentum for the momentum"
        yield cause, _chained(case, of_batch, lambda before, batch: m * before + (1 - m) * batch, inputs)
    for other in (0.1, 0.01, 0.001, 0.9, 0.99, 0.2, 0.8, 0.05):
        if abs(other - m) > 1e-12 and abs(1 - other - m) > 1e-12:
            cause = f"momentum {number(other)}, not {number(m)}"
            yield cause, _chained(case, of_batch, lambda before, batch, k=other: (1 - k) * before + k * batch, inputs)
    if name == "variance":
        yield (
            "the running variance takes the biased variance of the batch, where the unbiased one is meant",
            _chained(case, _of_batch(case, False), right, inputs),
        )
        yield (
            "the running variance takes the deviation, where the variance is meant",
            _chained(case, lambda x: np.sqrt(of_batch(x)), right, inputs),
        )
    yield f"the running {name} is the last batch's own", of_batch(np.asarray(inputs[-1], np.float64))
    twice = tuple(x for x in inputs for _ in range(2))
    yield f"the running {name} moves twice in each evaluation", _chained(case, of_batch, right, twice)
    if len(inputs) > 1:
        cause = "each evaluation in training mode must move it, also one without a gradient"
        for i in range(len(inputs)):
            left = (*inputs[:i], *inputs[i + 1 :])
            yield (
                f"the running {name} misses evaluation {i + 1} of {len(inputs)} of the step: {cause}",
                _chained(case, of_batch, right, left),
            )
            if len(inputs) > 2:
                yield (
                    f"the running {name} moves in evaluation {i + 1} of {len(inputs)} of the step only: {cause}",
                    _chained(case, of_batch, right, (inputs[i],)),
                )
        yield (
            f"the running {name} sees the step's evaluations in reverse order",
            _chained(case, of_batch, right, inputs[::-1]),
        )


def spectral_vector(case: Case) -> Candidates:
    if (
        case.layer is None
        or (own := case.layer.settings.get("spectral_norm")) is None
        or _statistic(case) != "u"
        or "W" not in case.own
    ):
        return
    w, u = np.asarray(case.own["W"], np.float64), np.asarray(case.statistics["u"], np.float64)
    matrix, right = w.reshape(len(w), -1), len(case.inputs) * own["iterations"]
    yield "spectral norm's vector stands still", u
    for count in range(1, 4 * max(right, 1) + 1):
        v = u @ matrix
        u = matrix @ (v / (np.sqrt(v @ v) + own["epsilon"]))
        u = u / (np.sqrt(u @ u) + own["epsilon"])
        if count != right:
            yield f"spectral norm's vector moves {count} times in this step, not {right}", u


def settled(case: Case) -> Case:
    """Returns: the case with the vector of spectral norm as the evaluation found it, which others of the step may have moved."""
    if case.layer is None or (own := case.layer.settings.get("spectral_norm")) is None:
        return case
    w, u = np.asarray(case.own["W"], np.float64), np.asarray(case.statistics["u"], np.float64)
    matrix = w.reshape(len(w), -1)
    for _ in range(8):
        tried = replace(case, statistics={**case.statistics, "u": u})
        if float(np.linalg.norm(evaluated(tried) - case.right)) <= case.tolerance:
            return tried
        for _ in range(own["iterations"]):
            v = u @ matrix
            u = matrix @ (v / (np.sqrt(v @ v) + own["epsilon"]))
            u = u / (np.sqrt(u @ u) + own["epsilon"])
    return case


RULES = (running_statistic, spectral_vector)
