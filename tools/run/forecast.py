"""How long a run will take, said once, from its own first iterations. A dry run measures beforehand (see `rehearsal`)."""

from __future__ import annotations

from ganspec.spec.system import System

_LEAST_SECONDS = 5.0  # for which iterations are measured
_LEAST_ITERATIONS = 2


class Forecast:
    """Measures the first iterations of a training, all but the very first, which warms up.

    Args:
        system: system that is trained.
        unit: what is counted: "iterations", or "batches" where their number per iteration depends on what training does.
        start: number of them that were done before.
        total: number of them at the end.
        each: batches that each iteration draws; None where iterations differ.
    """

    def __init__(self, system: System, unit: str, start: int, total: float, each: int | None) -> None:
        self.system, self.unit, self.start, self.total, self.each = system, unit, start, total, each
        self.first: tuple[float, int] | None = None  # when the measuring began, and what was done before
        self.iterations = 0
        self.said = False

    def after(self, done: int, now: float) -> str | None:
        """Note that an iteration is done.

        Args:
            done: number of iterations or batches that are done in all.
            now: time in seconds.

        Returns: how long training will take, as a line for people, when enough is measured; None before and afterwards.
        """
        if self.said:
            return None
        if self.first is None:
            self.first = (now, done)
            return None
        self.iterations += 1
        begun, before = self.first
        if now - begun < _LEAST_SECONDS or self.iterations < _LEAST_ITERATIONS or done == before:
            return None
        self.said = True
        count, seconds = self.total - self.start, (now - begun) / (done - before)
        more = "more " if self.start else ""
        line = f"about {duration(count * seconds)}: {count:,.0f} {more}{self.unit} at {seconds:.3g} s"
        return f"{line}, measured over {done - before:,}{self._doubt()}"

    def _doubt(self) -> str:
        """Returns: why this may be far from what will be."""
        growth, batch = self.system.growth, self.system.run.batch
        last = growth.first_iteration(growth.stages - 1, batch) if growth else None
        if last is not None and last > self.start:
            return f"; the networks grow until iteration {last:,}, and larger ones take longer"
        return "" if self.each is not None else "; iterations differ in length, so this is rough"


def duration(seconds: float) -> str:
    """Returns: a time for people: "3 s", "5 min 20 s", "7 h 12 min", "12 days 3 h"."""
    whole = max(1, round(seconds))
    for size, name, smaller, least in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size:,} {name} {whole % size // smaller} {least}"
    return f"{whole} s"
