"""The backends by name; each is imported only when it is needed."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from ganspec.spec.training.record import BACKENDS
from ganspec.tools.errors import UserError

NAMES = BACKENDS


def load(name: str) -> ModuleType:
    """Import a backend.

    Args:
        name: "torch" or "chainer".

    Returns: `impl_torch` or `impl_chainer`; its framework is imported.

    Raises:
        UserError: the framework is not installed or does not import.
    """
    try:
        module = importlib.import_module(f"ganspec.impl_{name}")
        module.Trainer  # noqa: B018 (impl_chainer imports Chainer on first use)
    except ImportError as error:
        raise UserError(_remedy(name, error)) from error
    return module


def make_trainer(name: str, *arguments: Any, **options: Any) -> Any:
    """Make a trainer of a backend.

    Args:
        name: "torch" or "chainer".
        arguments: system, seed and, if wanted, state, as the backend's `Trainer` takes them.
        options: dtype, device and draws, likewise.

    Returns: the trainer.

    Raises:
        UserError: the framework or the device is not there.
    """
    backend = load(name)
    try:
        return backend.Trainer(*arguments, **options)
    except backend.DeviceError as error:
        raise UserError(str(error)) from None


def _remedy(name: str, error: ImportError) -> str:
    package = {"torch": "PyTorch", "chainer": "Chainer"}[name]
    install = {
        "torch": "pip install 'ganspec[torch]'",
        "chainer": "pip install 'setuptools<81' wheel && pip install --no-build-isolation 'ganspec[chainer]'",
    }[name]
    if error.name == name:
        return f"{package} is not installed; install it with: {install}"
    return f"{package} does not import: {error}"
