"""Which checkpoints of a run are kept: the newest, some of each age, the best. All others may be deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ganspec.spec.parts.keep import NEWEST, Keep
from ganspec.spec.parts.settings import Run
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.errors import UserError, command
from ganspec.tools.quality.figures import LOWER_IS_BETTER, NAME, Figure, read_figures

BY_LOOKING = ("diversity", "classes", "class_entropy")  # what every look at samples measures (`quality.watch`)


def check_best(keep: Keep | None) -> None:
    """Raises: UserError: nothing measures what a system calls the best; the message lists what is measured."""
    if keep is not None and keep.best and keep.best not in LOWER_IS_BETTER:
        message = f"run.keep.best: nothing measures '{keep.best}': {expected_one_of(LOWER_IS_BETTER)}"
        hint = did_you_mean(keep.best, LOWER_IS_BETTER)
        raise UserError(f"{message}; {hint}" if hint else message)


def best_lines(run: Run, folder: Path) -> list[str]:
    """Tell of a best checkpoint that nobody has measured, and that the run will not measure: `ganspec evaluate` may.

    Args:
        run: how the system is trained.
        folder: path of the run's folder.

    Returns: lines for people; none where all is well.

    Raises:
        UserError: the figures of the folder cannot be read.
    """
    best = run.keep.best if run.keep else ""
    measured = {*BY_LOOKING, *(run.metrics.measure if run.metrics else ())}
    if not best or best in measured or any(figure.metric == best for figure in read_figures(folder / NAME)):
        return []
    table = f"run.metrics={{ measure = ['{best}'], every = 1000, images = 2000 }}"
    return [
        f"run.keep.best: this run does not measure '{best}', so no checkpoint is kept as the best until '"
        + command("ganspec", "evaluate", folder)
        + f'\' has measured one; to measure it while training: --set "{table}"'
    ]


def superfluous(iterations: Iterable[int], keep: Keep | None, figures: Iterable[Figure] = ()) -> list[int]:
    """Choose the checkpoints that may be deleted.

    Args:
        iterations: iterations of the checkpoints that there are.
        keep: what the system says about them; None for the newest three.
        figures: figures of the run, in the order in which they were measured.

    Returns: the iterations of the others, in order. The newest checkpoint is never among them.
    """
    there = sorted(iterations)
    kept = set(there[-(keep.last if keep else NEWEST) :])
    if keep is not None and keep.every:
        kept |= {i for i in there if i and i % keep.every == 0}
    if keep is not None and keep.best:
        kept |= best_of(there, keep.best, figures)
    return [i for i in there if i not in kept]


def best_of(iterations: Collection[int], metric: str, figures: Iterable[Figure]) -> set[int]:
    """Find the checkpoint with the best figure.

    Figures of different protocols cannot be compared: only those with the protocol of the last one count. Of equal figures the
    later is taken, and of an iteration that was measured twice the later figure.

    Args:
        iterations: iterations of the checkpoints that there are.
        metric: name of the metric.
        figures: figures of the run, in the order in which they were measured.

    Returns: the iteration; nothing where none of them was measured.
    """
    own = [figure for figure in figures if figure.metric == metric]
    values = {f.iteration: f.value for f in own if f.protocol == own[-1].protocol and f.iteration in iterations}
    sign = 1 if LOWER_IS_BETTER[metric] else -1
    return {min(values, key=lambda i: (sign * values[i], -i))} if values else set()
