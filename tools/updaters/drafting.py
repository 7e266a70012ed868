"""A draft of loss, schedule and system, as TOML, lifted from a recorded iteration of somebody's updater.

It is a draft until the lockstep has proved it. Networks are those of the system that he named; what could not be read is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganspec.spec.system import System
from ganspec.spec.text.formula import Expression, Name, render
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.batches import Batches
from ganspec.tools.updaters.building import Built
from ganspec.tools.updaters.carried import Recorded, record
from ganspec.tools.updaters.roles import Draws
from ganspec.tools.updaters.steps import LiftedStep, read_steps
from ganspec.tools.updaters.trees import rewritten
from ganspec.tools.updaters.writing import LossParts, defined, schedule_file, system_file


@dataclass
class Draft:
    """A draft.

    Args:
        files: text by name of the file: loss.toml, schedule.toml, system.toml.
        readings: each network's loss as a formula.
        defines: what these abbreviate, such as x_hat.
        reports: the draft's name by his, of numbers that he reports.
        left: what could not be lifted, with his file:line; empty where the draft is whole.
    """

    files: dict[str, str]
    readings: dict[str, str]
    defines: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def make_draft(recorded: Recorded, system: System, base: str, optimizers: Mapping[str, Any], source: str) -> Draft:
    """Write what an updater did as files of the language.

    Args:
        recorded: iterations of it.
        system: the system of his networks.
        base: how the system was named; the draft is like it.
        optimizers: his optimisers, by network.
        source: "updater.py:Updater", for the files' sources.
    """
    recording, draft = recorded.iterations[0], Draft({}, {})
    steps = _unified_steps(recorded, draft)
    draws = Draws(recording, system, steps)
    losses: dict[str, tuple[Expression, str]] = {}
    for step in steps:
        for network, tree in step.losses.items():
            if tree is None:
                draft.left.append(f"the loss of {network}: {step.why[network]}")
                continue
            named = draws.named(tree)
            if network in losses and losses[network][0] != named:
                draft.left.append(
                    f"{step.lines[network]}: {network} is updated a second time by another loss,"
                    f" {render(named)}; a system has one loss per network"
                )
            losses.setdefault(network, (named, step.lines[network]))
    if not steps:
        draft.left.append("no update: no optimiser of these networks moved them in the recorded iteration")
    short = {tree: Name(name) for tree, name in defined([tree for tree, _ in losses.values()]).items()}
    draft.readings = {n: render(rewritten(tree, short)) for n, (tree, _) in losses.items()}
    draft.defines = {name.name: render(tree) for tree, name in short.items()}
    parts = LossParts(recorded, system, steps, losses, draws, source, draft.left)
    draft.files["loss.toml"] = parts.loss_file()
    draft.reports = parts.reports
    draft.files["schedule.toml"] = schedule_file(recording, steps, draws, source, draft.left)
    draft.files["system.toml"] = system_file(system, base, draws, optimizers, source, draft.left)
    return draft


def read_losses(system: System, built: Built, batches: Batches, seed: int) -> Draft | None:
    """Returns: a draft for the sake of its readings: the losses as his updater computes them; None where it fails."""
    try:
        return make_draft(record(system, built, batches, seed), system, system.name, {}, "")
    except UserError:
        return None


def _unified_steps(recorded: Recorded, draft: Draft) -> list[LiftedStep]:
    """Returns: the steps of an iteration, with carried numbers by their names, if every iteration has the same steps."""
    each = [read_steps(recording) for recording in recorded.iterations]
    steps = each[0]
    for number, other in enumerate(each):
        if [(list(s.losses), s.repeat) for s in other] != [(list(s.losses), s.repeat) for s in steps]:
            done = ", ".join(f"{'+'.join(s.losses)} {s.repeat}x" for s in other)
            draft.left.append(
                f"iteration {number} has other steps than the first: {done}; a draft has those of the first"
            )
            each = each[:number]
            break
    for i, step in enumerate(steps):
        for network in step.losses:
            if step.losses[network] is None:
                continue
            step.losses[network] = recorded.unified([e[i].losses[network] for e in each])
            if step.losses[network] is None:
                step.why[network] = f"{step.lines[network]}: its formula changes from iteration to iteration"
    return steps
