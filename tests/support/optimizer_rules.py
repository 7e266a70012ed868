"""Every kind of optimiser: its keys as TOML, and its rule by hand, of one parameter that starts at 0.

A rule is written from the paper that the optimiser's docstring names, and not from the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

RATE = 1e-3


class Definition(NamedTuple):
    """One form of an optimiser.

    Args:
        toml: the keys.
        rule: from gradients to the values of the parameter after each of them.
    """

    toml: str
    rule: Callable[[Sequence[float]], list[float]]


def adam(place: str, epsilon: float = 1e-8) -> str:
    return (
        f'kind = "adam"\nlearning_rate = {RATE}\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = {epsilon}\n'
        f'epsilon_place = "{place}"'
    )


def rmsprop(place: str, start: float, epsilon: float = 1e-10, decay: float = 0.9) -> str:
    return (
        f'kind = "rmsprop"\nlearning_rate = {RATE}\ndecay = {decay}\nstart = {start}\nepsilon = {epsilon}\n'
        f'epsilon_place = "{place}"'
    )


def _adam(place: str, epsilon: float) -> Definition:
    def rule(gradients: Sequence[float]) -> list[float]:
        p = m = v = 0.0
        found = []
        for t, g in enumerate(gradients, 1):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            if place == "corrected":
                p -= RATE * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + epsilon)
            else:
                p -= RATE * ((1 - 0.999**t) ** 0.5 / (1 - 0.9**t)) * m / (v**0.5 + epsilon)
            found.append(p)
        return found

    return Definition(adam(place, epsilon), rule)


def _rmsprop(place: str, start: float, epsilon: float, decay: float) -> Definition:
    def rule(gradients: Sequence[float]) -> list[float]:
        p, v = 0.0, float(start)
        found = []
        for g in gradients:
            v = decay * v + (1 - decay) * g * g
            p -= RATE * g / ((v + epsilon) ** 0.5 if place == "inside" else v**0.5 + epsilon)
            found.append(p)
        return found

    return Definition(rmsprop(place, start, epsilon, decay), rule)


# name: what follows the kind says which form of it.
DEFINITIONS = {
    "adam, corrected": _adam("corrected", 1e-2),
    "adam, uncorrected": _adam("uncorrected", 1e-2),
    "rmsprop, inside, from 1": _rmsprop("inside", 1, 1e-2, 0.9),
    "rmsprop, inside, from 0": _rmsprop("inside", 0, 1e-2, 0.9),
    "rmsprop, outside, from 0": _rmsprop("outside", 0, 1e-2, 0.9),
    "rmsprop, outside, from 1": _rmsprop("outside", 1, 1e-2, 0.9),
    "rmsprop, a long memory": _rmsprop("outside", 0, 1e-2, 0.99),
}
