"""Every number of every packaged system, as digests: an edit of a data file that changes what is computed changes a line here.

A digest is of one part of a system as it is resolved, with all that its architectures, loss and schedule files give it. Where a
change is meant, the message holds the new lines for numbers.toml, in which a reviewer sees what it reaches.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ganspec.spec import load_system, system_names
from ganspec.spec.description import describe

KEPT = Path(__file__).with_name("numbers.toml")
DIGITS = 8  # of hexadecimal: one change in four thousand million goes unseen


def parts_of(name: str) -> dict[str, Any]:
    """Returns: the parts of a system as plain data."""
    system = load_system(name)
    parts = describe(system)
    networks = parts.pop("networks")
    roles = {role: [stage.get(role) for stage in networks] for role in networks[-1]}
    # An optional key that a system leaves out is no number: new ones change no digest.
    run = {key: value for key, value in vars(system.run).items() if value is not None}
    rest = {"run": run, "manifold": vars(system.manifold) if system.manifold else None}
    rest |= {"embedded": system.data.embedded, "dataset": system.data.dataset}
    return {**{f"network {role}": stages for role, stages in roles.items()}, **parts, **rest}


def digest(part: Any) -> str:
    """Returns: the beginning of the SHA-256 of a part, the same on every machine."""
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:DIGITS]


def lines(name: str) -> str:
    """Returns: what numbers.toml should say of a system."""
    parts = {key: part for key, part in parts_of(name).items() if part not in (None, {}, "")}
    return "\n".join([f'["{name}"]', *(f'"{key}" = "{digest(part)}"' for key, part in parts.items())]) + "\n"


@pytest.mark.parametrize("name", system_names())
def test_a_systems_numbers_are_those_that_were_reviewed(name: str) -> None:
    kept = tomllib.loads(KEPT.read_text())
    assert tomllib.loads(lines(name))[name] == kept.get(name), (
        f"if this is meant, write into {KEPT.name}:\n{lines(name)}"
    )


def test_no_system_is_kept_that_is_not_there() -> None:
    assert list(tomllib.loads(KEPT.read_text())) == list(system_names())


def test_any_number_changes_its_digest() -> None:
    part = {"a": [1, 2.0, {"b": "uniform(-0.1, 0.1)"}], "c": True}
    others = [
        {"a": [1, 2.0, {"b": "uniform(-0.1, 0.2)"}], "c": True},
        {"a": [2.0, 1, {"b": "uniform(-0.1, 0.1)"}], "c": True},
        {"a": [1, 2.0000000000000004, {"b": "uniform(-0.1, 0.1)"}], "c": True},
        {"a": [1, 2.0, {"b": "uniform(-0.1, 0.1)"}], "c": False},
    ]
    assert len({digest(each) for each in (part, *others)}) == 5
    assert digest({"c": True, "a": part["a"]}) == digest(part)
