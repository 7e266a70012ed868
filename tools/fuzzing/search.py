"""Looks for a system on which the witnesses disagree, and shrinks what it finds."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Flaky

from ganspec.tools.fuzzing.judging import disagreement, judged
from ganspec.tools.fuzzing.systems import systems
from ganspec.tools.fuzzing.writing import Drawn

PORTION = 100  # systems that are drawn from one seed; after a find the search goes on with the next portion


@dataclass(frozen=True)
class Find:
    """A system on which something is wrong.

    Args:
        drawn: the system, as small as hypothesis could make it.
        what: the first disagreement, or the traceback.
    """

    drawn: Drawn
    what: str


class _Found(Exception):
    """Something is wrong with a drawn system; hypothesis shrinks it then."""


def failure(drawn: Drawn) -> str:
    """Returns: what is wrong with a system: a disagreement, or the end of a traceback; empty where nothing is."""
    try:
        return disagreement(judged(drawn))
    except Exception as error:  # a valid system that a witness cannot compute is a find, whatever it raises
        return "".join(traceback.format_exception(error)[-3:]).strip()


def search(examples: int, seed: int, tried: Callable[[], None] = lambda: None) -> Iterator[Find]:
    """Draw systems, and compare all witnesses on each.

    Args:
        examples: number of systems.
        seed: seed of the search; the same seed finds the same.
        tried: called after each system, those of shrinking not counted.

    Yields: what was found, shrunk.
    """
    for portion in range(-(-examples // PORTION)):
        found = _portion(min(PORTION, examples - portion * PORTION), seed * 1_000_003 + portion, tried)
        if found is not None:
            yield found


def _portion(examples: int, seed: int, tried: Callable[[], None]) -> Find | None:
    last: list[Find] = []

    @seeded(seed)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    @given(systems())
    def examine(drawn: Drawn) -> None:
        if not last:
            tried()
        if what := failure(drawn):
            last.append(Find(drawn, what))
            raise _Found

    try:
        examine()
    except (_Found, Flaky):
        return last[-1]  # hypothesis ends with the smallest
    return None
