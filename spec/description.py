"""A system as plain data, and how two systems differ.

The description holds everything that changes what is computed, and nothing else: no titles, no sources, no length of the run.
Run records and checkpoints hold it; a run resumes only under an equal description.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ganspec.spec.network.architecture import Architecture
from ganspec.spec.parts.settings import Data, Growth
from ganspec.spec.system import System
from ganspec.spec.text.errors import printable
from ganspec.spec.text.formula import render

MAX_LINES = 20  # of differences that a message shows
_MAX_VALUE = 60  # characters of a value in one of them
_ABSENT = object()


def describe(system: System) -> dict[str, Any]:
    """Returns: the system as dictionaries, lists, texts and numbers, equal for systems that compute the same."""
    loss = system.loss
    return {
        "networks": [
            {name: _architecture(network) for name, network in stage.networks.items()} for stage in system.stages
        ],
        "loss": {
            "constants": dict(loss.constants),
            "define": {
                f"{name}({', '.join(d.parameters)})" if d.parameters else name: render(d.formula.tree)
                for name, d in loss.definitions.items()
            },
            "losses": {name: render(formula.tree) for name, formula in loss.losses.items()},
            "carried": {
                name: {"start": s.start, "next": render(s.next.tree), "with": s.network}
                for name, s in loss.carried.items()
            },
            "report": {
                name: {"value": render(r.value.tree), "with": list(r.networks)} for name, r in loss.reports.items()
            },
        },
        "schedule": {
            "redraw": {"data": system.schedule.data, "noise": system.schedule.noise},
            "steps": [
                {
                    "update": list(s.update),
                    "repeat": s.repeat,
                    "repeat_override": vars(s.repeat_override) if s.repeat_override else None,
                    "until": vars(s.until) if s.until else None,
                    "inference": list(s.inference),
                    "reuse": list(s.reuse),
                }
                for s in system.schedule.steps
            ],
        },
        "draws": {
            name: {"sample": str(system.draws[name].distribution), "shape": list(symbol.shape)}
            for name, symbol in system.symbols.items()
            if name in system.draws
        },
        "optimizers": {name: _optimizer(system, name) for name in system.optimizers},
        "averages": dict(system.averages),
        "growth": _growth(system.growth) if system.growth else None,
        "learning_rate_decay": vars(system.decay) if system.decay else None,
        "data": {
            "shape": list(system.data.shape),
            "range": list(system.data.range),
            "fit": system.data.fit,
            "labels": system.data.labels,
            "skip_grey": system.data.skip_grey,
            "leftover": system.data.leftover,
            "first_pass": system.data.first_pass,
            **_data_options(system.data),
        },
        "batch": system.run.batch,
    }


def differences(old: Any, new: Any) -> list[str]:
    """Returns: one line for each place where two descriptions differ, at most `MAX_LINES` and a count of the rest."""
    lines = list(_differences(old, new, ""))
    rest = len(lines) - MAX_LINES
    return lines[:MAX_LINES] + ([f"... and {rest} more"] if rest > 0 else [])


def _data_options(data: Data) -> dict[str, Any]:
    """Returns: the keys of [data] that change something only where they are stated; older records lack them."""
    return ({} if data.crop == "none" else {"crop": data.crop}) | ({"flip": True} if data.flip else {})


def _growth(growth: Growth) -> dict[str, Any]:
    start = {"stage": growth.start_stage, "fade": growth.start_fade}
    # A start that is not stated is absent, as it is in the records of older runs.
    return {"stages": growth.stages, "images": growth.images} | ({"start": start} if any(start.values()) else {})


def _optimizer(system: System, name: str) -> dict[str, Any]:
    optimizer, schedule = system.optimizers[name], system.learning_rate_schedules.get(name)
    clip = optimizer.clip
    numbers = {"kind": optimizer.kind, **vars(optimizer), "clip": vars(clip) if clip else None}
    # A schedule that there is not is absent, as it is in the records of older runs.
    return numbers | ({"learning_rate_schedule": schedule.as_data()} if schedule else {})


def _architecture(network: Architecture) -> dict[str, Any]:
    return {
        "inputs": {name: str(value) for name, value in network.inputs.items()},
        "layers": {
            layer.name: {
                "kind": layer.kind,
                "from": list(layer.inputs),
                "shape": list(layer.shape),
                "settings": {
                    key: list(value) if isinstance(value, tuple) else value for key, value in layer.settings.items()
                },
                "initial": {p.name: str(p.initial) for p in layer.parameters},
            }
            for layer in network.layers
        },
        "outputs": dict(network.outputs),
    }


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """Yields: a line for each place below `path` where two descriptions differ; what only one of them has is one place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{path}.{key}" if path else key
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), inner)
    elif _has_tables(old) and _has_tables(new) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{path}.{number}" if len(old) > 1 else path)
    elif old != new:
        yield f"{path}: {_short(old)} became {_short(new)}"


def _has_tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict) for each in value)


def _short(value: Any) -> str:
    """Returns: a value as a message shows it, in a few words."""
    if isinstance(value, dict):
        return f"a table of {len(value)} keys"
    if _has_tables(value):
        return f"a list of {len(value)} tables"
    text = "absent" if value is _ABSENT else printable(str(value))
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."
