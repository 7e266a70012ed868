"""Cases of whole systems, and of each loss on tiny networks (see `training` for what they hold).

The reference says losses, reports and statistics by itself, and whether gradients are right: their product with a random
direction must be the derivative along it. Moved by the expected gradients, it must arrive at the expected states.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ganspec.spec import System, load_system, system_names
from ganspec.spec.reference import Trainer
from ganspec.spec.reference.formulas import unit_direction
from ganspec.spec.text.files import names, split_variant
from ganspec.tools.vectors.case import CASES, SEED, Arrays, Case, Witness, slope
from ganspec.tools.vectors.training import BACKEND, evaluations, make_case, replay, train

LOSS, SYSTEM = "loss", "system"
ITERATIONS = {LOSS: 1, SYSTEM: 3}
TINY = CASES / "losses" / "system.toml"


def losses() -> list[Case]:
    """Returns: a case for each packaged loss."""
    return [
        _case(LOSS, f"{LOSS}/{name}", {"system": name, "settings": [], "reduced": False}) for name in names("losses")
    ]


def systems() -> list[Case]:
    """Returns: a case for each packaged system and variant; of a system that grows, some."""
    entries = tomllib.loads((CASES / "systems.toml").read_text("utf-8"))
    found = []
    for name in system_names():
        entry = entries.get(name) or {"settings": entries[split_variant(name)[0]]["settings"]}
        each = {"": [], **entry.get("also", {})}
        for suffix, settings in each.items():
            loaded = {"system": name, "settings": [*entry["settings"], *settings], "reduced": True}
            found.append(_case(SYSTEM, f"{SYSTEM}/{name}" + f"@{suffix}" * bool(suffix), loaded))
    return found


def _case(kind: str, case: str, loaded: dict[str, Any]) -> Case:
    return make_case(case, load(kind, loaded), loaded, ITERATIONS[kind])


def load(kind: str, loaded: Mapping[str, Any]) -> System:
    """Returns: the system of a case, from what its facts say under "loaded"."""
    return _load(kind, loaded["system"], tuple(loaded["settings"]), loaded["reduced"])


@cache
def _load(kind: str, name: str, settings: Iterable[str], reduced: bool) -> System:
    return load_system(f"{TINY}/{name}" if kind == LOSS else name, settings, reduced=reduced)


def compute(backend: str, case: Case, given: Mapping[str, np.ndarray]) -> Arrays:
    """Returns: what a backend computes, by name."""
    return train(backend, case, given, load(case.kind, case.facts["loaded"]))


def refer(case: Case, expected: Mapping[str, np.ndarray]) -> Witness:
    """Ask the reference. Returns: losses, reports, layers and states, and the slopes of the losses of iteration 0."""
    system = load(case.kind, case.facts["loaded"])
    said = replay(case, case.given, system)
    reference = Trainer(system, SEED, said.state, draws=said.draws)
    batches = iter(said.batches)
    found: Arrays = {}
    slopes = {}
    every = train(BACKEND, case, case.given, system, every_gradient=True)
    for iteration in range(case.facts["iterations"]):
        for step, repeat in reference.repeats():
            place = f"{iteration}.{step}.{repeat}"
            keep_layers = iteration == 0 and repeat == 0
            result = reference.compute(step, repeat, lambda: next(batches), keep_layers=keep_layers)
            found |= {f"{place}/losses/{name}": np.array(value) for name, value in result.losses.items()}
            found |= {f"{place}/reports/{name}": np.array(value) for name, value in result.reports.items()}
            for i, evaluation in evaluations(result.plan).items() if keep_layers else ():
                found |= {f"{place}/layers/{evaluation}/{name}": a for name, a in result.layers[i].items()}
            own = {network: _under(every, f"{place}/gradients/{network}") for network in result.losses}
            for network in own if iteration == 0 else ():
                arrays = _under(expected, f"{place}/gradients/{network}")
                direction = unit_direction(reference.state(), network, 0)
                own_direction = _under(direction, f"parameters/{network}")
                slopes[f"{place}/gradients/{network}"] = slope(result.slope(network, direction), arrays, own_direction)
            reference.update(result, own)
        reference.end_iteration()
        if iteration in (0, case.facts["iterations"] - 1):
            found |= {f"state/{iteration + 1}/{name}": array for name, array in reference.state().arrays.items()}
    return Witness(found, slopes)


def _under(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """Returns: the arrays under a prefix, by the rest of their names."""
    return {name.removeprefix(f"{prefix}/"): a for name, a in arrays.items() if name.startswith(f"{prefix}/")}
