"""What a check found, and how it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ganspec.tools.agreement.report import Comparison, Difference, Row

OURS, YOURS = "ganspec", "yours"
RECENT: deque[ConformanceReport] = deque(maxlen=100)  # reports that were made, for pytest's sections


@dataclass(frozen=True, repr=False)
class ConformanceReport:
    """What a check found.

    Args:
        comparison: the comparison of ganspec with the code, as every report of ganspec is made of it.
        backend: framework of the code, beside whose trainer it was run.
        suggestion: the convention under which everything agrees; "" where there is none.
        notes: what was not compared, and why.
        conventions: those that were declared.
    """

    comparison: Comparison
    backend: str
    suggestion: str = ""
    notes: tuple[str, ...] = ()
    conventions: Mapping[str, object] | None = None

    @property
    def agrees(self) -> bool:
        """Whether every quantity that was compared agrees, and there is at least one."""
        return self.comparison.agrees

    @property
    def first(self) -> Difference | None:
        """The first quantity, in the order of evaluation, that disagrees; None where all agree."""
        return self.comparison.first.difference if self.comparison.first else None

    def __repr__(self) -> str:
        """Returns: one line, which pytest shows whole of `assert report.agrees, report`."""
        if self.first is None:
            return f"<{self.comparison.system}: your code {'agrees' if self.agrees else 'was not compared'}>"
        d = self.first
        source = f" ({d.source})" if d.source else ""
        return f"<{self.comparison.system}: your code differs first at {d.place}: {_what(d)}{source}>"

    def __str__(self) -> str:
        c = self.comparison
        how = f"{c.iterations} iterations, batch {c.batch}, {c.dtype}, {c.device}, seed {c.seed}, {self.backend}"
        how += f", {c.seconds:.1f} s"
        lines = [f"{c.system}: {'your code agrees' if self.agrees else 'your code differs'} ({how})"]
        if c.first is not None:
            lines += _story(c.first.difference, c.first.values, c.first.guess)
        if self.suggestion:
            lines.append(f"  {self.suggestion}")
        lines += _table(c.rows)
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __post_init__(self) -> None:
        RECENT.append(self)


def _story(d: Difference, values: tuple[str, ...], guess: str) -> list[str]:
    lines = ["  the first difference, in the order of evaluation:", f"    {d.place}: {_what(d)}"]
    lines += [f"    defined at {d.source}"] if d.source else []
    if d.reason:
        lines.append(f"    {d.reason}")
    else:
        share = f", {d.error / d.size:.1e} of its size" if d.size else ""
        lines.append(f"    apart by {d.error:.3g}{share}; one rounding explains {d.allowance:.3g}")
    lines += [f"      {line}" for line in values]
    lines += [f"    probable cause: {guess}"] if guess else []
    return lines


def _what(d: Difference) -> str:
    return d.name if d.name.startswith((d.kind, "gradient")) else f"{d.kind} {d.name}"


def _table(rows: tuple[Row, ...]) -> list[str]:
    if not rows:
        return ["  nothing was compared"]
    lines = [f"  {'kind':<20} {'compared':>8} {'wrong':>6}  worst share of what is allowed"]
    for row in rows:
        worst = f"{row.worst.ratio:.2g}" if not row.worst.reason else row.worst.reason
        lines.append(
            f"  {row.kind:<20} {row.compared:>8} {row.wrong:>6}  {worst}: {row.worst.name} ({row.worst.place})"
        )
    return lines
