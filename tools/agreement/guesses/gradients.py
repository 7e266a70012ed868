"""Gradients by parameters, and parameters that move between updates; what can be wrong in them."""

from __future__ import annotations

import numpy as np

from ganspec.tools.agreement.guesses.case import Candidates, Case, decays, fitted, number

_FEW = 3  # numbers, to which a constant can be fitted


def weight_decay(case: Case) -> Candidates:
    """Of a parameter's gradient; `inputs` is the parameter."""
    p = np.asarray(case.inputs[0], np.float64)
    if (
        case.wrong.shape == p.shape == case.right.shape
        and p.size >= _FEW
        and (decay := fitted(p, case.wrong - case.right))
        and decays(case, decay)
    ):
        yield f"weight decay: {number(decay)} times the parameter is added to its gradient", case.right + decay * p


def stale(case: Case) -> Candidates:
    """Of a parameter's gradient."""
    if case.earlier is not None and case.earlier.shape == case.right.shape:
        yield (
            "the gradient of the step before is still in it: it is not set to 0 (zero_grad, in Chainer cleargrads)",
            case.right + np.asarray(case.earlier, np.float64),
        )


def clipped_norm(case: Case) -> Candidates:
    """Of a parameter's gradient: all gradients of the network shrink together, to a norm that somebody chose."""
    if case.wrong.shape != case.right.shape or not case.whole:
        return
    bound = fitted(case.right, case.wrong) * case.whole
    if not 0 < bound < case.whole:
        return
    chosen = float(f"{bound:.3g}")
    for added in (0.0, 1e-6):  # PyTorch adds a little to the norm
        cause = f"the gradients are clipped to the norm {number(chosen)} of all together, which is {number(case.whole)}"
        yield cause, case.right * chosen / (case.whole + added)


def between_updates(case: Case) -> Candidates:
    """Of a parameter that moved between updates."""
    right, wrong = case.right, case.wrong
    if case.update is not None or right.shape != wrong.shape or not right.size:
        return
    bound = float(abs(wrong).max())
    if bound < float(abs(right).max()):
        cause = f"weights are clipped to {number(bound)} outside of the optimiser, where they are not"
        yield cause, right.clip(-bound, bound)
    least = float(abs(right).max())
    if least < bound and np.array_equal(wrong.clip(-least, least), right):
        yield f"weight clipping to {number(least)} is missing", wrong


RULES = (weight_decay, stale, clipped_norm)
RULES_OF_CHANGES = (between_updates,)
