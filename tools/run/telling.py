"""What says how a training run goes: the numbers that a loss calls telling, from those that an iteration recorded."""

from __future__ import annotations

from collections.abc import Mapping

from ganspec.spec.system import System
from ganspec.spec.text.arithmetic import evaluate
from ganspec.spec.text.formula import Expression, FormulaError, Name


class Telling:
    """The telling numbers of a system.

    Where the loss does not say which they are, they are the carried numbers, then the loss of each network.

    Args:
        system: system that is trained.
    """

    def __init__(self, system: System) -> None:
        loss = system.loss
        carried_and_losses = [*loss.carried, *(f"loss_{network}" for network in loss.losses)]
        self.formulas: dict[str, Expression] = {name: formula.tree for name, formula in loss.telling.items()}
        self.formulas = self.formulas or {name: Name(name, (0, 0)) for name in carried_and_losses}
        self.constants = loss.constants

    def values(self, recorded: Mapping[str, float]) -> dict[str, float]:
        """Compute the telling numbers.

        Args:
            recorded: newest value of each recorded number.

        Returns: value by name; one that needs a number that was not recorded yet, or that has no value, is left out.
        """
        found, known = {}, {**self.constants, **recorded}
        for name, tree in self.formulas.items():
            try:
                found[name] = evaluate(tree, known)
            except FormulaError:  # a division by zero, or a step that has not been done yet
                continue
        return found
