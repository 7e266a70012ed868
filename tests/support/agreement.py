"""Witnesses on one system, and what a test says where they do not agree."""

from __future__ import annotations

from typing import Any

from ganspec.spec.system import System
from ganspec.tools.agreement import Comparison, Report, crosscheck_system
from ganspec.tools.reporting import render_terminal


def assert_witnesses_agree(system: System, *, iterations: int = 2, **options: Any) -> Comparison:
    """Assert that both backends and the reference agree; the options are those of `crosscheck_system`."""
    comparison = crosscheck_system(system, iterations=iterations, **options)
    assert comparison.agrees, "\n".join(["", *render_terminal(Report((comparison,), {}))])
    return comparison
