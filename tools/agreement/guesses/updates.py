"""Optimisers, weight clipping and moving averages, and what can be wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ganspec.spec.parts.optimizers import Adam, Clip, RMSProp
from ganspec.spec.reference.optimizers import KINDS, clipped
from ganspec.tools.agreement.guesses.case import Candidates, Case, decays, fitted, number, numbers

_EPSILONS = (0.0, 1e-16, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
_DECAYS = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
_WEIGHT_DECAYS = (1e-6, 1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 0.1)
_FEW = 3  # numbers, to which a constant can be fitted


def moved(
    case: Case,
    definition: Any = None,
    *,
    before: np.ndarray | None = None,
    gradient: np.ndarray | None = None,
    moments: dict[str, np.ndarray] | None = None,
    count: int | None = None,
) -> np.ndarray:
    """Returns: what the reference gives for the parameter or moment, with some of the update replaced."""
    assert case.update is not None
    own, t, rate = case.update
    used = definition or own
    p = np.asarray(case.inputs[0] if before is None else before, np.float64)
    g = np.asarray(case.inputs[1] if gradient is None else gradient, np.float64)
    given = moments or {name: np.asarray(a, np.float64) for name, a in case.own.items()}
    after, made = KINDS[used.kind](used, p, g, given, t if count is None else count, rate)
    name = _moment(case)
    return made[name] if name else clipped(after, used.clip, "after")


def known(case: Case) -> bool:
    """Returns: whether the update gives the right value."""
    if case.update is None or len(case.inputs) != 2 or case.update[0].kind not in KINDS:
        return False
    return float(np.linalg.norm(moved(case) - case.right)) <= case.tolerance


def _moment(case: Case) -> str:
    """Returns: the moment whose value is compared, "" where it is the parameter."""
    return case.quantity.name.partition(" ")[2].split("/")[1] if case.quantity.kind == "moment" else ""


def standstill(case: Case) -> Candidates:
    name, before = _moment(case), np.asarray(case.inputs[0], np.float64)
    if name:
        yield f"the moment {name} stands still", np.asarray(case.own[name], np.float64)
    else:
        yield "the parameter stands still: it is not given to the optimiser, or no update is made", before


def gradient(case: Case) -> Candidates:
    """What a gradient may have become before the rule sees it."""
    g, p = np.asarray(case.inputs[1], np.float64), np.asarray(case.inputs[0], np.float64)
    definition, _, _ = _own(case)
    ways = {
        "the gradient has the wrong sign: the loss is maximised": -g,
        "the gradient counts twice: it is added to one that was not set to 0": 2 * g,
        "the gradient is halved": g / 2,
        f"the gradient is {case.batch} times too large, the batch size: a sum for a mean": case.batch * g,
        f"the gradient is {case.batch} times too small, the batch size: a mean for a sum": g / case.batch,
        "the sign of the gradient, not the gradient": np.sign(g),
        "the gradient's numbers are kept in [-1, 1]": g.clip(-1, 1),
        "the gradient is divided by its norm": g / np.linalg.norm(g),
        "no gradient arrives: 0": 0 * g,
    }
    for cause, value in ways.items():
        yield cause, moved(case, gradient=value)
    for decay in _WEIGHT_DECAYS:
        yield (
            f"weight decay {number(decay)} is added to the gradient, where {definition.kind} has none",
            moved(case, gradient=g + decay * p),
        )


def rate(case: Case) -> Candidates:
    """Another step in the same direction, decoupled weight decay."""
    if _moment(case):
        return
    definition, _, own = _own(case)
    p, right, wrong = np.asarray(case.inputs[0], np.float64), case.right, case.wrong
    if wrong.shape != right.shape or right.size < _FEW or definition.clip:
        return
    factor = fitted(right - p, wrong - p)
    simple = {
        -1.0: "the step has the wrong sign: added, where it must be subtracted",
        2.0: "the step is made twice",
        0.5: "half the step",
    }
    near = next((cause for value, cause in simple.items() if abs(factor - value) < 1e-6), "")
    if abs(factor) > 1e-9 and abs(factor - 1) > 1e-9:
        theirs, right_one = numbers(own * factor, own)
        yield near or f"learning rate {theirs}, not {right_one}", p + factor * (right - p)
    decay = fitted(-p, wrong - right)
    if decay and own and decays(case, -decay):
        cause = f"weight decay: the parameter also shrinks by {number(decay)} of itself, learning rate x {number(decay / own)}"
        yield cause, right - decay * p


def clipping(case: Case) -> Candidates:
    definition, _, _ = _own(case)
    if _moment(case):
        return
    if definition.clip:
        bound = definition.clip.bound
        yield f"weight clipping to {number(bound)} is missing", moved(case, replace(definition, clip=None))
        other = {"after": "before", "before": "after"}[definition.clip.when]
        yield (
            f"weights are clipped {other} the step, not {definition.clip.when} it",
            moved(case, replace(definition, clip=replace(definition.clip, when=other))),
        )
    for bound in (0.01, 0.001, 0.1, 1.0, 0.05):
        if not definition.clip or bound != definition.clip.bound:
            where = f"not to {number(definition.clip.bound)}" if definition.clip else "where they are not"
            yield (
                f"weights are clipped to {number(bound)}, {where}",
                moved(case, replace(definition, clip=Clip(bound, "after"))),
            )


def adam(case: Case) -> Candidates:
    own, t, rate = _own(case)
    if not isinstance(own, Adam):
        return
    places = {"corrected": "after the bias correction of v", "uncorrected": "beside the root of the uncorrected v"}
    other = next(place for place in places if place != own.epsilon_place)
    cause = f"Adam's epsilon is added {places[other]}, not {places[own.epsilon_place]}"
    yield cause, moved(case, replace(own, epsilon_place=other))
    for epsilon in _EPSILONS:
        if epsilon != own.epsilon:
            yield (
                f"Adam's epsilon is {number(epsilon)}, not {number(own.epsilon)}",
                moved(case, replace(own, epsilon=epsilon)),
            )
            both = replace(own, epsilon=epsilon, epsilon_place=other)
            yield (
                f"Adam's epsilon is {number(epsilon)}, not {number(own.epsilon)}, and added {places[other]}",
                moved(case, both),
            )
    if own.beta1 != own.beta2:
        yield "Adam's beta1 and beta2 are exchanged", moved(case, replace(own, beta1=own.beta2, beta2=own.beta1))
    for beta in _DECAYS:
        if beta != own.beta1:
            yield f"Adam's beta1 is {number(beta)}, not {number(own.beta1)}", moved(case, replace(own, beta1=beta))
        if beta != own.beta2:
            yield f"Adam's beta2 is {number(beta)}, not {number(own.beta2)}", moved(case, replace(own, beta2=beta))
    for count in {1, t - 1, t + 1, 2 * t} - {t, 0}:
        yield f"Adam counts {count} updates, not {t}", moved(case, count=count)
    yield from _without_parts(case, own, t, rate)


def _without_parts(case: Case, own: Adam, t: int, rate: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yields: Adam without one or the other of its parts."""
    p, g = (np.asarray(a, np.float64) for a in case.inputs)
    m0, v0 = (np.asarray(case.own[name], np.float64) for name in ("m", "v"))
    name = _moment(case)
    if name:
        before, beta, power = (m0, own.beta1, g) if name == "m" else (v0, own.beta2, g * g)
        yield f"the moment {name} takes (1 - beta) of the old and beta of the new", (1 - beta) * before + beta * power
        yield f"the moment {name} adds the whole gradient, without the factor 1 - beta", beta * before + power
        if name == "v":
            yield "the moment v takes the gradient, where its square is meant", beta * before + (1 - beta) * abs(g)
        return
    m, v = own.beta1 * m0 + (1 - own.beta1) * g, own.beta2 * v0 + (1 - own.beta2) * g * g
    first, second = 1 - own.beta1**t, 1 - own.beta2**t
    yield "Adam without any bias correction", p - rate * m / (np.sqrt(v) + own.epsilon)
    if own.beta1:
        yield "Adam without the bias correction of m", p - rate * m / (np.sqrt(v / second) + own.epsilon)
        yield "Adam without the bias correction of m", p - rate * np.sqrt(second) * m / (np.sqrt(v) + own.epsilon)
    yield "Adam without the bias correction of v", p - rate * m / first / (np.sqrt(v) + own.epsilon)
    yield (
        "Adam's epsilon is under the root, where it must be beside it",
        p - rate * (m / first) / np.sqrt(v / second + own.epsilon),
    )
    yield "Adam divides by v, where its root is meant", p - rate * (m / first) / (v / second + own.epsilon)
    yield "plain gradient descent, where Adam is meant", p - rate * g
    yield "RMSProp of the same decay, where Adam is meant", p - rate * g / (np.sqrt(v) + own.epsilon)
    yield (
        "Adam with the moments of before this gradient",
        p - rate * (m0 / first) / (np.sqrt(v0 / second) + own.epsilon),
    )
    nesterov = own.beta1 * m / (1 - own.beta1 ** (t + 1)) + (1 - own.beta1) * g / first
    yield "Adam with Nesterov's momentum", p - rate * nesterov / (np.sqrt(v / second) + own.epsilon)


def rmsprop(case: Case) -> Candidates:
    own, t, rate = _own(case)
    if not isinstance(own, RMSProp):
        return
    places = {"outside": "beside the root", "inside": "under the root"}
    other = next(place for place in places if place != own.epsilon_place)
    yield (
        f"RMSProp's epsilon is {places[other]}, not {places[own.epsilon_place]}",
        moved(case, replace(own, epsilon_place=other)),
    )
    for epsilon in _EPSILONS:
        if epsilon != own.epsilon:
            yield (
                f"RMSProp's epsilon is {number(epsilon)}, not {number(own.epsilon)}",
                moved(case, replace(own, epsilon=epsilon)),
            )
            both = replace(own, epsilon=epsilon, epsilon_place=other)
            yield (
                f"RMSProp's epsilon is {number(epsilon)}, not {number(own.epsilon)}, and {places[other]}",
                moved(case, both),
            )
    for decay in _DECAYS:
        if decay != own.decay:
            yield f"RMSProp's decay is {number(decay)}, not {number(own.decay)}", moved(case, replace(own, decay=decay))
    if t == 1:
        for start in {0.0, 1.0} - {own.start}:
            begun = {"v": np.full_like(np.asarray(case.own["v"], np.float64), start)}
            yield f"RMSProp's v starts from {number(start)}, not from {number(own.start)}", moved(case, moments=begun)
    p, g, v = (
        np.asarray(case.inputs[0], np.float64),
        np.asarray(case.inputs[1], np.float64),
        np.asarray(case.own["v"], np.float64),
    )
    if not _moment(case):
        yield "plain gradient descent, where RMSProp is meant", p - rate * g
        yield "RMSProp with the moment of before this gradient", p - rate * g / (np.sqrt(v) + own.epsilon)
    else:
        yield "the moment v takes (1 - decay) of the old and decay of the new", (1 - own.decay) * v + own.decay * g * g
        yield "the moment v adds the whole square, without the factor 1 - decay", own.decay * v + g * g


def average(case: Case) -> Candidates:
    """A moving average: `inputs` are the average before and the value."""
    if len(case.inputs) != 2:
        return
    before, value = (np.asarray(a, np.float64) for a in case.inputs)
    network = case.quantity.name.partition(" ")[2].partition("/")[0]
    decay = case.system.averages.get(network)
    if decay is None:
        return
    yield "the average stands still", before
    yield "the average is the value itself: never averaged", value
    yield (
        f"the average keeps {number(1 - decay)} of the old, where it keeps {number(decay)}",
        (1 - decay) * before + decay * value,
    )
    yield (
        "the average moves twice in each iteration",
        decay * (decay * before + (1 - decay) * value) + (1 - decay) * value,
    )
    if case.wrong.shape == before.shape and before.size >= _FEW:
        fit = fitted(before - value, case.wrong - value)
        if min(abs(fit - other) for other in (0.0, 1.0, 1 - decay, decay * decay)) > 1e-9:
            yield f"the average's decay is {number(fit)}, not {number(decay)}", value + fit * (before - value)


def _own(case: Case) -> tuple[Any, int, float]:
    assert case.update is not None
    return case.update


RULES = (standstill, gradient, rate, clipping, adam, rmsprop)
RULES_OF_AVERAGES = (average,)
