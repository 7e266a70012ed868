"""Both backends on one system, and on what they disagree."""

from __future__ import annotations

from collections.abc import Iterable

from ganspec.spec.system import System
from ganspec.tools.agreement import Finding, Trace, compare, trace


def both(
    system: System, *, seed: int = 0, dtype: str = "float64", device: str = "cpu", iterations: int = 2
) -> tuple[Trace, Trace]:
    """Returns: what PyTorch computes and what Chainer computes, from the same states."""
    options = {"seed": seed, "dtype": dtype, "device": device, "iterations": iterations}
    torch = trace("torch", system, **options)
    return torch, trace("chainer", system, **options, states=torch.states)


def disagreements(findings: Iterable[Finding]) -> list[str]:
    """Returns: a line for each finding that is beyond its bound."""
    return [f"{f.kind}: {f.worst:.1e} > {f.bound:.1e} at {f.where}" for f in findings if not f.agrees]


def assert_backends_agree(system: System, **options: int) -> None:
    """Assert that the backends agree in float64; the options are those of `both`."""
    assert disagreements(compare(*both(system, **options))) == []
