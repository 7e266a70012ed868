"""Witnesses on one system, and what a test says where they do not agree."""

from __future__ import annotations

from typing import Any

from ganspec.spec import SpecError, System, load_system
from ganspec.tools.agreement import Comparison, Report, crosscheck_system
from ganspec.tools.reporting import render_terminal


def quick_system(name: str) -> System:
    """Returns: a packaged system at its reduced sizes, with two critic steps where it has more: the third is as the second."""
    try:
        return load_system(name, ["schedule.critic_steps=2"], reduced=True)
    except SpecError:  # its schedule has no such number
        return load_system(name, reduced=True)


def assert_witnesses_agree(system: System, *, iterations: int = 2, **options: Any) -> Comparison:
    """Assert that both backends and the reference agree; the options are those of `crosscheck_system`."""
    comparison = crosscheck_system(system, iterations=iterations, **options)
    assert comparison.agrees, "\n".join(["", *render_terminal(Report((comparison,), {}))])
    return comparison
