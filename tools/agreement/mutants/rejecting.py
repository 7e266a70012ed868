"""Puts a mutant into one witness, and sees where the comparison first notices it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ganspec.spec import load_system
from ganspec.spec.system import System
from ganspec.tools import backends
from ganspec.tools.agreement.crosscheck import crosscheck_system
from ganspec.tools.agreement.evidence import Evidence
from ganspec.tools.agreement.given import Altered
from ganspec.tools.agreement.mutants.catalogue import Mutant
from ganspec.tools.agreement.mutants.patches import patched
from ganspec.tools.agreement.report import Divergence
from ganspec.tools.agreement.witnesses import REFERENCE


@dataclass(frozen=True)
class Rejection:
    """What the comparison said of a mutant.

    Args:
        mutant: the mutant.
        backend: the backend that was wrong.
        first: where the comparison first noticed it; None if it did not.
        in_place: whether that is the place that the catalogue names.
    """

    mutant: Mutant
    backend: str
    first: Divergence | None
    in_place: bool


class _Noticed(Exception):
    """The first divergence is known; the rest of the comparison would say nothing more."""

    def __init__(self, first: Divergence) -> None:
        super().__init__()
        self.first = first


def reject(mutant: Mutant, backend: str) -> Rejection:
    """Compare a backend that is wrong with one that is right, and with the reference.

    Args:
        mutant: what is wrong.
        backend: name of the backend that is wrong, "torch" or "chainer".

    Returns: what the comparison said.

    Raises:
        UserError: a framework is not there.
    """
    right = next(name for name in backends.NAMES if name != backend)
    for name in backends.NAMES:
        backends.load(name)
    system = load_system(mutant.system, mutant.settings, reduced=True)
    first = _first(mutant, system, right, backend)
    return Rejection(
        mutant,
        backend,
        first,
        first is not None and backend in first.difference.pair and in_place(mutant, system, first),
    )


def _first(mutant: Mutant, system: System, right: str, backend: str) -> Divergence | None:
    altered = {}
    if mutant.read:
        with patched() as patch:
            mutant.wrong(patch, backend)
            wrong = load_system(mutant.system, mutant.settings, reduced=True)
        altered[backend] = Altered(system=replace(wrong, name=system.name))
    with patched() as patch:
        if not mutant.read:
            mutant.wrong(patch, backend)
        try:
            # The right one comes first: it is the measure of what rounding costs.
            return crosscheck_system(
                system,
                iterations=mutant.iterations,
                witnesses=(right, backend, REFERENCE),
                altered=altered,
                on_divergence=_stop,
            ).first
        except _Noticed as noticed:
            return noticed.first


def _stop(divergence: Divergence, evidence: Evidence) -> str:
    raise _Noticed(divergence)


def in_place(mutant: Mutant, system: System, first: Divergence) -> bool:
    """Returns: whether a divergence is where the catalogue says that a mutant first shows."""
    d = first.difference
    if d.kind != mutant.kind:
        return False
    names = {d.network, f"{d.network}/{d.layer}"}
    stage = system.stages[system.at(d.place.iteration)[0]]
    if d.network and d.layer:
        names.add(next((x.kind for x in stage.networks[d.network].layers if x.name == d.layer), ""))
    if d.node is not None and d.place.step is not None:
        node = stage.plan.steps[d.place.step].nodes[d.node]
        names |= {node.op, str(node.value)}
    return not mutant.where or mutant.where in names
