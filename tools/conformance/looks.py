"""Evaluations of a network that code makes only to look at what is learned: for a log, or for sample images.

They record no gradients, and are none of the spec's. Nothing tells one from an evaluation with wrong inputs but what comes of it:
so they are counted as the spec's at first, and left out only where everything else then agrees.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ganspec.spec.system import Stage
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.report import Place
from ganspec.tools.conformance.expected import Repeat
from ganspec.tools.conformance.recognition import input_distance

_FITS = 1e-6  # relative distance below which inputs are those of an evaluation of the spec's


@dataclass
class Looks:
    """The evaluations of a check that may be looks.

    Args:
        left_out: whether they are left out.
        found: network and place of each.
        missed: whether an evaluation of the spec's was made by nothing else.
    """

    left_out: bool = False
    found: dict[tuple[str, Place], None] = field(default_factory=dict)
    missed: bool = False

    def is_one(
        self,
        repeat: Repeat | None,
        batch: int,
        stage: Stage,
        network: str,
        inputs: Sequence[np.ndarray],
        made: Collection[int],
        theirs: Record,
    ) -> bool:
        """Judge an evaluation that records no gradients; the arguments are those of `recognition.recognised`.

        Returns: whether it is left out: none of the spec's has such inputs and needs no gradients, or was made before.
        """
        if repeat is None or not inputs:
            return False
        plan = repeat.plan
        nodes = [i for i, node in enumerate(plan.nodes) if node.op == "network" and node.value == network]
        learning = plan.tracked | plan.trained_later
        possible = [i for i in nodes if i in made or i not in learning]
        parts = max(1, len(inputs[0]) // batch if len(inputs[0]) % batch == 0 else 1)
        split = [np.split(a, parts) if parts > 1 else [a] for a in inputs]
        if not nodes or all(
            any(input_distance(repeat, stage, i, part, theirs) < _FITS for i in possible)
            for part in zip(*split, strict=True)
        ):
            return False
        self.found[network, repeat.place] = None
        return self.left_out

    def end(self, repeats: Sequence[Repeat], made: Mapping[int, Collection[int]]) -> None:
        """An iteration is over, in which these evaluations of the plan were made, by number of the repeat."""
        for number, repeat in enumerate(repeats):
            networks = {i for i, node in enumerate(repeat.plan.nodes) if node.op == "network"}
            self.missed |= not networks <= set(made.get(number, ()))

    @property
    def note(self) -> str:
        """What was left out, as a sentence."""
        names = list(dict.fromkeys(network for network, _ in self.found))
        first = next(iter(self.found))[1]
        return (
            f"evaluations of {' and '.join(names)} that record no gradients and are none of the spec's were left out,"
            f" first at {first}: they are taken for a log or for samples, for everything else agrees"
        )
