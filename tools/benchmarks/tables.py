"""Tables of figures, for terminals and as Markdown."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import TextIO

from ganspec.spec.text.errors import printable
from ganspec.tools.benchmarks.timing import Measurement

LEAST_QUARTILES = 4  # rounds; quartiles of fewer would be made up by interpolation


class Table:
    """A table that is printed row by row, as its rows are measured.

    Args:
        columns: heading of each column; the widest cell that is expected in it sets its width, by `widths`.
        widths: number of characters of each column on a terminal; negative where text stands on the left.
        markdown: whether rows are written as Markdown.
        to: where rows go; the standard output if None.
    """

    def __init__(
        self, columns: Sequence[str], widths: Sequence[int], *, markdown: bool = False, to: TextIO | None = None
    ) -> None:
        self.columns, self.widths, self.markdown, self.to = list(columns), list(widths), markdown, to
        self.row(self.columns)
        if markdown:
            self._print("|" + "|".join("---" if width < 0 else "---:" for width in self.widths) + "|")

    def row(self, cells: Sequence[str]) -> None:
        """Print a row."""
        cells = [printable(cell) for cell in cells]
        if self.markdown:
            self._print("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            return
        padded = (f"{c:<{-w}}" if w < 0 else f"{c:>{w}}" for c, w in zip(cells, self.widths, strict=True))
        self._print("  ".join(padded).rstrip())

    def _print(self, line: str) -> None:
        print(line, file=self.to or sys.stdout, flush=True)


def speed_table(*, alone: bool, memory: bool, markdown: bool) -> Table:
    """Returns: the table of what was timed, with its heading printed."""
    columns, widths = ["system", "backend", "batch", "ours"], [-20, -8, 5, 9]
    if not alone:
        columns, widths = [*columns, "theirs", "theirs/ours", "quartiles"], [*widths, 9, 11, -11]
    else:
        columns, widths = [*columns, "images/s"], [*widths, 9]
    if memory:
        columns, widths = (
            [*columns, "MB", *(["MB theirs"] if not alone else [])],
            [*widths, 6, *([9] if not alone else [])],
        )
    return Table(columns, widths, markdown=markdown)


def speed_cells(each: Measurement) -> list[str]:
    """Returns: the cells of a measurement in that table.

    Times are milliseconds, memory is in units of 10^6 bytes. Fewer than `LEAST_QUARTILES` rounds have no quartiles.
    """
    cells = [each.request.system, each.request.backend, str(each.batch), milliseconds(each.ours)]
    if each.theirs:
        low, middle, high = each.ratio()
        spread = f"{low:.2f}..{high:.2f}" if len(each.ours) >= LEAST_QUARTILES else ""
        cells += [milliseconds(each.theirs), f"{middle:.2f}x", spread]
    else:
        cells.append(f"{each.images_per_second():,.0f}")
    return cells + [f"{each.memory[side] / 1e6:,.0f}" for side in ("ours", "theirs") if side in each.memory]


def milliseconds(rounds: Sequence[float]) -> str:
    """Returns: the median of some seconds, in milliseconds with three or more digits."""
    value = 1000 * statistics.median(rounds)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"
