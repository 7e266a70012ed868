"""The steps of a schedule, read off the order of a recorded iteration's evaluations and updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ganspec.spec.text.formula import Binary, Call, Expression, Name, Negative, render
from ganspec.tools.updaters.recording import Evaluation, Loss, Recording, Update
from ganspec.tools.updaters.trees import flowing, names_in, rewritten, walk


@dataclass
class LiftedStep:
    """Updates that are simultaneous.

    Args:
        losses: formula by network, in the order of updates; None where it could not be read.
        lines: line of each network's update.
        why: why a formula could not be read, by network.
        evaluations: evaluations of networks that the losses read.
        first, last: times of the first and last update.
        repeat: how often the step is done.
        repeats: the steps that became one by it.
        reuse: networks whose values are taken over from an earlier step.
    """

    losses: dict[str, Expression | None]
    lines: dict[str, str]
    why: dict[str, str]
    evaluations: list[Evaluation]
    first: int
    last: int
    repeat: int = 1
    repeats: list[LiftedStep] = field(default_factory=list)
    reuse: tuple[str, ...] = ()

    def names(self) -> set[str]:
        """Returns: all names that its formulas read."""
        return {n for tree in self.losses.values() if tree is not None for n in names_in(tree)}


def read_steps(recording: Recording) -> list[LiftedStep]:
    """Returns: the steps of an iteration, each once; equal ones that follow each other are repeats."""
    steps: list[LiftedStep] = []
    for update in recording.updates:
        losses = [loss for loss in update.losses if _concerns(update.network, loss)]
        read = _evaluations(recording, losses)
        if steps and update.network not in steps[-1].losses and _sees_the_same(steps[-1], read):
            step = steps[-1]
        else:
            step = LiftedStep({}, {}, {}, [], update.at, update.at)
            earlier = {e.network for e in read if steps and e.at < steps[-1].last}
            later = {e.network for e in read if steps and e.at > steps[-1].last}
            step.reuse = tuple(sorted(earlier - later))
            steps.append(step)
        _add(step, update, losses, read)
    return _with_repeats(steps)


def _add(step: LiftedStep, update: Update, losses: Sequence[Loss], read: list[Evaluation]) -> None:
    step.last = update.at
    step.evaluations += [e for e in read if e not in step.evaluations]
    step.lines[update.network] = losses[0].line if losses else update.line
    bad = next((loss.lifted.why for loss in losses if loss.lifted.tree is None), None)
    step.losses[update.network] = None
    if bad is not None:
        step.why[update.network] = bad
    elif not losses:
        step.why[update.network] = f"{update.line}: {update.network} is updated, but no loss was differentiated before"
    else:
        found = [term for loss in losses for term in terms(loss.lifted.formula())]
        # Batch norm and dropout see evaluations in the order of the formula: it is that of his code.
        times = {e.tree: e.at for e in read}
        total: Expression | None = None
        for term in sorted(found, key=lambda term: max((times.get(t, 0) for t in walk(term)), default=0)):
            if total is None:
                total = term
            else:
                total = Binary("-", total, term.operand) if isinstance(term, Negative) else Binary("+", total, term)
        step.losses[update.network] = total
        order = {n: _first(step.losses[n], step.evaluations) for n in step.losses}
        step.losses = {n: step.losses[n] for n in sorted(step.losses, key=order.__getitem__)}


def terms(tree: Expression) -> list[Expression]:
    """Returns: the terms of a sum, those that are subtracted as negatives."""
    match tree:
        case Binary("+", left, right):
            return [*terms(left), *terms(right)]
        case Binary("-", left, right):
            return [*terms(left), *(t.operand if isinstance(t, Negative) else Negative(t) for t in terms(right))]
        case Negative(Binary("+" | "-") as inner):
            return [t.operand if isinstance(t, Negative) else Negative(t) for t in terms(inner)]
    return [tree]


def _first(tree: Expression | None, evaluations: Sequence[Evaluation]) -> int:
    """Returns: the time of the first evaluation that a formula reads."""
    inside = set(walk(tree)) if tree is not None else set()
    return min((e.at for e in evaluations if e.tree in inside), default=0)


def _concerns(network: str, loss: Loss) -> bool:
    """Returns: whether a loss depends on a network, or may, for its formula is not known."""
    if loss.lifted.tree is None:
        return True
    return any(isinstance(t, Call) and t.function == network for t in flowing(loss.lifted.formula()))


def _evaluations(recording: Recording, losses: Sequence[Loss]) -> list[Evaluation]:
    """Returns: the evaluations that losses read: of each formula the newest that was made before."""
    found = []
    for loss in losses:
        calls = (
            {t for t in walk(loss.lifted.formula()) if isinstance(t, Call)} if loss.lifted.tree is not None else set()
        )
        for call in calls & {e.tree for e in recording.evaluations if e.tree is not None}:
            found.append([e for e in recording.evaluations if e.tree == call and e.at < loss.at][-1:])
        if loss.lifted.tree is None:
            found.append([e for e in recording.evaluations if e.at < loss.at][-3:])
    return sorted((e for each in found for e in each), key=lambda e: e.at)


def _sees_the_same(step: LiftedStep, read: Sequence[Evaluation]) -> bool:
    """Returns: whether what an update reads was evaluated with the parameters from before a step."""
    moved = step.losses
    return (
        bool(read)
        and not any(e.at > step.first and e.network in moved for e in read)
        and any(e.at < step.first for e in read)
    )


def _with_repeats(steps: list[LiftedStep]) -> list[LiftedStep]:
    found: list[LiftedStep] = []
    for step in steps:
        if found and _signature(found[-1]) == _signature(step):
            found[-1].repeat += 1
            found[-1].repeats.append(step)
        else:
            step.repeats = [replace(step, repeats=[])]
            found.append(step)
    return found


def _signature(step: LiftedStep) -> tuple[object, ...]:
    """Returns: what makes two steps the same: networks and formulas, whichever draws they read."""
    texts: list[tuple[str, str]] = []
    for network, tree in step.losses.items():
        if tree is None:
            texts.append((network, step.why[network]))
            continue
        draws = [n for n in _in_order(tree) if n.startswith("draw_")]
        new: dict[Expression, Expression] = {Name(n): Name(f"d{i}") for i, n in enumerate(dict.fromkeys(draws))}
        texts.append((network, render(rewritten(tree, new))))
    return (*texts, step.reuse)


def _in_order(tree: Expression) -> list[str]:
    return [t.name for t in walk(tree) if isinstance(t, Name)]
