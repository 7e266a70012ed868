"""Which checkpoints of a run are kept: the table `run.keep`."""

from __future__ import annotations

from dataclasses import dataclass

from ganspec.spec.text.tables import Table

# Kept where a system says nothing: a run resumes from the newest, the others are for when that one is damaged.
NEWEST = 3


@dataclass(frozen=True)
class Keep:
    """Which checkpoints of a run are kept; all others are deleted once newer ones are there.

    Args:
        last: number of the newest that are kept.
        every: those of each iteration that is a multiple of this are kept, too; 0 for none.
        best: name of the metric by which the best one is kept, too; "" for none.
    """

    last: int
    every: int
    best: str


def read_keep(run: Table) -> Keep | None:
    """Read the optional table `keep` of the table `[run]`."""
    if (table := run.optional("keep", removable=True)) is None:
        return None
    if not table.data:
        table.note("", "says nothing", "give last, every or best, or delete the table")
    table.read.add("every")
    keep = Keep(table.size("last", NEWEST), table.size("every") if "every" in table else 0, table.line("best", ""))
    each = run.size("checkpoint_every")
    if keep.every % each:
        table.note("every", f"expected a multiple of run.checkpoint_every, {each}, found {keep.every}")
    table.close()
    return keep
