"""Compare your own implementation with a system: `check` a whole training step, or one part of it.

See docs/conformance.md. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "ConformanceError": "errors",
    "ConformanceReport": "report",
    "check": "check",
    "check_loss": "parts",
    "check_network": "parts",
    "check_optimizer": "parts",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"ganspec.tools.conformance.{_HOMES[name]}"), name)
