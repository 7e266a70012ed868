"""Which guesses are tried, and what is said of those that make what was found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ganspec.tools.agreement.guesses import (
    amounts,
    formulas,
    gradients,
    labels,
    normalising,
    orders,
    shaping,
    statistics,
    updates,
    weighted,
)
from ganspec.tools.agreement.guesses.case import Case, Rule

SHARE = 0.1  # of the difference that a guess may leave unexplained: one just above the tolerance explains itself by anything
MOST_SHOWN = 3  # causes that make the same

OF_LAYERS: tuple[Rule, ...] = (*weighted.RULES, *normalising.RULES, *shaping.RULES)
OF_STATISTICS: tuple[Rule, ...] = statistics.RULES
OF_NODES: tuple[Rule, ...] = (*formulas.RULES, *labels.RULES)
OF_UPDATES: tuple[Rule, ...] = updates.RULES
OF_GRADIENTS: tuple[Rule, ...] = gradients.RULES
OF_CHANGES: tuple[Rule, ...] = gradients.RULES_OF_CHANGES
OF_AVERAGES: tuple[Rule, ...] = updates.RULES_OF_AVERAGES
OF_ANYTHING: tuple[Rule, ...] = (*orders.RULES, *amounts.RULES)


def guess(case: Case) -> str:
    """Guess why a quantity differs.

    Args:
        case: the quantity, and what it was computed from.

    Returns: the cause in one sentence, "6 times too large, the batch size: a sum for a mean"; of causes that would give the same,
        each; empty where none is recognised, or where nothing is wrong.
    """
    if _is(case.right, case.wrong, case.tolerance):
        return ""
    with np.errstate(all="ignore"):  # a wrong formula may well divide by 0
        known, rules = _own_rules(case)
        for one, own in ((known, rules), (case, OF_ANYTHING)):
            if causes := _causes(one, own):
                first, *others = causes[:MOST_SHOWN]
                return f"either {first}; or {'; or '.join(others)}" if others else first
    return ""


def _own_rules(case: Case) -> tuple[Case, tuple[Rule, ...]]:
    """Returns: the case, and the rules of what the quantity is; none where what is known does not give the right value."""
    kind = case.quantity.kind
    if any(a.size == 0 for a in case.inputs):
        return case, ()
    if kind == "statistic":
        return case, OF_STATISTICS if case.layer else ()
    if kind in ("average", "parameter gradient"):
        return case, (OF_AVERAGES if kind == "average" else OF_GRADIENTS) if case.inputs else ()
    if case.layer is not None:
        case = statistics.settled(case)
        return case, OF_LAYERS if weighted.known(case) else ()
    if case.node is not None:
        return case, OF_NODES if case.node.op == "draw" or formulas.known(case) else ()
    if kind == "parameter" and case.update is None:
        return case, OF_CHANGES
    return case, OF_UPDATES if updates.known(case) else ()


def _causes(case: Case, rules: Iterable[Rule]) -> list[str]:
    found: list[str] = []
    for rule in rules:
        try:
            for cause, value in rule(case):
                if cause not in found and _explains(case, np.asarray(value, np.float64)):
                    found.append(cause)
        except (
            ValueError,
            IndexError,
            np.linalg.LinAlgError,
        ):  # the mistake cannot be made with arrays of these shapes
            continue
    return found


def _explains(case: Case, value: np.ndarray) -> bool:
    tolerance = case.tolerance
    if case.right.shape == case.wrong.shape and np.isfinite(case.wrong).all():
        tolerance = min(tolerance, SHARE * float(np.linalg.norm(case.wrong - case.right)))
    return _is(value, case.wrong, tolerance)


def _is(value: np.ndarray, found: np.ndarray, tolerance: float) -> bool:
    """Returns: whether two arrays are equal within a tolerance, and not finite in the same places."""
    if value.shape != found.shape:
        return False
    finite = np.isfinite(found)
    if not np.array_equal(value[~finite], found[~finite], equal_nan=True) or not np.isfinite(value[finite]).all():
        return False
    return float(np.linalg.norm(value[finite] - found[finite])) <= tolerance
