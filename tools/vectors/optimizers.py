"""Cases of one optimiser: a few updates by given gradients, and the parameters and moments after each.

One of the gradients is tiny, and one is 0: there an epsilon on the wrong side shows. Clipping "before" comes before an update, as
it comes before the evaluations of a step; clipping "after" comes after it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganspec.spec.layers import Parameter
from ganspec.spec.layers.outline import constant
from ganspec.spec.network.architecture import Architecture, Layer
from ganspec.spec.parts.optimizers import Optimizer, read_optimizer
from ganspec.spec.reference.optimizers import KINDS, clipped
from ganspec.spec.text.errors import Problems
from ganspec.spec.text.tables import Table
from ganspec.tools import backends
from ganspec.tools.vectors.case import Arrays, Case, Witness, case_table, drawn

KIND = "optimizer"
UPDATES = 4
SHAPES = {"W": (2, 3), "b": (3,)}


def cases() -> list[Case]:
    """Returns: the cases of `cases/optimizers.toml`."""
    return [_case(entry) for entry in case_table("optimizers")]


def _case(entry: dict[str, Any]) -> Case:
    case = f"{KIND}/{entry['id']}"
    given = {f"parameters/{name}": drawn(case, name, shape) for name, shape in SHAPES.items()}
    for update in range(UPDATES):
        given |= {f"gradients/{update}/{name}": drawn(case, f"{update}/{name}", s) for name, s in SHAPES.items()}
        given[f"gradients/{update}/W"][0, 0] *= 1e-7
        given[f"gradients/{update}/b"][0] = 0.0
    definition = _definition(entry["optimizer"])
    lines = (inspect.getdoc(type(definition)) or "").splitlines()
    source, _, rest = lines[0].partition(" (")
    facts = {"optimizer": entry["optimizer"], "updates": UPDATES}
    return Case(case, f"{UPDATES} updates of {source.split(',')[0]}", rest.split(")")[0] or source, facts, given)


def _definition(keys: Mapping[str, Any]) -> Optimizer:
    table = Table(dict(keys), "optimizers.toml", "optimizer", problems := Problems())
    optimizer, schedule = read_optimizer(table, "optimizer")
    problems.stop_if_any()
    assert schedule is None, "a case has updates, and no iterations"
    return optimizer


def _network() -> Architecture:
    """Returns: a network of nothing but parameters."""
    parameters = tuple(Parameter(name, shape, constant(0.0)) for name, shape in SHAPES.items())
    layer = Layer("layer", "linear", ("x",), (3,), {}, parameters, ())
    return Architecture("network", "", "", {}, (layer,), {}, {}, (layer,))


def compute(backend: str, case: Case, given: Mapping[str, np.ndarray]) -> Arrays:
    """Returns: what a backend computes, by name."""
    house, definition = backends.load(backend), _definition(case.facts["optimizer"])
    trained = importlib.import_module(f"{house.__name__}.trained")
    context, architecture = house.ArrayContext("cpu", "float64"), _network()
    network = trained.TrainedNetwork(architecture, definition, False, context)
    network.vector = context.array(_vector(given, "parameters"))
    found: Arrays = {}
    for update in range(UPDATES):
        network.clip(definition.clip, "before")
        gradient = context.array(_vector(given, f"gradients/{update}"))
        network.optimizer.update(network.vector, [(0, gradient)])
        network.clip(definition.clip, "after")
        vectors = {"parameters": network.vector}
        vectors |= {f"moments/{name}": vector for name, vector in network.optimizer.moments.items()}
        for role, vector in vectors.items():
            views = network.views(vector)
            found |= {f"after/{update + 1}/{role}/{name}": house.to_numpy(views[f"layer/{name}"]) for name in SHAPES}
    return found


def _vector(given: Mapping[str, np.ndarray], role: str) -> np.ndarray:
    return np.concatenate([given[f"{role}/{name}"].ravel() for name in SHAPES])


def refer(case: Case, expected: Mapping[str, np.ndarray]) -> Witness:
    """Ask the reference. Returns: every array."""
    definition = _definition(case.facts["optimizer"])
    found: Arrays = {}
    for name, shape in SHAPES.items():
        p = case.given[f"parameters/{name}"]
        moments = {moment: np.full(shape, kept.start) for moment, kept in definition.moments().items()}
        for update in range(UPDATES):
            p, gradient = clipped(p, definition.clip, "before"), case.given[f"gradients/{update}/{name}"]
            rule, rate = KINDS[definition.kind], definition.learning_rate
            p, moments = rule(definition, p, gradient, moments, update + 1, rate)
            p = clipped(p, definition.clip, "after")
            place = f"after/{update + 1}"
            found[f"{place}/parameters/{name}"] = p
            found |= {f"{place}/moments/{moment}/{name}": array for moment, array in moments.items()}
    return Witness(found, {})
