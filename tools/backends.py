"""The backends by name; each is imported only when it is needed.

ganspec's own are "torch", "chainer" and "reference". Other packages add theirs with an entry point of the group
`ganspec.backends`; `ganspec.spec.training.protocol` says what a backend has.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, version
from typing import Any, cast

from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.spec.training.protocol import (
    BACKENDS,
    EXECUTES,
    GROUP,
    HOMES,
    REFERENCE,
    TRAINS,
    Backend,
    other_backends,
    training_backends,
)
from ganspec.tools.errors import UserError

NAMES = BACKENDS
_HELP = "docs/backends.md says what a backend has"


def names() -> tuple[str, ...]:
    """Returns: the names of all backends: those that ganspec brings, the reference among them, and those of other packages."""
    return (*HOMES, *other_backends())


def load(name: str, *, to_train: bool = False, device: str = "cpu") -> Backend:
    """Import a backend.

    Args:
        name: "torch", "chainer", "reference", or the name of another package's backend.
        to_train: whether it must be able to train.
        device: device that one of ganspec's own backends must find.

    Returns: the backend's module; its framework is imported.

    Raises:
        UserError: there is no such backend, it or its framework does not import, it lacks a part, it cannot train, or the
            device is not there.
    """
    if name in HOMES:
        try:
            module = importlib.import_module(HOMES[name])
            module.Trainer  # noqa: B018 (impl_chainer imports Chainer on first use)
        except ImportError as error:
            raise UserError(_remedy(name, error)) from error
    else:
        module = _load_other(name)
    if to_train:
        _check_trains(name, module)
    if device != "cpu" and name in NAMES:
        try:
            module.ArrayContext(device, "float32")
        except module.DeviceError as error:
            raise UserError(str(error)) from None
    return cast(Backend, module)


def make_trainer(name: str, *arguments: Any, **options: Any) -> Any:
    """Make a trainer of a backend.

    Args:
        name: name of the backend, as `load` takes it.
        arguments: system, seed and, if wanted, state, as the backend's `Trainer` takes them.
        options: dtype, device and draws, likewise.

    Returns: the trainer.

    Raises:
        UserError: the framework or the device is not there, or the backend does not cover the system.
    """
    backend = load(name)
    try:
        return backend.Trainer(*arguments, **options)
    except (backend.DeviceError, NotImplementedError) as error:
        raise UserError(str(error)) from None


def versions(name: str) -> dict[str, str]:
    """Returns: the version of a backend's framework, or of the package that brings the backend, by its name."""
    if name in NAMES:
        return {name: version(name)}
    return {point.dist.name: point.dist.version for point in other_backends().get(name, ()) if point.dist}


def _load_other(name: str) -> Any:
    """Import the backend of another package, and look whether it has all parts."""
    found = other_backends()
    if name not in found:
        hint = did_you_mean(name, names())
        message = f"there is no backend '{name}': {expected_one_of(names())}"
        raise UserError(f"{message}; {hint}" if hint else message)
    points = found[name]
    if len(points) > 1:
        packages = " and ".join(sorted(map(_package, points)))
        raise UserError(f"the backend '{name}' is offered by {packages}; uninstall all of them but one")
    where = f"the backend '{name}' ({GROUP} of {_package(points[0])}: {points[0].value})"
    try:
        module = points[0].load()
    except (Exception, SystemExit) as error:  # a stranger's module raises what it likes
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise UserError(f"{where} does not import: {text}; mend that package, or uninstall it") from error
    missing = [part for part in ("Trainer", "to_numpy", "DeviceError") if not hasattr(module, part)]
    missing += [
        f"Trainer.{part}" for part in EXECUTES if hasattr(module, "Trainer") and not hasattr(module.Trainer, part)
    ]
    if not missing and not _is_exception(module.DeviceError):
        missing.append("DeviceError, a class of exceptions")
    if missing:
        raise UserError(f"{where} lacks {', '.join(missing)}; {_HELP}")
    return module


def _check_trains(name: str, module: Any) -> None:
    missing = [f"Trainer.{part}" for part in TRAINS if not hasattr(module.Trainer, part)]
    if name == REFERENCE:
        valid = expected_one_of(training_backends())
        raise UserError(f"the reference computes no gradients, so it cannot train alone; {valid} (--backend)")
    if missing:
        raise UserError(f"the backend '{name}' cannot train: it lacks {', '.join(missing)}; {_HELP}")


def _is_exception(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Exception)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"


def _remedy(name: str, error: ImportError) -> str:
    if name == REFERENCE:
        return f"the reference does not import: {error}"
    package = {"torch": "PyTorch", "chainer": "Chainer"}[name]
    install = {
        "torch": "pip install 'ganspec[torch]'",
        "chainer": "pip install 'setuptools<81' wheel && pip install --no-build-isolation 'ganspec[chainer]'",
    }[name]
    if error.name == name:
        return f"{package} is not installed; install it with: {install}"
    return f"{package} does not import: {error}"
