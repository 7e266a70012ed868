"""Every number of the packaged data files as it stands in the whole systems: an edit of any of them changes the vectors.

The cases have small networks and short runs. Here each system is described at full size, with the length of its run. Of a variant
and of reduced sizes there is what they change; and of each file the constants that it has by itself, for systems replace them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ganspec.spec import System, load_system, system_names
from ganspec.spec.description import describe
from ganspec.spec.text.files import Library, names, split_variant

KINDS = ("architectures", "losses", "schedules", "systems")
_ABSENT = "absent"


def descriptions() -> dict[str, Any]:
    """Returns: each system at full size, what variants and reduced sizes change, and the constants of each file."""
    return {
        "systems": {name: described(name) for name in system_names()},
        "constants": {f"{kind}/{name}": file_constants(kind, name) for kind in KINDS[:3] for name in names(kind)},
    }


def described(name: str) -> dict[str, Any]:
    """Returns: one system: "full", or of a variant what it changes in the full system that it is "like"; and "reduced"."""
    full, (base, variant) = whole(load_system(name)), split_variant(name)
    reduced = _changes(full, whole(load_system(name, reduced=True)))
    if not variant:
        return {"full": full, "reduced": reduced}
    return {"like": base, "changes": _changes(whole(load_system(base)), full), "reduced": reduced}


def _changes(old: Any, new: Any) -> dict[str, Any]:
    """Returns: what is in `new` at each path where it is not what is in `old`."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    every = {path: after.get(path, _ABSENT) for path in dict.fromkeys([*before, *after])}
    return {path: value for path, value in every.items() if value != before.get(path, _ABSENT)}


def whole(system: System) -> dict[str, Any]:
    """Returns: everything that is a number in a system: what it computes, how long it is trained, what is shown of it."""
    found = {
        **describe(system),
        "constants": dict(system.constants),
        "network_constants": {name: dict(network.constants) for name, network in system.networks.items()},
        "schedule_constants": dict(system.schedule.constants),
        # What a system does not say of its checkpoints and metrics is absent, as it was before it could be said.
        "run": {
            k: value for k, value in asdict(system.run).items() if k not in ("keep", "metrics") or value is not None
        },
        "manifold": asdict(system.manifold) if system.manifold else None,
        "embedded": system.data.embedded,
        "dataset": system.data.dataset,
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))  # tuples as lists, as they are read back
    return plain


def file_constants(kind: str, name: str) -> dict[str, Any]:
    """Returns: the constants of a packaged file, as they are written there."""
    constants: dict[str, Any] = _data(kind, name).get("constants", {})
    return constants


def digest() -> str:
    """Returns: the SHA-256 digest of the content of all packaged data files, without comments."""
    content = {f"{kind}/{name}": _data(kind, name) for kind in KINDS for name in names(kind)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _data(kind: str, name: str) -> dict[str, Any]:
    return Library().find(kind, name, "", "").data


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields: path and value of everything in nested tables that is no table; of a list of tables each."""
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        value = {str(number): each for number, each in enumerate(value)}
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else key)
