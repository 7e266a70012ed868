"""Mistakes in a loss that are tried out: the loss is changed as a wrong port has it, and trained to where the code differs.

So a cause is named only where the changed loss gives the very gradients and loss that the code has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ganspec.spec import SpecError
from ganspec.spec.parts.loss import Loss
from ganspec.spec.plan.plan import make_plan
from ganspec.spec.system import System
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.formula import FormulaError
from ganspec.tools import backends
from ganspec.tools.agreement.judge import Record
from ganspec.tools.agreement.report import Divergence, Place
from ganspec.tools.conformance.wrong_losses import changes

KINDS = ("loss", "report", "layer gradient", "parameter gradient")  # kinds whose cause may be a loss
IN_LOSS = (
    "loss",
    "layer gradient",
    "parameter gradient",
)  # kinds of which a changed loss says more than one number does
MOST = 60  # losses that are tried
MOST_ITERATIONS = 3  # that each is trained
_NEAR = {"float64": 1e-8, "float32": 1e-3}  # relative distance below which gradients are those of the code


def cause_in_loss(
    found: Divergence, system: System, ours: Record, theirs: Record, feed: Callable[[], Any], how: Mapping[str, Any]
) -> str:
    """Look for a change of the loss that explains what the code computes.

    Args:
        found: the first divergence.
        system: the system.
        ours, theirs: what the spec and the code computed in that repeat.
        feed: function that makes the function which gives batches.
        how: backend, seed, dtype, device and draws of the check.

    Returns: the cause in words; "" where none is recognised, or where the divergence is of another kind.
    """
    d = found.difference
    if d.kind not in KINDS or d.place.step is None or d.place.iteration >= MOST_ITERATIONS:
        return ""
    step = system.stages[system.at(d.place.iteration)[0]].plan.steps[d.place.step].step
    own = [n for n in step.update if f"loss_{n} " in f"{d.name} "]
    for network in own or step.update:
        if cause := _cause(d.place, network, system, (ours, theirs), feed, how):
            return cause
    return ""


def _cause(
    place: Place,
    network: str,
    system: System,
    computed: tuple[Record, Record],
    feed: Callable[[], Any],
    how: Mapping[str, Any],
) -> str:
    """Returns: what was done with the loss of a network; "" where nothing is recognised, or where its gradients agree."""
    start = f"gradient of loss_{network} by {network}/"
    right, wanted = (
        {q.name.removeprefix(start): q.value for q in record.values() if q.name.startswith(start)}
        for record in computed
    )
    near = _NEAR[how["dtype"]]
    if not wanted or (right.keys() == wanted.keys() and _distance(right, wanted) <= near):
        return ""
    value = next((q.value for q in computed[1].values() if q.kind == "loss" and f"loss_{network} " in q.name), None)
    for number, (cause, loss) in enumerate(changes(system.loss, network)):
        if number == MOST:
            break
        try:
            changed = _with_loss(system, loss)
        except (SpecError, FormulaError):  # such a loss means nothing
            continue
        with np.errstate(all="ignore"):
            gradients, own = _trained(changed, place, network, feed(), how)
        if value is not None and abs(own - float(value)) > near * max(abs(own), abs(float(value))):
            continue
        if gradients.keys() == wanted.keys() and _distance(gradients, wanted) <= near:
            return cause
    return ""


def _with_loss(system: System, loss: Loss) -> System:
    problems, used = Problems(), set[str]()
    stages = tuple(
        replace(s, plan=make_plan(loss, system.schedule, s.networks, s.symbols, problems=problems, used=used))
        for s in system.stages
    )
    problems.stop_if_any()
    return replace(system, loss=loss, stages=stages)


def _trained(
    system: System, place: Place, network: str, next_batch: Callable[[], Any], how: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], float]:
    """Returns: gradients of a network's loss by its parameters in one repeat, and the loss."""
    backend = backends.load(how["backend"])
    options = {"dtype": "float64", "device": how["device"], "draws": how["draws"]}
    trainer = backends.make_trainer(how["backend"], system, how["seed"], **options)
    for iteration in range(place.iteration + 1):
        for step, repeat in trainer.repeats():
            result = trainer.compute(step, repeat, next_batch)
            if (iteration, step, repeat) == (place.iteration, place.step, place.repeat):
                found = result.gradients[network]
                value = backend.to_numpy(result.values[result.plan.losses[network]])
                return {path: backend.to_numpy(g) for path, g in found.items()}, float(value)
            trainer.update(result)
        trainer.end_iteration()
    return {}, 0.0


def _distance(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    apart = sum(float(((a[path].ravel() - b[path].ravel()) ** 2).sum()) for path in a if a[path].size == b[path].size)
    whole = sum(float((b[path] ** 2).sum()) for path in b)
    return (apart / whole) ** 0.5 if whole else float("inf")
