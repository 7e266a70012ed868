"""Chainer, interpreting the spec. Twin of `impl_torch`: the same files, names, signatures and order.

`ganspec.impl_chainer.compat` makes Chainer import on a current stack. It is applied here, before any module of this package
imports Chainer. It is usable alone, too, so nothing else is imported before it is asked for.
"""

from __future__ import annotations

from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

__all__ = ["ArrayContext", "DeviceError", "Network", "StepResult", "Trainer", "evaluate", "to_numbers", "to_numpy"]

_HOMES = {
    "DeviceError": "arrays",
    "StepResult": "trainer",
    "Network": "network",
    "ArrayContext": "arrays",
    "Trainer": "trainer",
    "evaluate": "network",
    "to_numbers": "arrays",
    "to_numpy": "arrays",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"ganspec.impl_chainer.{_HOMES[name]}"), name)
